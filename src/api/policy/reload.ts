import type Router from '@koa/router';
import type { Middleware } from 'koa';
import { answerJson } from '../respond.ts';
import type { ApiParts } from '../dependencies.ts';

/** Loads the policy again; a refused one is answered with its faults, and the old one stays in force. */
export const addReloadRoute = (
  router: Router,
  authenticated: Middleware,
  { reload }: Pick<ApiParts, 'reload'>,
): void => {
  router.post(['/api/v1/reload', '/reload'], authenticated, async (ctx) => {
    answerJson(ctx, 200, JSON.stringify({ status: 'reloaded', ...(await reload()) }));
  });
};
