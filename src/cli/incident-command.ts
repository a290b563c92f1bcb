/** `incident-recorder contain`, `ack`, `resolve`: give a command to incidents, and say what became of each. */
import type { Command } from 'commander';
import { COMMAND_TABLE, type CommandName, COMMANDS } from '../../machines/commands.ts';
import { RESOLUTIONS } from '../../machines/vocabulary.ts';
import { Refused } from '../client/errors.ts';
import type { Incident } from '../client/shapes.ts';
import { ApiClient, withOperator } from './api-client.ts';
import { BY_FILTER, bulkCommand, type BulkOptions, isByFilter, withBulk } from './bulk-command.ts';
import { EXIT, explain, isOfToken } from './exit.ts';
import { filtersOf, type ListFilterOptions, withListFilters } from './filter-options.ts';
import { idsFrom } from './ids.ts';
import { adviceLines, stepsIn } from './missing-recovery.ts';
import { previewLines, previewOf, releasedIn } from './release-preview.ts';
import { summaryOf } from './summary.ts';
import { canAsk, confirmed } from './terminal/confirm.ts';
import { writeNotice, writeJson, writeLines } from './terminal/output.ts';

type CommandOptions = BulkOptions & ListFilterOptions & { readonly resolution?: string };

/** Adds the option that says what the incidents were, to the command that ends them. */
const withResolution = (command: Command, name: CommandName): Command =>
  name === 'resolve'
    ? command.addOption(command.createOption('--resolution <kind>', 'what the incidents were').choices(RESOLUTIONS))
    : command;

/** Defines the subcommand of one command of the table. */
export const defineCommand = (command: Command, name: CommandName): Command =>
  withOperator(
    withBulk(
      withListFilters(
        withResolution(command.description(`${COMMAND_TABLE[name].meaning} ${BY_FILTER}`), name).argument(
          '[id...]',
          'identifiers of incidents; - reads them from standard input',
        ),
      ),
    ),
  ).action(async (ids: readonly string[], { resolution, ...options }: CommandOptions) => {
    const filters = filtersOf(options);
    const { by, note } = options;
    if (isByFilter(ids, filters, options)) {
      return bulkCommand(name, filters, options, {
        body: { resolution },
        options: resolution === undefined ? [] : ['--resolution', resolution],
      });
    }
    const api = new ApiClient(options);
    const named: string[] = [];
    for await (const id of idsFrom(ids)) named.push(id);
    if (name === 'resolve' && options.json !== true && canAsk() && !(await agreed(api, named, options.yes === true)))
      return;
    for (const id of named) {
      try {
        const released = name === 'resolve' ? releasedIn(await previewOf(api, [id], name)) : [];
        const incident = await api.command<Incident>(`/api/v1/incidents/${name}`, { id, by, note, resolution });
        await (options.json
          ? writeJson({ id, outcome: 'done', incident, ...(released.length > 0 && { released }) })
          : writeLines([
              [summaryOf(incident), ...(released.length === 0 ? [] : [`released ${released.join(', ')}`])].join('  '),
            ]));
      } catch (error) {
        // A refusal of one incident does not stop the others. A wrong token or an unreachable recorder does.
        if (!(error instanceof Refused) || isOfToken(error)) throw error;
        process.exitCode = EXIT.refused;
        if (options.json) await writeJson({ id, outcome: 'refused', status: error.status, ...error.body });
        else writeNotice(`${id}: ${adviceFor(error, id)}`);
      }
    }
  });

/** Says what a resolve would release, and asks whether to go on. */
async function agreed(api: ApiClient, ids: readonly string[], yes: boolean): Promise<boolean> {
  const preview = await previewOf(api, ids, 'resolve');
  await writeLines(preview === undefined ? ['what this releases is not known'] : previewLines(preview));
  if (yes || (await confirmed(ids.length === 1 ? 'Resolve it?' : `Resolve these ${ids.length} incidents?`)))
    return true;
  process.exitCode = EXIT.refused;
  writeNotice('nothing is resolved');
  return false;
}

/** Why a command is refused, and what to do instead. */
export function adviceFor(error: Refused, id: string): string {
  const { error: reason, allowed, missing } = error.body;
  const steps = stepsIn(missing);
  if (steps.length > 0) return [`${String(reason)}:`, ...adviceLines(steps, id).map((line) => `  ${line}`)].join('\n');
  if (error.status !== 409 || !Array.isArray(allowed)) return explain(error);
  const next = COMMANDS.filter((name) => allowed.includes(name)).map((name) => COMMAND_TABLE[name].subcommand);
  const advice = next.length === 0 ? 'nothing is left to do' : `try incident-recorder ${next.join(' or ')} ${id}`;
  return `${String(reason)}; ${advice}`;
}
