import { signed } from '../../domain/caller.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { callerOf } from '../request/caller.ts';
import { nothingSchema } from '../request/fields.ts';
import { readBody, readParameters } from '../request/read.ts';
import { respondJson } from '../respond.ts';
import { RETRY_WEBHOOK_REQUIRED, retryWebhookSchema } from './requests.ts';

/** The entries that webhooks did not take, and the command that has one sent again. */
export const webhookRoutes = (
  { webhooks }: Pick<ApiDependencies, 'webhooks'>,
  { command }: Pick<Admission, 'command'>,
): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/webhooks/skipped',
    handle: (ctx) => {
      readParameters(ctx, nothingSchema);
      respondJson(ctx, 200, JSON.stringify(webhooks.skipped()));
    },
  },
  {
    method: 'POST',
    path: '/api/v1/webhooks/retry',
    before: command('operator'),
    handle: async (ctx) => {
      const { webhook, seq, by, note } = readBody(ctx, retryWebhookSchema, RETRY_WEBHOOK_REQUIRED);
      const request = { webhook, seq, ...signed(callerOf(ctx, by), note) };
      respondJson(ctx, 200, JSON.stringify(await webhooks.retry(request)));
    },
  },
];
