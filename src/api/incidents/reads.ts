import type { Context } from 'koa';
import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import { isTrustedReader } from '../middleware/read-access.ts';
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
import { publicIncident, shownLine } from '../../domain/withheld.ts';
import { found } from '../../errors.ts';

/** Readers without the token get shorter pages of large incidents: many of them together must fit in memory. */
const STRANGERS_PAGE_BYTES = 256 * 1024;

/**
 * Reads incidents: the list, one of them, and what the audit log says of one. What services have answered is shown to
 * readers with the token only.
 */
export const incidentRoutes = (
  { incidents, access }: Pick<ApiDependencies, 'incidents' | 'access'>,
  { large }: Pick<Admission, 'large'>,
): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/incidents',
    before: large,
    handle: async (ctx) => {
      const { documents, next } = incidents.list({
        ...readListQuery(ctx.querystring),
        ...(!peerOf(ctx.req).trusted && { bytes: STRANGERS_PAGE_BYTES }),
      });
      if (next !== undefined) ctx.set('Link', linkToNext(ctx.path, ctx.querystring, 'cursor', writeCursor(next)));
      ctx.vary('Authorization');
      const shown = isTrustedReader(access, ctx) ? documents : await inTurns(ctx, documents, publicDocument);
      respondJsonList(ctx, 200, shown);
    },
  },
  {
    method: 'GET',
    path: '/api/v1/incidents/get',
    handle: (ctx) => {
      const { id } = readParameters(ctx, idSchema, ID_REQUIRED);
      const incident = found(incidents.get(id[0] ?? ''));
      const isTrusted = isTrustedReader(access, ctx);
      respondIncident(ctx, 200, isTrusted ? incident : { ...incident, json: publicIncident(incident.json) });
      ctx.set('Cache-Control', 'no-cache');
      ctx.vary('Authorization');
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
      ctx.vary('Authorization');
      const isTrusted = isTrustedReader(access, ctx);
      respondJsonList(ctx, 200, await inTurns(ctx, lines, (line) => shownLine(line, isTrusted)));
    },
  },
];

/** An incident of a page, for anybody. */
const publicDocument = (document: Uint8Array): Uint8Array => {
  const json = Buffer.from(document.buffer, document.byteOffset, document.byteLength).toString();
  return Buffer.from(publicIncident(json));
};

/** How many items of a page are made in one turn: to rewrite all of them would hold up others. */
const IN_ONE_TURN = 64;

/** What `show` makes of the items, a few in each turn of the loop. */
async function inTurns<Item>(
  ctx: Context,
  items: readonly Item[],
  show: (item: Item) => Uint8Array,
): Promise<readonly Uint8Array[]> {
  const shown: Uint8Array[] = [];
  for (const [at, item] of items.entries()) {
    if (at > 0 && at % IN_ONE_TURN === 0) await peerOf(ctx.req).turn();
    shown.push(show(item));
  }
  return shown;
}
