/** `incident-recorder silence end`: ends silences before their time, and says what became of each. */
import type { Command } from 'commander';
import { Refused } from '../client/errors.ts';
import type { ShownSilence } from '../domain/silence.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { EXIT, explain, isOfToken } from './exit.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

interface Options extends ApiOptions {
  readonly comment?: string;
  readonly author?: string;
}

export const defineEnd = (command: Command): Command =>
  withApiClient(
    command
      .description('Ends silences. What is over stays as it is.')
      .argument('<id...>', 'identifiers of silences')
      .option('-c, --comment <text>', 'why')
      .option('-a, --author <who>', 'who does it'),
  ).action(async (ids: readonly string[], { comment, author, ...options }: Options) => {
    const api = new ApiClient(options);
    for (const id of ids) {
      try {
        const body = { id, reason: comment, by: author };
        const silence = await api.command<ShownSilence>('/api/v1/silences/end', body);
        await (options.json
          ? writeJson({ id, outcome: 'done', silence })
          : writeLines([printable(`${silence.id} ${silence.state}`)]));
      } catch (error) {
        // A refusal of one silence does not stop the others. A wrong token or an unreachable recorder does.
        if (!(error instanceof Refused) || isOfToken(error)) throw error;
        process.exitCode = EXIT.refused;
        if (options.json) await writeJson({ id, outcome: 'refused', status: error.status, ...error.body });
        else writeNotice(`${id}: ${explain(error)}`);
      }
    }
  });
