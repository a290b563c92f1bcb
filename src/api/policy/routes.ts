import { policyDocument } from '../../policy/document.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import { isTrustedReader } from '../middleware/read-access.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { callerOf } from '../request/caller.ts';
import { nothingSchema } from '../request/fields.ts';
import { readParameters } from '../request/read.ts';
import { respondJson } from '../respond.ts';

/**
 * The policy in force, completed from the built-in table: for readers without the token, with no more of an address than
 * its origin, since a path may hold a secret. And the command that loads it again. A refused policy is
 * answered with its faults, and the old one stays in force.
 */
export const policyRoutes = (
  { policy, reload, access }: Pick<ApiDependencies, 'policy' | 'reload' | 'access'>,
  { authenticated }: Pick<Admission, 'authenticated'>,
): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/policy',
    handle: (ctx) => {
      readParameters(ctx, nothingSchema);
      respondJson(
        ctx,
        200,
        JSON.stringify(policyDocument(policy.current, isTrustedReader(access, ctx) ? 'whole' : 'origin')),
      );
    },
  },
  ...['/api/v1/reload', '/reload'].map((path): ApiRoute => ({
    method: 'POST',
    path,
    before: authenticated('admin'),
    handle: async (ctx) =>
      respondJson(ctx, 200, JSON.stringify({ status: 'reloaded', ...(await reload(callerOf(ctx))) })),
  })),
];
