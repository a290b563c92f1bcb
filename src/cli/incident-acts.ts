/** `incident-recorder note`, `assign`, `snooze`, `reopen`: what people do with incidents besides commands. */
import type { Command } from 'commander';
import { timestamp } from '../clock.ts';
import { Refused } from '../client/errors.ts';
import type { Incident } from '../client/shapes.ts';
import { parseDuration } from '../duration.ts';
import { ApiClient, type OperatorOptions, withApiClient, withOperator } from './api-client.ts';
import { BY_FILTER, bulkCommand, type BulkOptions, isByFilter, withBulk } from './bulk-command.ts';
import { EXIT, isOfToken, UsageError } from './exit.ts';
import { filtersOf, type ListFilterOptions, withListFilters } from './filter-options.ts';
import { idsFrom } from './ids.ts';
import { adviceFor } from './incident-command.ts';
import { summaryOf } from './summary.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';

const withIds = (command: Command): Command =>
  command.argument('<id...>', 'identifiers of incidents; - reads them from standard input');

type ActOptions = BulkOptions & ListFilterOptions;

/** Adds identifiers, or filters in their place. */
const withIdsOrFilters = (command: Command, without: Parameters<typeof withListFilters>[1] = []): Command =>
  withBulk(
    withListFilters(
      command
        .description(`${command.description()} ${BY_FILTER}`)
        .argument('[id...]', 'identifiers of incidents; - reads them from standard input'),
      without,
    ),
  );

export const defineNote = (command: Command): Command =>
  withApiClient(
    withIdsOrFilters(command.description('Notes something about incidents, in any state.'))
      .option('--by <who>', 'who says it')
      .requiredOption('-m, --note <text>', 'what there is to say'),
  ).action((ids: readonly string[], options: ActOptions) => {
    const filters = filtersOf(options);
    return isByFilter(ids, filters, options) ? bulkCommand('note', filters, options) : act('note', ids, options, {});
  });

interface AssignOptions extends ActOptions {
  readonly to?: string;
  readonly nobody?: true;
}

export const defineAssign = (command: Command): Command =>
  withOperator(
    withIdsOrFilters(command.description('Says who works incidents, in any state.'))
      .option('--to <name>', 'who works them')
      .option('--nobody', 'nobody works them any more'),
  ).action((ids: readonly string[], { to, nobody, ...options }: AssignOptions) => {
    if ((to === undefined) === (nobody === undefined)) throw new UsageError('give one of --to NAME and --nobody');
    const filters = filtersOf(options);
    const more = { to: to ?? null };
    return isByFilter(ids, filters, options)
      ? bulkCommand('assign', filters, options, { body: more, options: to === undefined ? ['--nobody'] : ['--to', to] })
      : act('assign', ids, options, more);
  });

interface SnoozeOptions extends ActOptions {
  readonly until?: string;
  readonly for?: string;
  readonly end?: true;
}

export const defineSnooze = (command: Command): Command =>
  withOperator(
    withIdsOrFilters(
      command.description(
        'Acknowledges incidents until a time and hides them from what needs attention. Then they come back by themselves.',
      ),
      ['--until'],
    )
      .option('--until <time>', 'until when: RFC 3339, or a day in UTC')
      .option('--for <duration>', 'for how long: 90m, 2h, 7d')
      .option('--end', 'end the snooze now'),
  ).action((ids: readonly string[], { until, for: duration, end, ...options }: SnoozeOptions) => {
    if ([until, duration, end].filter((one) => one !== undefined).length !== 1)
      throw new UsageError('give one of --until TIME, --for DURATION and --end');
    const filters = filtersOf(options);
    const deadline = end === true ? null : deadlineOf(until, duration);
    return isByFilter(ids, filters, options)
      ? bulkCommand('snooze', filters, options, {
          body: { until: deadline },
          options: deadline === null ? ['--end'] : ['--until', deadline],
        })
      : act('snooze', ids, options, { until: deadline });
  });

export const defineReopen = (command: Command): Command =>
  withOperator(
    withIds(
      command.description(
        'Takes resolved incidents up again: each as a new incident, under the rule in force, which may contain it at once.',
      ),
    ),
  ).action((ids: readonly string[], options: OperatorOptions) => act('reopen', ids, options, {}));

const UNITS = ['s', 'm', 'h', 'd', 'w'] as const;

/**
 * A deadline as people write it.
 * @returns RFC 3339; any other text unchanged, for the recorder to refuse
 */
function deadlineOf(until: string | undefined, duration = ''): string {
  if (until !== undefined) return /^\d{4}-\d\d-\d\d$/.test(until) ? `${until}T00:00:00Z` : until;
  const milliseconds = parseDuration(duration, UNITS);
  if (milliseconds !== undefined) return timestamp(Date.now() + milliseconds);
  throw new UsageError(`--for takes a duration like 90m, 2h or 7d, not ${JSON.stringify(duration)}`);
}

async function act(
  name: 'note' | 'assign' | 'snooze' | 'reopen',
  ids: readonly string[],
  { by, note, ...options }: OperatorOptions,
  more: object,
): Promise<void> {
  const api = new ApiClient(options);
  for await (const id of idsFrom(ids)) {
    try {
      const incident = await api.command<Incident>(`/api/v1/incidents/${name}`, { id, by, note, ...more });
      if (options.json) await writeJson({ id, outcome: 'done', incident });
      else await writeLines([summaryOf(incident)]);
    } catch (error) {
      // A refusal of one incident does not stop the others. A wrong token or an unreachable recorder does.
      if (!(error instanceof Refused) || isOfToken(error)) throw error;
      process.exitCode = EXIT.refused;
      if (options.json) await writeJson({ id, outcome: 'refused', status: error.status, ...error.body });
      else writeNotice(`${id}: ${whyNot(error, id)}`);
    }
  }
}

/** Why it is not done. An incident that was reopened before names the other one itself. */
const whyNot = (error: Refused, id: string): string =>
  error.body.reopened_as === undefined ? adviceFor(error, id) : String(error.body.error);
