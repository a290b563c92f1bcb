import type Router from '@koa/router';
import { answerJson } from '../answer.ts';
import type { ApiParts } from '../parts.ts';
import { parseQuery } from '../query.ts';
import { nothingSchema } from '../schemas.ts';
import { validate } from '../validate.ts';

/** How many incidents there are, by class, state and severity. */
export const addStatsRoute = (router: Router, { statistics }: Pick<ApiParts, 'statistics'>): void => {
  router.get('/api/v1/stats', (ctx) => {
    validate(nothingSchema, parseQuery(ctx.querystring), 'parameter');
    answerJson(ctx, 200, JSON.stringify(statistics.read()));
  });
};
