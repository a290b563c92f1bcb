/** `incident-recorder webhooks retry`: sends an entry to a webhook again. */
import type { Command } from 'commander';
import { ApiClient, type OperatorOptions, withOperator } from './api-client.ts';
import { UsageError } from './exit.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

const DESCRIPTION = `Sends an entry to a webhook again that was skipped, or that it does not take while it takes others: at once, and for \
another day. It also ends the pause before the webhook is sent the next entry.`;

export const define = (command: Command): Command =>
  withOperator(
    command
      .description(DESCRIPTION)
      .argument('<webhook>', 'its name, as webhooks skipped shows it, or its URL')
      .argument('<seq>', 'the number of the entry'),
  ).action(async (webhook: string, seq: string, { by, note, ...options }: OperatorOptions) => {
    if (!/^[1-9]\d{0,14}$/.test(seq)) throw new UsageError(`the number of an entry is like 17, not ${seq}`);
    const body = { webhook, seq: Number(seq), by, note };
    const outcome = await new ApiClient(options).command<{ readonly webhook: string; readonly seq: number }>(
      '/api/v1/webhooks/retry',
      body,
    );
    await (options.json
      ? writeJson(outcome)
      : writeLines([printable(`entry ${outcome.seq} is sent to ${outcome.webhook} again`)]));
  });
