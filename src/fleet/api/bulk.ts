/**
 * A command on many incidents of many machines: on all that a filter selects, or on those that are named.
 *
 * It is the recorder's, with a machine in it. A preview says what is selected and what would become of it. Each request then
 * gives the command to a few incidents, the most severe first: that is a command to the machine of each, which decides, and
 * whose answer is shown. The cursor in the answer goes on from there, also after a crash; what was reported since the
 * preview, or the first request, is left out.
 */
import type { Context } from 'koa';
import { sql } from 'kysely';
import * as z from 'zod/mini';
import type { IncidentContext } from '../../../machines/incident.ts';
import {
  type IncidentClass,
  type RecoveryStep,
  type Role,
  SEVERITIES,
  type State,
} from '../../../machines/vocabulary.ts';
import { BULK_ACTS, BULK_ROLES, requireOwnMembers } from '../../api/incidents/bulk-acts.ts';
import { bulkDigest } from '../../api/incidents/bulk-cursor.ts';
import { readBulkFilter } from '../../api/incidents/bulk-filter.ts';
import { readFilter } from '../../api/incidents/list-query.ts';
import { type BulkActName, bulkSchema } from '../../api/incidents/requests.ts';
import type { Admission } from '../../api/middleware/admission.ts';
import { admittedIn, missingRole } from '../../api/middleware/authentication.ts';
import { readingOf } from '../../api/middleware/read-access.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { filled, textOf } from '../../api/request/fields.ts';
import { preferredWait } from '../../api/request/prefer.ts';
import { parseQuery } from '../../api/request/query.ts';
import { readBody } from '../../api/request/read.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import { SECOND } from '../../clock.ts';
import type { BulkPreview, BulkResult } from '../../domain/bulk-command.ts';
import { RecorderError } from '../../errors.ts';
import { foreseen } from '../../incidents/foreseen.ts';
import { canonicalForm } from '../../json/canonical-form.ts';
import type { JsonValue } from '../../json/exact-json.ts';
import { isWithin, type MachineBounds } from '../access.ts';
import {
  type BulkAct,
  type BulkActRow,
  BulkActs,
  type BulkCounts,
  keyOf,
  type ListedActRow,
  type Selected,
} from '../bulk-acts.ts';
import { type CommandRow, type FleetCommands, reasonOf } from '../commands.ts';
import type { FleetDatabase } from '../database.ts';
import { pageOfActs } from './act-routes.ts';
import { actorIn } from './acting.ts';
import { COMMAND_FORMS, type CommandForm, expiry, USUAL_EXPIRY } from './command-forms.ts';
import { byIn, keyOf as keyIn, leaving, roleFor } from './commands.ts';
import type { FleetDependencies } from './dependencies.ts';
import { contextsOf, documentsOf, type IncidentKey } from './documents.ts';
import { FleetList } from './incident-list.ts';
import { unsearchedIn } from './incidents.ts';
import { anyText, type FleetQuery } from './list-filter.ts';
import { paged, pageOf, paging } from './paging.ts';
import { readingIn } from './reading.ts';
import { inOrder, previewOfKeys, uncertainAmong } from './release-preview.ts';
import { isOfScope, scopeOf } from './scope.ts';
import { Silencing } from './silencing.ts';

/** How many incidents one act may be about. */
const MOST_SELECTED = 10_000;
/** How many of them a preview asks what would become of them. */
const MOST_JUDGED = 1000;
/** How many incidents a request works when it does not say. */
const USUAL = 25;
/** How many are selected in one query, and how many commands are stored at a time. */
const PAGE = 1000;
const AT_ONCE = 4;
const REQUIRED = 'command and filter, or incidents, are required';
const INCIDENTS = `incidents must be a list of 1 to ${MOST_SELECTED} objects with machine and id`;

const fleetBulkSchema = z.strictObject({
  ...z.omit(bulkSchema, { filter: true }).shape,
  filter: z.exactOptional(bulkSchema.shape.filter),
  incidents: z.exactOptional(
    z
      .array(z.strictObject({ machine: filled(INCIDENTS), id: filled(INCIDENTS) }, INCIDENTS), INCIDENTS)
      .check(z.minLength(1, INCIDENTS), z.maxLength(MOST_SELECTED, INCIDENTS)),
  ),
  expires_in: expiry(),
  idempotency_key: z.exactOptional(textOf('idempotency_key', 255)),
});

type Body = z.infer<typeof fleetBulkSchema>;

const listSchema = z.strictObject(paging());

const PATH = '/api/v1/incidents/bulk';

export const bulkRoutes = (
  dependencies: FleetDependencies,
  commands: FleetCommands,
  { command }: Pick<Admission, 'command'>,
): readonly ApiRoute[] => {
  const acts = new BulkActs(dependencies.db);
  return [
    {
      method: 'POST',
      path: PATH,
      before: command(...BULK_ROLES),
      handle: async (ctx) => {
        const body = readBody(ctx, fleetBulkSchema, REQUIRED);
        if ((body.filter === undefined) === (body.incidents === undefined))
          throw new RecorderError('invalid_request', `${REQUIRED}: one of filter and incidents`);
        requireRole(ctx, BULK_ACTS[body.command].roles);
        requireOwnMembers({ filter: {}, ...body }, dependencies.clock.now());
        const digest = digestOf(body);
        const place = body.cursor === undefined ? undefined : readCursor(body.cursor, digest);
        if (body.preview === true || body.dry_run === true) {
          const previewed = await previewSelection(dependencies, ctx, body, place?.at, acts, digest);
          respondJson(ctx, 200, JSON.stringify(previewed));
          return;
        }
        const { name: principal } = actorIn(ctx);
        const name = place?.act ?? acts.nameOf(principal, keyIn(ctx, body.idempotency_key));
        const act =
          (await acts.find(name)) ?? (await begun(dependencies, ctx, body, acts, { name, digest, at: place?.at }));
        requireSame(act.detail, body, principal, digest);
        await work(dependencies, ctx, commands, acts, act, place?.index ?? 0, body.limit ?? USUAL);
      },
    },
    {
      method: 'GET',
      path: PATH,
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx, ['operator', 'recovery', 'auditor']);
        const page = pageOf(validate(listSchema, parseQuery(reading.query), 'parameter'), 2);
        const rows = await pageOfActs(ctx, page, acts.stored);
        const { machines, reader } = reading;
        const seen = machines === undefined ? undefined : new Set(machines);
        const own = rows.filter((row) => totalOf(row, seen) > 0);
        const totals = new Map(own.map((row) => [row.id, totalOf(row, seen)]));
        const counts = await acts.countsOf(totals, machines);
        const shown = own.map((row) => shownAct(row, counts.get(row.id)!, totalOf(row, undefined), reader.words));
        respondJson(ctx, 200, JSON.stringify(shown));
      },
    },
    {
      method: 'GET',
      path: `${PATH}/:act`,
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx, ['operator', 'recovery', 'auditor']);
        const page = pageOf(validate(listSchema, parseQuery(reading.query), 'parameter'), 1);
        const row = await acts.find(String(ctx.params.act));
        // Machines that the reader may not see are left out.
        const seen = row === undefined ? [] : seenOf(row.detail, reading.machines);
        if (row === undefined || seen.length === 0) throw new RecorderError('not_found', 'act not found');
        const from = Number(page.after?.[0] ?? 0);
        const some = seen.slice(from, from + page.limit + 1);
        const incidents = paged(ctx, page, some, () => [String(from + page.limit)]);
        const known = await acts.commandsOf(row.id, incidents);
        const { words } = reading.reader;
        const counts = await acts.countsOf(new Map([[row.id, seen.length]]), reading.machines);
        respondJson(
          ctx,
          200,
          JSON.stringify({
            ...shownAct(row, counts.get(row.id)!, row.detail.incidents.length, words),
            ...cursorOf(row),
            incidents: incidents.map((one) => shownFate(one, known.get(keyOf(one)), words)),
          }),
        );
      },
    },
  ];
};

/** @throws RecorderError `forbidden` */
function requireRole(ctx: Context, roles: readonly Role[]): void {
  const { principal } = admittedIn(ctx);
  if (!principal.roles.some((role) => roles.includes(role))) throw missingRole(principal, roles);
}

/** What each command says, apart from the incident. */
const wordsOf = ({ note, resolution, to, until }: Body): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries({ note, resolution, to, until }).filter(([, value]) => value !== undefined));

const digestOf = ({ command, filter, incidents }: Body): string => {
  const named = incidents === undefined ? filter : { incidents };
  return bulkDigest(command, named as Readonly<Record<string, readonly string[]>>);
};

interface Place {
  readonly act: string;
  /** When the selection was made, in milliseconds since the epoch by the clock of the database. */
  readonly at: number;
  /** How many incidents were worked. */
  readonly index: number;
}

const writeCursor = ({ act, at, index }: Place, digest: string): string =>
  Buffer.from(`bulk.${act}.${at}.${index}.${digest}`).toString('base64url');

const PLACE = /^bulk\.(ACT-[0-9a-f]{24})\.(\d{1,15})\.(\d{1,6})\.([0-9a-f]{16})$/;

/** @throws RecorderError `invalid_request` as the recorder's */
function readCursor(text: string, digest: string): Place {
  const [, act, at, index, its] = PLACE.exec(Buffer.from(text, 'base64url').toString('latin1')) ?? [];
  if (act === undefined) throw new RecorderError('invalid_request', 'invalid cursor');
  if (its !== digest) throw new RecorderError('invalid_request', 'the cursor is that of another command or filter');
  return { act, at: Number(at), index: Number(index) };
}

/** @throws RecorderError `not_found` for an act of somebody else; `idempotency_mismatch` for another command */
function requireSame(act: BulkAct, body: Body, principal: string, digest: string): void {
  if (act.principal !== principal) throw new RecorderError('not_found', 'act not found');
  const given = wordsOf(body);
  const kept = Object.fromEntries(Object.keys(given).map((name) => [name, act.body[name]]));
  if (act.digest === digest && formOf(given) === formOf(kept)) return;
  throw new RecorderError('idempotency_mismatch', 'this Idempotency-Key or cursor was used with another act');
}

const formOf = (value: object): string => canonicalForm(value as unknown as JsonValue);

/** Stores a new act with what it selects now. @throws RecorderError `limit_reached` */
async function begun(
  dependencies: FleetDependencies,
  ctx: Context,
  body: Body,
  acts: BulkActs,
  { name, digest, at }: { readonly name: string; readonly digest: string; readonly at: number | undefined },
): Promise<BulkActRow> {
  const { rows } = await selected(dependencies, ctx, body, at);
  const { by, rest } = byIn(ctx, body.by === undefined ? {} : { by: body.by });
  const act = await acts.store({
    act: name,
    command: body.command,
    filter: body.filter === undefined ? null : (body.filter as BulkAct['filter']),
    digest,
    body: { ...wordsOf(body), ...rest },
    principal: actorIn(ctx).name,
    by,
    good_for: (body.expires_in ?? USUAL_EXPIRY) * SECOND,
    incidents: rows.map(({ machine, id }) => [machine, id] as const),
  });
  if (act === undefined) throw new RecorderError('internal', 'an act that was stored is not there');
  return act;
}

/** An incident that is selected, as far as it is counted. */
interface Outline extends IncidentKey {
  readonly class: IncidentClass;
  readonly state: State;
  readonly rank: number;
  readonly assignee: string | null;
  readonly drill: number;
}

interface Selection {
  /** The most severe first. */
  readonly rows: readonly Outline[];
  /** When it was made, by the clock of the database. */
  readonly at: number;
  /** What a search has not looked at. */
  readonly unsearched: readonly string[];
}

/**
 * The incidents that a filter selects, or that are named, on machines that the principal may act on.
 * @param at leaves out what was reported later; the clock of the database
 * @throws RecorderError `invalid_request`; `limit_reached` for more than an act may be about
 */
async function selected(
  dependencies: FleetDependencies,
  ctx: Context,
  { filter, incidents }: Pick<Body, 'filter' | 'incidents'>,
  at: number | undefined,
): Promise<Selection> {
  const { db } = dependencies;
  const { machines: bounds } = actorIn(ctx);
  const now = (await sql<{ now: Date }>`SELECT clock_timestamp() AS now`.execute(db)).rows[0]!.now.getTime();
  if (incidents !== undefined) {
    const { machines } = await scopeOf(db, '', bounds);
    const seen = machines === undefined ? undefined : new Set(machines);
    const own = await ownNames(db, incidents);
    const rows = await outlinesOf(
      db,
      own.filter(({ machine }) => seen?.has(machine) ?? true),
    );
    return { rows, at: at ?? now, unsearched: [] };
  }
  const { machines, ...query } = await readSelection(dependencies, ctx, filter as Readonly<Record<string, unknown>>);
  const keys = await keysOf(dependencies, { ...query, machines });
  const rows = (await outlinesOf(db, keys)).filter(({ stored }) => at === undefined || stored <= at);
  return { rows, at: at ?? now, unsearched: await unsearchedIn(db, { ...query, machines, limit: 1 }) };
}

/** Incidents by the own names of their machines, each once: who names a machine may take the name that it is shown with. */
async function ownNames(db: FleetDatabase, incidents: readonly Selected[]): Promise<readonly Selected[]> {
  const shown = [...new Set(incidents.map(({ machine }) => machine))];
  const rows = await db
    .selectFrom('machines')
    .select(['machine', 'name'])
    .where((or) => or.or([or('machine', 'in', shown), or('name', 'in', shown)]))
    .execute();
  // Its own name comes first.
  const own = new Map([
    ...rows.map(({ machine, name }) => [name, machine] as const),
    ...rows.map(({ machine }) => [machine, machine] as const),
  ]);
  const named = incidents.map(({ machine, id }) => ({ machine: own.get(machine) ?? machine, id }));
  return [...new Map(named.map((one) => [keyOf(one), one])).values()];
}

/** The filter of a request: the recorder's, and which machines. */
async function readSelection(
  { db, clock, readEvidence = 'open' }: FleetDependencies,
  ctx: Context,
  filter: Readonly<Record<string, unknown>>,
): Promise<Omit<FleetQuery, 'limit'>> {
  const principal = actorIn(ctx);
  const scoped = new URLSearchParams();
  const rest: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(filter)) {
    if (!isOfScope(name)) rest[name] = value;
    else for (const one of [value ?? []].flat()) scoped.append(name, String(one));
  }
  const { machines } = await scopeOf(db, scoped.toString(), principal.machines);
  const reader = readingOf(principal, { readEvidence });
  const isScoped = [...scoped.values()].some((value) => value !== '');
  // All incidents of some machines are a selection, all of the fleet are none.
  const isBare = isScoped && Object.keys(rest).length === 0;
  const query = isBare ? readFilter({}, clock.now(), reader) : readBulkFilter(rest, clock.now(), reader).query;
  return { ...query, machines };
}

/** @throws RecorderError `limit_reached` */
async function keysOf(
  { db, few, mostLookedAt }: FleetDependencies,
  query: Omit<FleetQuery, 'limit'>,
): Promise<readonly IncidentKey[]> {
  const list = new FleetList(db, few, mostLookedAt);
  const silencing = query.attention && (await Silencing.read(db, query.attention, query.machines));
  const keys: IncidentKey[] = [];
  let after: Parameters<FleetList['read']>[0]['after'];
  do {
    const page = await list.read(
      { ...query, limit: PAGE, bytes: Infinity, ...(after !== undefined && { after }) },
      silencing,
    );
    keys.push(...page.incidents.map(({ machine, log, id }) => ({ machine, log, id })));
    if (keys.length > MOST_SELECTED)
      throw new RecorderError('limit_reached', `these are more than ${MOST_SELECTED} incidents; name more filters`);
    after = page.next;
  } while (after !== undefined);
  return keys;
}

/** Incidents as they are counted, in the order that is given, and when each was stored here. */
async function outlinesOf(
  db: FleetDatabase,
  keys: readonly Selected[],
): Promise<readonly (Outline & { readonly stored: number })[]> {
  if (keys.length === 0) return [];
  const { rows } = await sql<Outline & { readonly stored_at: Date | null }>`
    SELECT i.machine, i.log, i.id, i.class, i.state, i.rank, i.assignee, i.drill, (
      SELECT e.stored_at FROM entries e WHERE e.machine = i.machine AND e.log = i.log AND e.seq = i.number) AS stored_at
    FROM unnest(${keys.map(({ machine }) => machine)}::text[], ${keys.map(({ id }) => id)}::text[])
      WITH ORDINALITY AS k (machine, id, place)
    JOIN incidents i ON i.machine = k.machine AND i.id = k.id AND i.current ORDER BY k.place`.execute(db);
  return rows.map(({ stored_at: at, ...row }) => ({ ...row, stored: at?.getTime() ?? 0 }));
}

/** What would become of a selection. Nothing changes. */
async function previewSelection(
  dependencies: FleetDependencies,
  ctx: Context,
  body: Body,
  at: number | undefined,
  acts: BulkActs,
  digest: string,
): Promise<object> {
  const { db } = dependencies;
  const { rows, at: made, unsearched } = await selected(dependencies, ctx, body, at);
  if (unsearched.length > 0) ctx.set('Search-Incomplete', unsearched.join(', '));
  const judged = await judge(db, rows.slice(0, MOST_JUDGED), body, admittedIn(ctx).principal.roles);
  const isWhole = rows.length <= MOST_JUDGED;
  const resolves = body.command === 'resolve';
  const releases = resolves && isWhole ? (await previewOfKeys(db, judged.moving, 'resolve')).actions : undefined;
  const missing = resolves ? await missingOf(db, judged.refusing) : undefined;
  const uncertain = await uncertainAmong(
    dependencies,
    rows.map(({ machine }) => machine),
  );
  const principal = actorIn(ctx).name;
  const act = acts.nameOf(principal, keyIn(ctx, body.idempotency_key));
  const preview: BulkPreview = {
    matched: rows.length,
    complete: true,
    machines: sums(rows, ({ machine }) => machine),
    ...(uncertain.length > 0 && { uncertain }),
    classes: sums(rows, (row) => row.class),
    severities: sums(rows, ({ rank }) => SEVERITIES[rank] ?? ''),
    states: sums(rows, ({ state }) => state),
    allowed: judged.moving.length,
    unchanged: judged.unchanged,
    refused: judged.refused,
    ...(judged.lacking > 0 && { needs: { roles: judged.needs, count: judged.lacking } }),
    ...(!isWhole && { judged: MOST_JUDGED }),
    ...(releases !== undefined && { actions: inOrder(releases) }),
    ...(missing !== undefined && { missing }),
    snapshot: writeCursor({ act, at: made, index: 0 }, digest),
  };
  return preview;
}

const sums = (rows: readonly Outline[], nameOf: (row: Outline) => string): Readonly<Record<string, number>> =>
  Object.fromEntries([...Map.groupBy(rows, nameOf)].map(([name, some]) => [name, some.length]));

/** What the statecharts of incidents would say, as far as the fleet knows how these are. */
async function judge(db: FleetDatabase, rows: readonly Outline[], body: Body, roles: readonly Role[]) {
  const { foresee } = BULK_ACTS[body.command];
  const moving: Outline[] = [];
  const refusing: Outline[] = [];
  const refused: Record<string, number> = {};
  let unchanged = 0;
  let lacking = 0;
  let needs: readonly Role[] = [];
  for (const row of await contextsOf(db, rows)) {
    const context = JSON.parse(row.context) as IncidentContext;
    const wouldDo = (__: string, type: Parameters<typeof foreseen>[1]) => foreseen({ value: row.state, context }, type);
    const outline = { ...row, number: 0, source: '', containment: null };
    const seen = foresee({ wouldDo }, outline, { filter: {}, ...body });
    if (seen === undefined) continue;
    const lacks =
      seen.kind !== 'unchanged' && seen.needs !== undefined && !seen.needs.some((role) => roles.includes(role));
    if (lacks) [needs, lacking] = [seen.needs, lacking + 1];
    if (seen.kind === 'moved' && !lacks) moving.push(row);
    else if (seen.kind === 'unchanged') unchanged += 1;
    else {
      refused[row.state] = (refused[row.state] ?? 0) + 1;
      if (row.state !== 'resolved') refusing.push(row);
    }
  }
  return { moving, refusing, refused, unchanged, lacking, needs };
}

/** How many incidents need each step of their recovery before they can be resolved; undefined when none does. */
async function missingOf(db: FleetDatabase, refusing: readonly Outline[]): Promise<BulkPreview['missing']> {
  const { incidents } = await previewOfKeys(db, refusing, 'resolve');
  const counts: Partial<Record<RecoveryStep, number>> = {};
  for (const step of incidents.flatMap(({ missing = [] }) => missing)) counts[step] = (counts[step] ?? 0) + 1;
  return Object.keys(counts).length === 0 ? undefined : counts;
}

/** What became of one incident: as the recorder's, and which command it was. */
interface FleetBulkResult extends BulkResult {
  readonly machine: string;
  readonly command: string | null;
}

/** Gives the command to the next incidents of an act, and answers with what became of them while the request waits. */
async function work(
  dependencies: FleetDependencies,
  ctx: Context,
  commands: FleetCommands,
  acts: BulkActs,
  { id, at, detail }: BulkActRow,
  from: number,
  limit: number,
): Promise<void> {
  const { clock } = dependencies;
  const seconds = preferredWait(ctx.req.headers.prefer as string | undefined) ?? 0;
  const until = clock.monotonic() + seconds * SECOND;
  const left = leaving(ctx);
  const some = detail.incidents.slice(from, from + limit).map(([machine, incident]) => ({ machine, id: incident }));
  const given = await give(dependencies, ctx, commands, acts, detail, some);
  const results: FleetBulkResult[] = [];
  for (const one of given) {
    if (one.row === undefined) results.push(one.result);
    else {
      const row = await commands.settled(one.row, Math.max(0, until - clock.monotonic()), left);
      results.push(resultOf(row, one.version));
    }
  }
  if (seconds > 0) ctx.set('Preference-Applied', `wait=${seconds}`);
  ctx.set('Location', `${PATH}/${id}`);
  const index = from + some.length;
  const remaining = detail.incidents.length - index;
  await acts.noteAsked(id, index);
  const isDone = remaining <= 0;
  const cursor = writeCursor({ act: id, at: at.getTime(), index }, detail.digest);
  // Whether all were given; what became of them is in the act.
  const answer = { act: id, results, done: isDone, ...(!isDone && { remaining, cursor }) };
  respondJson(ctx, results.some(({ status }) => status === 202) ? 202 : 200, JSON.stringify(answer));
}

type Given =
  /** The version of the incident before; undefined where the command was given earlier. */
  | { readonly row: CommandRow; readonly version: number | undefined; readonly result?: undefined }
  | { readonly row?: undefined; readonly result: FleetBulkResult };

async function give(
  { db }: FleetDependencies,
  ctx: Context,
  commands: FleetCommands,
  acts: BulkActs,
  act: BulkAct,
  some: readonly Selected[],
): Promise<readonly Given[]> {
  const form = formFor(act.command as BulkActName);
  const targets = await targetsOf(db, some, actorIn(ctx).machines);
  const known = await incidentsOf(db, some);
  const earlier = await acts.commandsOf(act.act, some);
  const given: Given[] = [];
  const one = async (incident: Selected): Promise<Given> => {
    const { machine, id } = incident;
    const refused = (status: number, error: string): Given => ({
      result: { machine, id, command: null, status, error },
    });
    const found = known.get(keyOf(incident));
    const target = targets.get(machine);
    if (target === undefined) return refused(404, 'incident not found');
    // A request that is sent again gets what it got, whatever has become of incident, machine and roles.
    const row = earlier.get(keyOf(incident));
    if (row !== undefined) return { row, version: undefined };
    if (found === undefined) return refused(404, 'incident not found');
    if (target.isRevoked) return refused(409, `${machine} was revoked: it fetches no commands`);
    try {
      const { row: issued, isNew } = await commands.issue({
        machine,
        log: target.log,
        command: form.command,
        incident: id,
        body: { id, ...act.body },
        // Of this incident, and so of this machine: the same name at every process.
        key: `${act.act} ${id}`,
        principal: act.principal,
        by: act.by,
        role: roleFor(ctx, form, found),
        goodFor: act.good_for,
        act: act.act,
      });
      return { row: issued, version: isNew ? found.version : undefined };
    } catch (error) {
      if (!(error instanceof RecorderError) || error.status >= 500) throw error;
      return { result: { ...error.fields, machine, id, command: null, status: error.status, error: error.message } };
    }
  };
  for (let at = 0; at < some.length; at += AT_ONCE)
    given.push(...(await Promise.all(some.slice(at, at + AT_ONCE).map(one))));
  return given;
}

const formFor = (command: BulkActName): CommandForm => COMMAND_FORMS.find((form) => form.command === command)!;

/** The logs of machines that commands go to: those that the principal may act on now. */
async function targetsOf(db: FleetDatabase, some: readonly Selected[], bounds: MachineBounds) {
  const { rows } = await sql<{
    machine: string;
    labels: Readonly<Record<string, string>>;
    identity: string;
    revoked_at: Date | null;
  }>`
    SELECT l.machine, m.labels, l.identity, m.revoked_at FROM logs l JOIN machines m ON m.machine = l.machine
    WHERE l.active AND l.machine = ${anyText([...new Set(some.map(({ machine }) => machine))])}`.execute(db);
  const own = rows.filter(({ labels }) => isWithin(labels, bounds));
  return new Map(
    own.map(({ machine, identity, revoked_at }) => [machine, { log: identity, isRevoked: revoked_at !== null }]),
  );
}

async function incidentsOf(db: FleetDatabase, some: readonly Selected[]) {
  const { rows } = await sql<IncidentKey & { version: number }>`
    SELECT i.machine, i.log, i.id, i.version
    FROM unnest(${some.map(({ machine }) => machine)}::text[], ${some.map(({ id }) => id)}::text[]) AS k (machine, id)
    JOIN incidents i ON i.machine = k.machine AND i.id = k.id AND i.current`.execute(db);
  return new Map((await documentsOf(db, rows)).map((row) => [keyOf(row), row]));
}

/** What a command has come to, as the recorder says it of its own. @param version of the incident before, where it is known */
function resultOf(row: CommandRow, version: number | undefined): FleetBulkResult {
  const { machine, incident, id: command, status, answered, result } = row;
  const about = { machine, id: incident ?? '', command };
  if (status === 'pending') return { ...about, status: 202 };
  const body = bodyOf(result);
  if (status === 'done') {
    const state = typeof body.state === 'string' ? { state: body.state as State } : {};
    const change = body.version === version ? 'unchanged' : 'moved';
    return { ...about, status: answered ?? 200, ...(version !== undefined && { change }), ...state };
  }
  const error = reasonOf(row) ?? status;
  if (status === 'expired') return { ...about, status: 410, error };
  const { state, allowed, missing } = body;
  return JSON.parse(
    JSON.stringify({ ...about, status: answered ?? 409, state, allowed, missing, error }),
  ) as FleetBulkResult;
}

function bodyOf(text: string | null): Readonly<Record<string, unknown>> {
  try {
    const body: unknown = JSON.parse(text ?? '{}');
    return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** The incidents of an act on machines that its reader may see. */
function seenOf({ incidents }: BulkAct, machines: readonly string[] | undefined): readonly Selected[] {
  const seen = machines === undefined ? undefined : new Set(machines);
  return incidents.flatMap(([machine, id]) => ((seen?.has(machine) ?? true) ? [{ machine, id }] : []));
}

/** How many incidents of an act are on machines that its reader may see. */
const totalOf = ({ detail: { machines } }: ListedActRow, seen: ReadonlySet<string> | undefined): number =>
  Object.entries(machines).reduce((sum, [machine, count]) => sum + ((seen?.has(machine) ?? true) ? count : 0), 0);

/** Where its client goes on with an act that is not finished. */
const cursorOf = ({ id, at, asked, detail }: BulkActRow): object =>
  asked < detail.incidents.length
    ? { cursor: writeCursor({ act: id, at: at.getTime(), index: asked }, detail.digest) }
    : {};

/** @param all how many incidents it has, also on machines that its reader does not see */
const shownAct = (
  { id, at, asked, detail }: Pick<BulkActRow | ListedActRow, 'id' | 'at' | 'asked' | 'detail'>,
  counts: BulkCounts,
  all: number,
  words: boolean,
): object => {
  const { command, filter, body, by } = detail;
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return {
    act: id,
    command,
    // Searches hold words of people.
    filter: words ? filter : null,
    note: words && typeof body.note === 'string' ? body.note : null,
    by,
    at: at.toISOString(),
    count: total,
    // It goes on only while its client asks for the next ones.
    finished: asked >= all,
    ...counts,
  };
};

const shownFate = ({ machine, id }: Selected, row: CommandRow | undefined, words: boolean): object => ({
  machine,
  id,
  command: row?.id ?? null,
  status: row?.status ?? 'left',
  reason: row === undefined || !words ? null : reasonOf(row),
});
