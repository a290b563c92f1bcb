import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import { admittedIn } from '../middleware/authentication.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { requireBound } from '../request/bounds.ts';
import { callerOf } from '../request/caller.ts';
import { readBody } from '../request/read.ts';
import { respondJson } from '../respond.ts';
import { HEARTBEAT_REQUIRED, heartbeatSchema } from './requests.ts';

/** Takes the sign of life of a guard: a source that the policy expects to hear from. */
export const heartbeatRoutes = (
  { guards }: Pick<ApiDependencies, 'guards'>,
  { command }: Pick<Admission, 'command'>,
): readonly ApiRoute[] => [
  {
    method: 'POST',
    path: '/api/v1/heartbeat',
    before: command('reporter'),
    handle: async (ctx) => {
      const { source } = readBody(ctx, heartbeatSchema, HEARTBEAT_REQUIRED);
      requireBound(admittedIn(ctx), { source });
      respondJson(ctx, 200, JSON.stringify(await guards.heartbeat(source, callerOf(ctx))));
    },
  },
];
