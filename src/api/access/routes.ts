import { ROLES } from '../../../machines/vocabulary.ts';
import { admittedIn } from '../middleware/authentication.ts';
import type { Admission } from '../middleware/admission.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { nothingSchema } from '../request/fields.ts';
import { readParameters } from '../request/read.ts';
import { respondJson } from '../respond.ts';

/** Says whose token a request has, and what they may do. */
export const accessRoutes = (_: unknown, { authenticated }: Pick<Admission, 'authenticated'>): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/access/me',
    before: authenticated(...ROLES),
    handle: (ctx) => {
      readParameters(ctx, nothingSchema);
      const { name, roles, shared = false, sources, classes, actions } = admittedIn(ctx).principal;
      ctx.set('Cache-Control', 'no-store');
      ctx.vary('Authorization');
      respondJson(ctx, 200, JSON.stringify({ principal: name, roles, shared, sources, classes, actions }));
    },
  },
];
