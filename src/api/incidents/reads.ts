import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { ID_REQUIRED, idSchema } from '../request/fields.ts';
import { matchesTag } from '../request/if-none-match.ts';
import { readParameters } from '../request/read.ts';
import { peerOf, turnsOf } from '../server/peer.ts';
import { respondIncident, respondJsonList } from '../respond.ts';
import { writeCursor } from './cursor.ts';
import { linkToNext } from './link.ts';
import { readListQuery } from './list-query.ts';
import { historySchema } from './requests.ts';
import { found } from '../../errors.ts';

/** Readers without the token get shorter pages of large incidents: many of them together must fit in memory. */
const STRANGERS_PAGE_BYTES = 256 * 1024;

/** Reads incidents: the list, one of them, and what the audit log says of one. */
export const incidentRoutes = (
  { incidents }: Pick<ApiDependencies, 'incidents'>,
  { large }: Pick<Admission, 'large'>,
): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/incidents',
    before: large,
    handle: (ctx) => {
      const { documents, next } = incidents.list({
        ...readListQuery(ctx.querystring),
        ...(!peerOf(ctx.req).trusted && { bytes: STRANGERS_PAGE_BYTES }),
      });
      if (next !== undefined) ctx.set('Link', linkToNext(ctx.path, ctx.querystring, 'cursor', writeCursor(next)));
      respondJsonList(ctx, 200, documents);
    },
  },
  {
    method: 'GET',
    path: '/api/v1/incidents/get',
    handle: (ctx) => {
      const { id } = readParameters(ctx, idSchema, ID_REQUIRED);
      respondIncident(ctx, 200, found(incidents.get(id[0] ?? '')));
      ctx.set('Cache-Control', 'no-cache');
      if (matchesTag(ctx.get('If-None-Match'), ctx.response.get('ETag'))) ctx.status = 304;
    },
  },
  {
    method: 'GET',
    path: '/api/v1/incidents/history',
    before: large,
    handle: async (ctx) => {
      const { id, after } = readParameters(ctx, historySchema, ID_REQUIRED);
      const { lines, next } = found(await incidents.history(id[0] ?? '', Number(after?.[0] ?? 0), turnsOf(ctx.req)));
      if (next !== undefined) ctx.set('Link', linkToNext(ctx.path, ctx.querystring, 'after', String(next)));
      respondJsonList(ctx, 200, lines);
    },
  },
];
