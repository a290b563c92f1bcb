import { signed } from '../../domain/caller.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { callerOf } from '../request/caller.ts';
import { readBody } from '../request/read.ts';
import { respondJson } from '../respond.ts';
import { acknowledgeDamageSchema, FINDING_REQUIRED } from './requests.ts';

/** Records that an operator has taken note of what was found wrong with the audit log. */
export const logRoutes = (
  { acknowledgeDamage }: Pick<ApiDependencies, 'acknowledgeDamage'>,
  { command }: Pick<Admission, 'command'>,
): readonly ApiRoute[] => [
  {
    method: 'POST',
    path: '/api/v1/log/acknowledge-damage',
    before: command('admin'),
    handle: async (ctx) => {
      const { finding, by, note } = readBody(ctx, acknowledgeDamageSchema, FINDING_REQUIRED);
      respondJson(ctx, 200, JSON.stringify(await acknowledgeDamage(finding, signed(callerOf(ctx, by), note))));
    },
  },
];
