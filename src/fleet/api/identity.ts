/** Whose token a request has. */
import { ROLES } from '../../../machines/vocabulary.ts';
import { forbidden } from '../../api/middleware/authentication.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { nothingSchema } from '../../api/request/fields.ts';
import { parseQuery } from '../../api/request/query.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import type { FleetDependencies } from './dependencies.ts';
import { fleetPrincipal } from './reading.ts';

export const identityRoutes = (dependencies: FleetDependencies): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/access/me',
    handle: (ctx) => {
      validate(nothingSchema, parseQuery(ctx.querystring), 'parameter');
      const principal = fleetPrincipal(dependencies, ctx);
      if (principal === undefined) throw forbidden(ctx);
      const { name, roles, shared = false, actions, machines } = principal;
      const known = roles.filter((role) => ROLES.includes(role));
      ctx.set('Cache-Control', 'no-store');
      ctx.vary('Authorization');
      respondJson(ctx, 200, JSON.stringify({ principal: name, roles: known, shared, actions, machines }));
    },
  },
];
