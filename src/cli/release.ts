/** `incident-recorder release`: releases one action of an incident early, and says what becomes of it. */
import type { Command } from 'commander';
import { ACTIONS } from '../../machines/vocabulary.ts';
import { Refused } from '../client/errors.ts';
import type { Incident } from '../client/shapes.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { EXIT, explain, isOfToken } from './exit.ts';
import { previewLines, previewOf } from './release-preview.ts';
import { summaryOf } from './summary.ts';
import { canAsk, confirmed } from './terminal/confirm.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

const DESCRIPTION =
  'Releases one action of an incident early; the incident stays. It takes the role operator, and where the incident needs \
a recovery the role recovery. A further report whose rule asks for the action, and contain, ask for it again.';

interface Options extends ApiOptions {
  readonly reason: string;
  readonly by?: string;
  readonly yes?: true;
}

/** An incident of which one action was released early. */
interface Released extends Incident {
  readonly release: { readonly action: string; readonly releases: boolean; readonly others: number };
}

export const define = (command: Command): Command =>
  withApiClient(
    command
      .description(DESCRIPTION)
      .argument('<id>', 'identifier of the incident')
      .addArgument(
        command.createArgument('<action>', 'the action').choices(ACTIONS.filter((name) => name !== 'log_alert')),
      )
      .requiredOption('--reason <text>', 'why it is released')
      .option('--by <who>', 'who does it')
      .option('--yes', 'do not ask'),
  ).action(async (id: string, action: string, { reason, by, yes, ...options }: Options) => {
    const api = new ApiClient(options);
    if (options.json !== true && canAsk()) {
      const preview = await previewOf(api, [id], 'release', action);
      await writeLines(preview === undefined ? ['what this releases is not known'] : previewLines(preview));
      if (yes !== true && !(await confirmed(`Release ${action} for ${printable(id)}?`))) {
        process.exitCode = EXIT.refused;
        return writeNotice('nothing is released');
      }
    }
    try {
      const incident = await api.command<Released>('/api/v1/containment/release', { id, action, reason, by });
      return await (options.json
        ? writeJson({ id, outcome: 'done', incident })
        : writeLines([summaryOf(incident), outcomeOf(incident.release)]));
    } catch (error) {
      if (!(error instanceof Refused) || isOfToken(error)) throw error;
      process.exitCode = EXIT.refused;
      if (options.json) return writeJson({ id, outcome: 'refused', status: error.status, ...error.body });
      return writeNotice(`${id}: ${explain(error)}`);
    }
  });

function outcomeOf({ action, releases, others }: Released['release']): string {
  if (releases) return `${action} is released: no other incident holds it`;
  return `${action} stays in force: ${others === 1 ? 'another incident holds' : `${others} other incidents hold`} it`;
}
