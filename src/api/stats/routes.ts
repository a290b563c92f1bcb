import type Router from '@koa/router';
import { answerJson } from '../respond.ts';
import type { ApiParts } from '../dependencies.ts';
import { parseQuery } from '../request/query.ts';
import { hoursSchema, nothingSchema } from '../request/fields.ts';
import { validate } from '../request/validate.ts';

/** How many incidents there are by class, state and severity, and what happened in each of the last hours. */
export const addStatsRoute = (
  router: Router,
  { statistics, activity, clock }: Pick<ApiParts, 'statistics' | 'activity' | 'clock'>,
): void => {
  router.get('/api/v1/stats', (ctx) => {
    validate(nothingSchema, parseQuery(ctx.querystring), 'parameter');
    answerJson(ctx, 200, JSON.stringify(statistics.read()));
  });

  router.get('/api/v1/stats/hours', (ctx) => {
    const { hours } = validate(hoursSchema, parseQuery(ctx.querystring), 'parameter');
    answerJson(ctx, 200, JSON.stringify(activity.read(clock.now(), Number(hours?.[0] ?? 24))));
  });
};
