/**
 * What has changed, for whoever takes over.
 *
 * Of one machine, which `machine=` names: since an entry or a time, as its recorder shows it. Of several: since a place, which is
 * that of an event of the stream or of an earlier answer, or since a time. What the fleet has taken since then counts, whatever
 * the times of the entries are: so what a slow machine sends late is neither missed nor shown twice.
 */
import { sql } from 'kysely';
import * as z from 'zod/mini';
import { type State, STATES } from '../../../machines/vocabulary.ts';
import { changesSchema } from '../../api/incidents/requests.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { once } from '../../api/request/fields.ts';
import { parseTimestamp } from '../../api/request/timestamp.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import { isAboutIncident, readEntry } from '../../domain/entries.ts';
import { RecorderError } from '../../errors.ts';
import {
  type ChangedIncident,
  changedIncident,
  type ChangeEvent,
  type ChangesPage,
  gather,
  type Gathered,
  MOST_BYTES,
  MOST_CHARACTERS,
  MOST_ENTRIES,
  MOST_INCIDENTS,
  NOISE,
} from '../../query/incident-changes.ts';
import type { FleetDatabase } from '../database.ts';
import type { FleetDependencies } from './dependencies.ts';
import { documentsOf } from './documents.ts';
import { anyText, time } from './list-filter.ts';
import { entriesOf, parameters, pastOf } from './one-incident.ts';
import { type MachineLog, oneMachine } from './one-machine.ts';
import { type Reading, readingIn } from './reading.ts';
import { readNamed } from './scope.ts';
import {
  keyOf,
  type LogExtent,
  type LogName,
  OVERLAP,
  timeOfNewPlace,
  readStreamPlace,
  storedBefore,
  type StreamPlace,
  writeStreamPlace,
  writtenBefore,
} from './stream-place.ts';

/** As long as a place of a page between two others. */
const LONGEST_PLACE = 12_000;
const NO_PLACE = 'after must be a place: the id of an event, or what an earlier answer gave';

const fleetChangesSchema = z.strictObject({
  after: once('after', (text) => text.length <= LONGEST_PLACE, NO_PLACE),
  since: changesSchema.shape.since,
});

export const changesRoutes = (dependencies: FleetDependencies): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/incidents/changes',
    handle: async (ctx) => {
      const { db } = dependencies;
      const reading = await readingIn(dependencies, ctx);
      const isOfOne = readNamed(ctx.querystring).machines.length === 1;
      const schema = isOfOne ? changesSchema : fleetChangesSchema;
      const { after: [after] = [], since: [since] = [] } = validate(schema, parameters(reading), 'parameter');
      if ((after === undefined) === (since === undefined)) {
        throw new RecorderError('invalid_request', 'after or since is required, and not both');
      }
      const from = parseTimestamp(since ?? '') ?? 0;
      ctx.set('Cache-Control', 'no-store');
      if (isOfOne) {
        const log = await oneMachine(db, reading);
        const begin = after === undefined ? { since: from } : { after: Number(after) };
        const page = await changesOf(db, log, begin, reading.reader.words);
        respondJson(ctx, 200, JSON.stringify({ machine: log.machine, ...page }));
        return;
      }
      // A time is a place before which everything was seen.
      const begin = after === undefined ? { from: { at: from + OVERLAP, sent: new Map() } } : readProgress(after);
      respondJson(ctx, 200, JSON.stringify(await changesOfAll(db, reading, begin)));
    },
  },
];

const AT_ONCE = 256;

/** What a page has gathered, and whether more fits. */
class Page {
  #entries = 0;
  #bytes = 0;
  #characters = 0;
  #incidents = 0;
  readonly #db: FleetDatabase;
  readonly #words: boolean;

  constructor(db: FleetDatabase, words: boolean) {
    this.#db = db;
    this.#words = words;
  }

  #hasRoom(incidents: number): boolean {
    return (
      this.#entries < MOST_ENTRIES &&
      this.#bytes < MOST_BYTES &&
      this.#characters < MOST_CHARACTERS &&
      this.#incidents + incidents < MOST_INCIDENTS
    );
  }

  get hasRoom(): boolean {
    return this.#hasRoom(0);
  }

  /** What a log says behind one entry, up to another, as far as there is room. */
  async gather({ machine, log }: LogName, after: number, last: number) {
    const incidents = new Map<string, Gathered>();
    const begins = new Map<string, number>();
    const others: ChangeEvent[] = [];
    let through = after;
    while (through < last && this.#hasRoom(incidents.size)) {
      const { rows } = await sql<{ seq: number; line: string; event: string }>`${entriesOf(
        { machine, log },
        sql`e.seq, e.event, e.line`,
        sql`e.seq > ${through} AND e.seq <= ${last}`,
        AT_ONCE,
      )}`.execute(this.#db);
      if (rows.length === 0) break;
      this.#entries += rows.length;
      for (const { seq, line, event } of rows) {
        this.#bytes += line.length;
        through = seq;
        if (NOISE.has(event)) continue;
        const entry = readEntry(line);
        this.#characters += gather(entry, incidents, others, this.#words);
        if (isAboutIncident(entry) && !begins.has(entry.data.incident)) begins.set(entry.data.incident, seq);
      }
    }
    this.#incidents += incidents.size;
    return { through, others, changes: await this.#changes({ machine, log }, incidents, begins) };
  }

  /** The incidents of a log as they are now, in the order of their latest change. */
  async #changes(
    of: LogName,
    incidents: ReadonlyMap<string, Gathered>,
    begins: ReadonlyMap<string, number>,
  ): Promise<readonly ChangedIncident[]> {
    const documents = await documentsOf(
      this.#db,
      [...incidents.keys()].map((id) => ({ ...of, id })),
    );
    const byId = new Map(documents.map(({ id, document }) => [id, document]));
    const older = [...begins].filter(([id]) => incidents.get(id)?.isNew === false);
    const before = await entriesBefore(this.#db, of, older);
    const changes = [...incidents].map(([id, gathered]) => {
      const entry = before.get(id);
      const was = entry?.version === gathered.firstVersion - 1 ? entry.state : undefined;
      return changedIncident(id, gathered, was, byId.get(id));
    });
    return changes.toSorted((one, other) => one.seq - other.seq);
  }
}

async function changesOf(
  db: FleetDatabase,
  { machine, log, through: last, first_seq: first }: MachineLog,
  begin: { readonly after: number } | { readonly since: number },
  words: boolean,
): Promise<ChangesPage> {
  if ('after' in begin && begin.after > last) {
    const message = `the log ends before entry ${begin.after}: begin again after ${first - 1}, everything may have changed`;
    throw new RecorderError('gone', message, { fields: { first_seq: first, last_seq: last } });
  }
  const after =
    'after' in begin
      ? Math.max(begin.after, first - 1)
      : (await firstSince(db, { machine, log }, begin.since, last)) - 1;
  const { through, changes, others } = await new Page(db, words).gather({ machine, log }, after, last);
  const complete = through >= last;
  return {
    after,
    through,
    changes,
    others,
    complete,
    ...(complete ? {} : { next: through }),
    ...('since' in begin && after === first - 1 && first > 1 ? { archived_through: first - 1 } : {}),
  };
}

/** Where a reader of all machines is: behind `from`, on the way to `to`, and how far, log by log. */
interface Progress {
  readonly from: StreamPlace;
  readonly to?: StreamPlace;
  readonly behind?: LogName & { readonly seq: number };
}

/** With more logs than this that have advanced lately, an answer ends with what was stored `OVERLAP` ago. */
const MOST_AT_END = 50;
/** How many logs are looked at in one query, and for one answer. */
const LOGS_AT_ONCE = 50;
const MOST_LOGS = 500;

async function changesOfAll(db: FleetDatabase, reading: Reading, { from, to: known, behind }: Progress) {
  const to = known ?? (await endOf(db, reading, from));
  const page = new Page(db, reading.reader.words);
  const changes: ({ readonly machine: string } & ChangedIncident)[] = [];
  const others: ({ readonly machine: string } & ChangeEvent)[] = [];
  let looked = 0;
  let place: (LogName & { readonly seq: number }) | undefined = behind;
  let isOver = false;
  while (!isOver && looked < MOST_LOGS && page.hasRoom) {
    const logs = await logsFrom(db, reading, from, place);
    const lower = await boundsOf(db, logs, from);
    const upper = await boundsOf(db, logs, to);
    isOver = logs.length < LOGS_AT_ONCE;
    for (const [index, one] of logs.entries()) {
      const { machine, log } = one;
      const isBehind = place?.machine === machine && place.log === log;
      const begin = isBehind ? Math.max(place!.seq, lower[index]!) : lower[index]!;
      const found = await page.gather(one, begin, upper[index]!);
      place = { machine, log, seq: found.through };
      looked += 1;
      changes.push(...found.changes.map((change) => ({ machine, ...change })));
      others.push(...found.others.map((event) => ({ machine, ...event })));
      if (page.hasRoom) continue;
      isOver &&= index === logs.length - 1 && found.through >= upper[index]!;
      break;
    }
  }
  const next = isOver ? undefined : writeProgress({ from, to, ...(place !== undefined && { behind: place }) });
  return {
    after: writeProgress({ from, ...(known !== undefined && { to: known }), ...(behind !== undefined && { behind }) }),
    through: next ?? writeStreamPlace(to),
    changes: changes.toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at)),
    others: others.toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at)),
    complete: isOver,
    ...(next === undefined ? {} : { next }),
  };
}

const ofReader = ({ machines }: Pick<Reading, 'machines'>) =>
  machines === undefined ? sql`` : sql`AND l.machine = ${anyText(machines)}`;

/** Where an answer ends: now. It says nothing of machines that the reader does not see: not how many there are. */
async function endOf(db: FleetDatabase, reading: Reading, from: StreamPlace): Promise<StreamPlace> {
  const at = await timeOfNewPlace(db);
  const { rows } = await sql<LogName & { readonly through: number }>`
    SELECT l.machine, l.log, l.through FROM logs l
    WHERE l.advanced_at >= ${time(at - OVERLAP)} ${ofReader(reading)} LIMIT ${sql.lit(MOST_AT_END + 1)}`.execute(db);
  // Too many to name them: it ends a little earlier, but not before the place that was given.
  if (rows.length > MOST_AT_END) return from.at >= at - OVERLAP ? from : { at, sent: new Map() };
  return { at, sent: new Map(rows.map((one) => [keyOf(one), one.through])) };
}

interface AdvancedLog extends LogExtent {
  readonly advanced_at: Date;
}

/** The logs in which something may be new, in their order, from a place on. */
async function logsFrom(
  db: FleetDatabase,
  reading: Reading,
  { at }: StreamPlace,
  behind: Progress['behind'],
): Promise<readonly AdvancedLog[]> {
  const { machine = '', log = '' } = behind ?? {};
  const { rows } = await sql<AdvancedLog>`
    SELECT l.machine, l.log, l.through, l.advanced_at, greatest(l.first_seq, l.diverged_at_seq) AS first FROM logs l
    WHERE l.advanced_at >= ${time(at - OVERLAP)} AND (l.machine, l.log) >= (${machine}, ${log}) ${ofReader(reading)}
    ORDER BY l.machine, l.log LIMIT ${sql.lit(LOGS_AT_ONCE)}`.execute(db);
  return rows;
}

/** How far each log is in front of a place. */
async function boundsOf(
  db: FleetDatabase,
  logs: readonly AdvancedLog[],
  { at, sent }: StreamPlace,
): Promise<readonly number[]> {
  const isSearched = (one: AdvancedLog): boolean => !sent.has(keyOf(one)) && one.advanced_at.getTime() >= at - OVERLAP;
  const searched = logs.filter(isSearched);
  const before = await storedBefore(db, searched, at - OVERLAP);
  const stored = new Map(searched.map((one, index) => [one, before[index]!]));
  return logs.map((one) => stored.get(one) ?? Math.min(sent.get(keyOf(one)) ?? Infinity, one.through));
}

/** As a client gets it: a place of the stream, or for what is between two of them a word that begins with a letter. */
function writeProgress({ from, to, behind }: Progress): string {
  if (to === undefined) return writeStreamPlace(from);
  const { machine, log, seq } = behind ?? {};
  const place = [writeStreamPlace(from), writeStreamPlace(to), ...(seq === undefined ? [] : [machine, log, seq])];
  return `p${Buffer.from(JSON.stringify(place)).toString('base64url')}`;
}

/** Reads what `writeProgress` wrote. @throws RecorderError `invalid_request` for anything else */
function readProgress(text: string): Progress {
  if (!text.startsWith('p')) return { from: readStreamPlace(text, NO_PLACE) };
  const [from, to, machine, log, seq] = partsOf(text.slice(1));
  const isPlace = typeof from === 'string' && typeof to === 'string';
  if (!isPlace) throw new RecorderError('invalid_request', NO_PLACE);
  const places = { from: readStreamPlace(from, NO_PLACE), to: readStreamPlace(to, NO_PLACE) };
  if (machine === undefined) return places;
  const isBehind = typeof machine === 'string' && typeof log === 'string' && Number.isSafeInteger(seq);
  if (isBehind) return { ...places, behind: { machine, log, seq: Number(seq) } };
  throw new RecorderError('invalid_request', NO_PLACE);
}

function partsOf(text: string): readonly unknown[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    return Array.isArray(parts) ? parts : [];
  } catch {
    return [];
  }
}

/** The first entry whose time is uncertain by a jump of the clock: a machine may send anything. */
function beginOfJump({ seq, line }: { readonly seq: number; readonly line: string }): number {
  const { data } = JSON.parse(line) as { readonly data?: { readonly after_seq?: unknown } };
  const after = data?.after_seq;
  return Number.isSafeInteger(after) && (after as number) < seq ? (after as number) + 1 : seq;
}

/** How many jumps of a machine's clock count. */
const MOST_JUMPS = 100;

/**
 * The first entry that was written since a time; the one behind the last when there is none. Entries follow each other in
 * time but for jumps of the clock, and in each history: between two of these it is found by halves, and the earliest counts.
 */
async function firstSince(db: FleetDatabase, { machine, log }: LogName, since: number, last: number): Promise<number> {
  const { rows: histories } = await sql<{ log: string; first: number; until: number }>`
    SELECT log, first, least(until, ${last + 1}::bigint) AS until FROM (${pastOf({ machine, log })}) AS past
    WHERE first <= ${last} ORDER BY first`.execute(db);
  const { rows } = await sql<{ seq: number; line: string }>`${entriesOf(
    { machine, log },
    sql`e.seq, e.line`,
    sql`e.event = 'clock.jumped'`,
    MOST_JUMPS,
  )}`.execute(db);
  // The times of the entries since the look before may be of either clock.
  const jumps = rows.map(beginOfJump).toSorted((one, other) => one - other);
  const parts = histories.flatMap((history) => {
    const own = jumps.filter((seq) => seq > history.first && seq < history.until);
    const begins = [history.first, ...new Set(own)];
    return begins.map((first, place) => ({
      machine,
      log: history.log,
      first,
      through: (begins[place + 1] ?? history.until) - 1,
    }));
  });
  const before = await writtenBefore(db, parts, since);
  const found = parts.findIndex(({ through }, place) => before[place]! < through);
  return found < 0 ? last + 1 : before[found]! + 1;
}

/**
 * The versions and states of incidents after the last entry about each before another one. What is no state is left out: a
 * machine may send anything.
 * @param begins identifiers, each with the number of the entry before which it is
 */
async function entriesBefore(
  db: FleetDatabase,
  { machine, log }: LogName,
  begins: readonly (readonly [id: string, seq: number])[],
): Promise<ReadonlyMap<string, { readonly version: number; readonly state: State | undefined }>> {
  if (begins.length === 0) return new Map();
  const { rows } = await sql<{ id: string; line: string }>`
    SELECT DISTINCT ON (k.id) k.id, e.line FROM (${pastOf({ machine, log })}) AS past CROSS JOIN unnest(
      ${begins.map(([id]) => id)}::text[], ${begins.map(([, seq]) => seq)}::bigint[]) AS k (id, seq)
    CROSS JOIN LATERAL (
      SELECT e.seq, e.line FROM entries e
      WHERE e.machine = ${machine} AND e.log = past.log AND e.incident = k.id AND e.seq < least(past.until, k.seq)
      ORDER BY e.seq DESC LIMIT 1) AS e
    ORDER BY k.id, e.seq DESC`.execute(db);
  return new Map(
    rows.flatMap(({ id, line }) => {
      const entry = readEntry(line);
      if (!isAboutIncident(entry)) return [];
      const { version, state: said } = entry.data;
      return [[id, { version, state: STATES.find((state) => state === said) }] as const];
    }),
  );
}
