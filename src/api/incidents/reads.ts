import type Router from '@koa/router';
import type { Context, Middleware } from 'koa';
import { RecorderError } from '../../errors.ts';
import { answerIncident, answerJsonList } from '../respond.ts';
import { writeCursor } from './cursor.ts';
import { matchesTag } from '../request/if-none-match.ts';
import { linkToNext } from './link.ts';
import { readListQuery } from './list-query.ts';
import type { ApiParts } from '../dependencies.ts';
import { parseQuery } from '../request/query.ts';
import { historySchema, idSchema } from '../request/fields.ts';
import { validate } from '../request/validate.ts';

/** Reading incidents: the list, one of them, and what the audit log says of one. */
export const addIncidentRoutes = (
  router: Router,
  large: Middleware,
  { incidents }: Pick<ApiParts, 'incidents'>,
): void => {
  router.get('/api/v1/incidents', large, (ctx) => {
    const { documents, next } = incidents.list(readListQuery(ctx.querystring));
    if (next !== undefined) ctx.set('Link', linkToNext(ctx.path, ctx.querystring, 'cursor', writeCursor(next)));
    answerJsonList(ctx, 200, documents);
  });

  router.get('/api/v1/incidents/get', (ctx) => {
    answerIncident(ctx, 200, found(incidents.get(idOf(ctx))));
    ctx.set('Cache-Control', 'no-cache');
    if (matchesTag(ctx.get('If-None-Match'), ctx.response.get('ETag'))) ctx.status = 304;
  });

  router.get('/api/v1/incidents/history', large, async (ctx) => {
    const { id, after } = validate(historySchema, parseQuery(ctx.querystring), 'parameter', 'id parameter required');
    const { lines, next } = found(await incidents.history(id[0] ?? '', Number(after?.[0] ?? 0)));
    if (next !== undefined) ctx.set('Link', linkToNext(ctx.path, ctx.querystring, 'after', String(next)));
    answerJsonList(ctx, 200, lines);
  });
};

const idOf = ({ querystring }: Context): string =>
  validate(idSchema, parseQuery(querystring), 'parameter', 'id parameter required').id[0] ?? '';

const found = <T>(value: T | undefined): T => {
  if (value === undefined) throw new RecorderError('not_found', 'incident not found');
  return value;
};
