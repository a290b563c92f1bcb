/**
 * Commands on all incidents that a filter selects.
 *
 * A preview says what is selected and what would become of it. The command is then carried out on a few incidents with
 * each request, each through its own actor and decision, most severe first. The cursor in the answer goes on from there,
 * also after a crash: what was reported since the first request is left out, and what is done already is unchanged.
 */
import type { Context } from 'koa';
import type * as z from 'zod/mini';
import type { Role } from '../../../machines/vocabulary.ts';
import { SECOND } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';
import type { Command } from '../../incidents/recorder.ts';
import { isOfIncident } from '../../projections/incident-proof.ts';
import type { BulkAnswer, BulkResult } from '../../domain/bulk-command.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import { admittedIn, missingRole } from '../middleware/authentication.ts';
import { readingOf } from '../middleware/read-access.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { readBody } from '../request/read.ts';
import { respondJson } from '../respond.ts';
import { BULK_ACTS, BULK_ROLES, requireOwnMembers } from './bulk-acts.ts';
import { bulkDigest, readBulkCursor, writeBulkCursor } from './bulk-cursor.ts';
import { readBulkFilter } from './bulk-filter.ts';
import { preview, restful, type Selection } from './bulk-preview.ts';
import { givenIn } from './commands.ts';
import { BULK_REQUIRED, bulkSchema } from './requests.ts';

type Dependencies = Pick<
  ApiDependencies,
  'recorder' | 'acts' | 'incidents' | 'preview' | 'clock' | 'log' | 'readEvidence'
>;
type Body = z.infer<typeof bulkSchema>;

/** How many incidents a request works when it does not say. */
export const USUAL_BULK = 25;
/** After so many milliseconds a request ends with a cursor, however many are left. */
const LONGEST = 5 * SECOND;
/** The status of what is wrong with the whole service, unless it is about one incident. */
const UNAVAILABLE = 503;
/** How many further incidents are counted as remaining. */
const MOST_REMAINING = 1000;

export const bulkRoutes = (
  dependencies: Dependencies,
  { command }: Pick<Admission, 'command'>,
): readonly ApiRoute[] => [
  {
    method: 'POST',
    path: '/api/v1/incidents/bulk',
    before: command(...BULK_ROLES),
    handle: async (ctx) => {
      const body = readBody(ctx, bulkSchema, BULK_REQUIRED);
      requireRole(ctx, BULK_ACTS[body.command].roles);
      requireOwnMembers(body, dependencies.clock.now());
      const { given, query } = readBulkFilter(
        body.filter as Readonly<Record<string, unknown>>,
        dependencies.clock.now(),
        readingOf(admittedIn(ctx).principal, dependencies),
      );
      const digest = bulkDigest(body.command, given);
      const after =
        body.cursor === undefined ? dependencies.incidents.beginning() : readBulkCursor(body.cursor, digest);
      const selection = { ...query, limit: 1, after };
      const isPreview = body.preview === true || body.dry_run === true;
      const answer = isPreview
        ? await preview(dependencies, ctx, body, selection, digest)
        : await work(dependencies, ctx, body, selection, digest);
      respondJson(ctx, 200, JSON.stringify(answer));
    },
  },
];

/** @throws RecorderError `forbidden` */
function requireRole(ctx: Context, roles: readonly Role[]): void {
  const { principal } = admittedIn(ctx);
  if (!principal.roles.some((role) => roles.includes(role))) throw missingRole(principal, roles);
}

async function work(
  dependencies: Dependencies,
  ctx: Context,
  body: Body,
  selection: Selection,
  digest: string,
): Promise<BulkAnswer> {
  const { incidents, clock } = dependencies;
  const { limit = USUAL_BULK } = body;
  const given = givenIn(ctx, body);
  const turn = restful(ctx);
  const deadline = clock.monotonic() + LONGEST;
  const { head, log } = selection.after;
  const results: BulkResult[] = [];
  let place = selection.after;
  const goOn = async (): Promise<RecorderError | 'paused' | 'done'> => {
    for (const slice of incidents.walk(selection)) {
      for (const { id, rank, number } of slice.outlines) {
        if (results.length >= limit || clock.monotonic() >= deadline) return 'paused';
        const result = await workOne(dependencies, body, { id, ...given });
        if (result instanceof RecorderError) return result;
        results.push(result);
        place = { rank, seq: number, head, ...(log !== undefined && { log }) };
      }
      place = { ...slice.place, ...(log !== undefined && { log }) };
      if (clock.monotonic() >= deadline) return 'paused';
      await turn();
    }
    return 'done';
  };
  const end = await goOn();
  if (end === 'done') return { results, done: true };
  const cursor = writeBulkCursor(place, digest);
  if (end instanceof RecorderError) {
    const { code, status, message, fields } = end;
    // Nothing was done: the client tries again as after any other 503.
    if (results.length === 0) throw new RecorderError(code, message, { fields: { ...fields, cursor }, cause: end });
    return { results, done: false, cursor, stopped: { status, error: message } };
  }
  const remaining = await countOf(incidents.walk({ ...selection, after: place }), turn);
  if (remaining === 0) return { results, done: true };
  return { results, done: false, ...(remaining <= MOST_REMAINING && { remaining }), cursor };
}

/** How many incidents are left; more than `MOST_REMAINING` when there are more than that. */
async function countOf(
  walk: ReturnType<Dependencies['incidents']['walk']>,
  turn: () => Promise<void>,
): Promise<number> {
  let count = 0;
  for (const { outlines } of walk) {
    count += outlines.length;
    if (count > MOST_REMAINING) break;
    await turn();
  }
  return count;
}

/**
 * Carries the command out on one incident.
 * @returns what became of it, or what is wrong with the whole service, so that the others need not be tried
 */
async function workOne(dependencies: Dependencies, body: Body, target: Command): Promise<BulkResult | RecorderError> {
  const { id } = target;
  try {
    const before = dependencies.incidents.get(id)?.version;
    const { incident, change } = await BULK_ACTS[body.command].perform(dependencies, target, body);
    const isSame = change === undefined ? incident.version === before : change === 'unchanged';
    return { id, status: 200, change: isSame ? 'unchanged' : 'moved', state: incident.state };
  } catch (error) {
    if (!(error instanceof RecorderError)) {
      // One bad incident does not stop the rest.
      dependencies.log.error({ err: error, incident: id }, 'a bulk command failed');
      return { id, status: 500, error: 'internal error' };
    }
    const { status, message, fields } = error;
    if (status === UNAVAILABLE && !isOfIncident(error)) return error;
    // What each event would do is long, and the same for all: it is left out of the answer.
    return { ...fields, transitions: undefined, id, status, error: message };
  }
}
