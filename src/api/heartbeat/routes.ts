import type { Principal } from '../../access/principal.ts';
import { RecorderError } from '../../errors.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import { admittedIn } from '../middleware/authentication.ts';
import type { ApiRoute } from '../middleware/routing.ts';
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
      requireBound(admittedIn(ctx).principal, source);
      respondJson(ctx, 200, JSON.stringify(await guards.heartbeat(source, callerOf(ctx))));
    },
  },
];

/** @throws RecorderError `forbidden` for a source that a principal is not bound to */
function requireBound({ name, sources }: Principal, source: string): void {
  if (sources === undefined || sources.includes(source)) return;
  const message = `forbidden: ${name} may not speak for this source; allowed: ${sources.join(', ') || 'none'}`;
  throw new RecorderError('forbidden', message, { fields: { allowed: sources } });
}
