import * as z from 'zod/mini';
import { filled, signature } from '../request/fields.ts';
import { whenUsed } from '../../when-used.ts';

export const RETRY_WEBHOOK_REQUIRED = 'webhook and seq are required';

/** The body of the command that has an entry sent to a webhook again. */
export const retryWebhookSchema = whenUsed(() =>
  z.strictObject({
    webhook: filled(RETRY_WEBHOOK_REQUIRED),
    seq: z
      .int({
        error: ({ input }) => (input === undefined ? RETRY_WEBHOOK_REQUIRED : 'seq must be the number of an entry'),
      })
      .check(z.positive('seq must be the number of an entry')),
    ...signature(),
  }),
);
