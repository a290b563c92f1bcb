import type Router from '@koa/router';
import { answerJson } from '../answer.ts';
import type { ApiParts } from '../parts.ts';

/** How the service is: 200 when it records, 503 when it can't. */
export const addHealthRoute = (router: Router, { health }: Pick<ApiParts, 'health'>): void => {
  router.get('/health', (ctx) => {
    const found = health();
    if (found.status === 'degraded') ctx.set('Retry-After', '5');
    answerJson(ctx, found.status === 'ok' ? 200 : 503, JSON.stringify(found));
  });
};
