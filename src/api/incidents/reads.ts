import type { Context } from 'koa';
import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import { evidenceWithheld, readerOf } from '../middleware/read-access.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { ID_REQUIRED, idSchema } from '../request/fields.ts';
import { matchesTag } from '../request/if-none-match.ts';
import { readParameters } from '../request/read.ts';
import { peerOf, turnsOf } from '../server/peer.ts';
import { respondIncident, respondJsonList } from '../respond.ts';
import { writeCursor } from './cursor.ts';
import { linkToNext } from './link.ts';
import { readListQuery } from './list-query.ts';
import { historySchema, similarSchema } from './requests.ts';
import { writeExact } from '../../json/canonical-form.ts';
import type { JsonValue } from '../../json/exact-json.ts';
import type { Unsearched } from '../../projections/incident-list.ts';
import { MAX_PAGE_BYTES } from '../../query/collapsed-page.ts';
import type { SimilarIncident } from '../../query/similar-evidence.ts';
import type { IncidentDocument } from '../../domain/document.ts';
import type { Incident } from '../../domain/incident.ts';
import { type Reader, shownIncident, shownLine } from '../../domain/withheld.ts';
import type { Policy } from '../../policy/policy.ts';
import { found } from '../../errors.ts';

/** Readers without the token get shorter pages of large incidents: many of them together must fit in memory. */
const STRANGERS_PAGE_BYTES = 256 * 1024;

/**
 * Reads incidents: the list, one of them, and what the audit log says of one. What services have answered, and evidence
 * where it is restricted, is shown to some roles only.
 */
export const incidentRoutes = (
  {
    incidents,
    policy,
    clock,
    ...dependencies
  }: Pick<ApiDependencies, 'incidents' | 'policy' | 'clock' | 'access' | 'readEvidence'>,
  { large }: Pick<Admission, 'large'>,
): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/incidents',
    before: large,
    handle: async (ctx) => {
      const reader = readerOf(dependencies, ctx);
      const query = readListQuery(ctx.querystring, clock.now(), reader);
      const { documents, next, total, unsearched } = incidents.list({
        ...query,
        ...(query.isSummary === true && reader.words && { isJoined: true }),
        ...(!peerOf(ctx.req).trusted && { bytes: STRANGERS_PAGE_BYTES }),
      });
      sayUnsearched(ctx, unsearched);
      if (next !== undefined) ctx.set('Link', linkToNext(ctx.path, ctx.querystring, 'cursor', writeCursor(next)));
      if (total !== undefined) ctx.set('X-Total-Count', String(total));
      ctx.vary('Authorization');
      const isWhole = reader.words && (reader.evidence || query.isSummary === true);
      respondJsonList(ctx, 200, isWhole ? documents : await inTurns(ctx, documents, (one) => documentFor(one, reader)));
    },
  },
  {
    method: 'GET',
    path: '/api/v1/incidents/get',
    handle: (ctx) => {
      const { id } = readParameters(ctx, idSchema, ID_REQUIRED);
      const incident = found(incidents.get(id[0] ?? ''));
      const shown = { ...incident, json: shownIncident(incident.json, readerOf(dependencies, ctx)) };
      const runbook = runbookFor(incident, policy.current);
      respondIncident(ctx, 200, runbook === undefined ? shown : withRunbook(shown, runbook));
      // The runbook is the policy's: the version, which is the tag, stays the same when it changes.
      ctx.set('Cache-Control', runbook === undefined ? 'no-cache' : 'no-store');
      ctx.vary('Authorization');
      if (runbook !== undefined) return;
      if (matchesTag(ctx.get('If-None-Match'), ctx.response.get('ETag'))) ctx.status = 304;
    },
  },
  {
    method: 'GET',
    path: '/api/v1/incidents/similar',
    before: large,
    handle: async (ctx) => {
      const { id, limit } = readParameters(ctx, similarSchema, ID_REQUIRED);
      const reader = readerOf(dependencies, ctx);
      ctx.vary('Authorization');
      if (!reader.evidence) throw evidenceWithheld();
      const similar = found(incidents.similar(id[0] ?? '', Number(limit?.[0] ?? SIMILAR)));
      const most = peerOf(ctx.req).trusted ? MAX_PAGE_BYTES : STRANGERS_PAGE_BYTES;
      const shown = withinBytes(similar, most);
      respondJsonList(ctx, 200, await inTurns(ctx, shown, (one) => similarFor(one, reader)));
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
      const reader = readerOf(dependencies, ctx);
      respondJsonList(ctx, 200, await inTurns(ctx, lines, (line) => shownLine(line, reader)));
    },
  },
];

/** Says in a header what a search has not looked at. */
export function sayUnsearched(ctx: Context, unsearched: readonly Unsearched[] | undefined): void {
  if (unsearched !== undefined) ctx.set('Search-Incomplete', unsearched.join(', '));
}

/** What the policy in force says about what to do; undefined when it says nothing. */
function runbookFor({ json }: IncidentDocument, { runbooks }: Policy): string | undefined {
  return runbooks === undefined ? undefined : runbooks[(JSON.parse(json) as Incident).class];
}

const withRunbook = (incident: IncidentDocument, runbook: string): IncidentDocument => ({
  ...incident,
  json: `${incident.json.slice(0, -1)},"runbook":${JSON.stringify(runbook)}}`,
});

/** An incident of a page, as a reader gets it. */
const documentFor = (document: Uint8Array, reader: Reader): Uint8Array => {
  const json = Buffer.from(document.buffer, document.byteOffset, document.byteLength).toString();
  return Buffer.from(shownIncident(json, reader));
};

/** How many similar incidents are shown when nothing else is asked for. */
const SIMILAR = 20;

/** The first of the incidents, as many as fit a page, and at least one. */
function withinBytes(similar: readonly SimilarIncident[], most: number): readonly SimilarIncident[] {
  let bytes = 0;
  const end = similar.findIndex(({ json }, at) => (bytes += Buffer.byteLength(json)) > most && at > 0);
  return end === -1 ? similar : similar.slice(0, end);
}

const similarFor = ({ json, same }: SimilarIncident, reader: Reader): Uint8Array =>
  Buffer.from(`{"incident":${shownIncident(json, reader)},"same":${writeExact(same as unknown as JsonValue)}}`);

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
