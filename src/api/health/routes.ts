import type { Context } from 'koa';
import type { ApiDependencies } from '../dependencies.ts';
import { hasRole, isTrustedReader } from '../middleware/read-access.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { respondJson, RETRY_AFTER_SECONDS } from '../respond.ts';

/**
 * The health of the service, for people and for what supervises it.
 *
 * - `/livez` responds as long as the process serves requests. When it does not, a restart may help.
 * - `/readyz` says whether reports and commands are taken. When they are not, a restart helps nothing.
 * - `/health` says the same as `/readyz`, and everything else that an operator wants to know. Where reads need the token
 *   and a request has none, it is `{"status"}` only.
 */
export const healthRoutes = ({
  health,
  reasons,
  readAccess,
  access,
}: Pick<ApiDependencies, 'health' | 'reasons' | 'readAccess' | 'access'>): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/health',
    handle: (ctx) => {
      const isTrusted = isTrustedReader(access, ctx);
      const summary = health(isTrusted);
      const { status } = summary;
      const mayReadAll = isTrusted || readAccess === 'open' || hasRole(access, ctx, ['reader']);
      respond(ctx, status === 'ok', mayReadAll ? summary : { status });
    },
  },
  { method: 'GET', path: '/livez', handle: (ctx) => respond(ctx, true, { status: 'ok' }) },
  {
    method: 'GET',
    path: '/readyz',
    handle: (ctx) => {
      const obstacles = reasons();
      const ready = obstacles.length === 0;
      respond(ctx, ready, ready ? { status: 'ok' } : { status: 'degraded', reasons: obstacles });
    },
  },
];

const respond = (ctx: Context, ok: boolean, body: object): void => {
  if (!ok) ctx.set('Retry-After', RETRY_AFTER_SECONDS);
  respondJson(ctx, ok ? 200 : 503, JSON.stringify(body));
};
