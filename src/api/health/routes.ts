import type Router from '@koa/router';
import type { Context } from 'koa';
import { answerJson } from '../respond.ts';
import type { ApiParts } from '../dependencies.ts';

/**
 * How the service is: for people, and for what looks after it.
 *
 * `/livez` answers as long as the process serves requests: when it does not, starting it again may help. `/readyz` says
 * whether reports and commands are taken: when they are not, starting it again helps nothing. `/health` says the same
 * as `/readyz` and everything else that an operator wants to know.
 */
export const addHealthRoutes = (router: Router, { health, reasons }: Pick<ApiParts, 'health' | 'reasons'>): void => {
  router.get('/health', (ctx) => {
    const found = health();
    answer(ctx, found.status === 'ok', found);
  });

  router.get('/livez', (ctx) => answer(ctx, true, { status: 'ok' }));

  router.get('/readyz', (ctx) => {
    const found = reasons();
    const ready = found.length === 0;
    answer(ctx, ready, ready ? { status: 'ok' } : { status: 'degraded', reasons: found });
  });
};

const answer = (ctx: Context, ok: boolean, body: object): void => {
  if (!ok) ctx.set('Retry-After', '5');
  answerJson(ctx, ok ? 200 : 503, JSON.stringify(body));
};
