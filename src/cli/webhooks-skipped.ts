/** `incident-recorder webhooks skipped`: the entries that are not sent to a webhook any more. */
import type { Command } from 'commander';
import type { SkippedEntry } from '../domain/entries.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { table } from './terminal/table.ts';

const DESCRIPTION = `Lists the entries that a webhook did not take for a day while it took others: they were skipped. The newest hundred of \
each webhook are listed; the log names all (webhook.skipped).`;

export const define = (command: Command): Command =>
  withApiClient(command.description(DESCRIPTION)).action(async (options: ApiOptions) => {
    const skipped = await new ApiClient(options).read<readonly SkippedEntry[]>('/api/v1/webhooks/skipped');
    if (options.json) return writeJson(...skipped);
    if (skipped.length === 0) return writeNotice('nothing was skipped');
    return writeLines(
      table<SkippedEntry>(
        [
          { header: 'WEBHOOK', value: ({ webhook }) => webhook },
          { header: 'SEQ', value: ({ seq }) => String(seq) },
          { header: 'EVENT', value: ({ event }) => event },
          { header: 'SKIPPED', value: ({ skipped_at }) => skipped_at },
          { header: 'ATTEMPTS', value: ({ attempts }) => String(attempts) },
          { header: 'LAST ERROR', value: ({ error }) => error, least: 12 },
        ],
        skipped,
      ),
    );
  });
