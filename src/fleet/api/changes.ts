/** What has changed on a machine since an entry or a time, for whoever takes over: as the recorder shows it. */
import { sql } from 'kysely';
import type { State } from '../../../machines/vocabulary.ts';
import { changesSchema } from '../../api/incidents/requests.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
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
import { historyOf, ofHistory, parameters } from './one-incident.ts';
import { time } from './list-filter.ts';
import { oneMachine } from './one-machine.ts';
import { readingIn } from './reading.ts';

export const changesRoutes = (dependencies: FleetDependencies): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/incidents/changes',
    handle: async (ctx) => {
      const { db } = dependencies;
      const reading = await readingIn(dependencies, ctx);
      const { after: [after] = [], since: [since] = [] } = validate(changesSchema, parameters(reading), 'parameter');
      if ((after === undefined) === (since === undefined)) {
        throw new RecorderError('invalid_request', 'after or since is required, and not both');
      }
      const log = await oneMachine(db, reading);
      const begin = after === undefined ? { since: parseTimestamp(since ?? '') ?? 0 } : { after: Number(after) };
      ctx.set('Cache-Control', 'no-store');
      const page = await changesOf(db, log, begin, reading.reader.words);
      respondJson(ctx, 200, JSON.stringify({ machine: log.machine, ...page }));
    },
  },
];

interface ActiveLog {
  readonly machine: string;
  readonly log: string;
  readonly through: number;
  readonly first_seq: number;
}

const AT_ONCE = 256;

async function changesOf(
  db: FleetDatabase,
  { machine, log, through: last, first_seq: first }: ActiveLog,
  begin: { readonly after: number } | { readonly since: number },
  words: boolean,
): Promise<ChangesPage> {
  if ('after' in begin && begin.after > last) {
    const message = `the log ends before entry ${begin.after}: begin again after ${first - 1}, everything may have changed`;
    throw new RecorderError('gone', message, { fields: { first_seq: first, last_seq: last } });
  }
  const after =
    'after' in begin ? Math.max(begin.after, first - 1) : (await firstSince(db, machine, log, begin.since, last)) - 1;
  const incidents = new Map<string, Gathered>();
  const others: ChangeEvent[] = [];
  let [taken, bytes, characters, through] = [0, 0, 0, after];
  const hasRoom = (): boolean =>
    taken < MOST_ENTRIES && bytes < MOST_BYTES && characters < MOST_CHARACTERS && incidents.size < MOST_INCIDENTS;
  while (through < last && hasRoom()) {
    const { rows } = await sql<{ seq: number; line: string; event: string }>`
      SELECT e.seq, e.event, e.line FROM entries e
      WHERE e.machine = ${machine} AND e.seq > ${through} AND ${ofHistory(machine, log)}
      ORDER BY e.seq LIMIT ${sql.lit(AT_ONCE)}`.execute(db);
    if (rows.length === 0) break;
    taken += rows.length;
    for (const { seq, line, event } of rows) {
      bytes += line.length;
      through = seq;
      if (!NOISE.has(event)) characters += gather(readEntry(line), incidents, others, words);
    }
  }
  const changes: ChangedIncident[] = [];
  for (const [id, gathered] of incidents) {
    const [now] = await documentsOf(db, [{ machine, log, id }]);
    const was = gathered.isNew ? undefined : await stateAt(db, { machine, log, id }, gathered.firstVersion - 1);
    changes.push(changedIncident(id, gathered, was, now?.document));
  }
  const complete = through >= last;
  return {
    after,
    through,
    changes: changes.toSorted((one, other) => one.seq - other.seq),
    others,
    complete,
    ...(complete ? {} : { next: through }),
    ...('since' in begin && after === first - 1 && first > 1 ? { archived_through: first - 1 } : {}),
  };
}

/** The first entry that was written since a time; the one behind the last when there is none. */
async function firstSince(
  db: FleetDatabase,
  machine: string,
  log: string,
  since: number,
  last: number,
): Promise<number> {
  // Entries follow each other in time, but for jumps of the clock.
  const { rows } = await sql<{ seq: number | null }>`
    SELECT min(e.seq) AS seq FROM entries e
    WHERE e.machine = ${machine} AND e.at >= ${time(since)} AND ${ofHistory(machine, log)}`.execute(db);
  return rows[0]?.seq === null || rows[0] === undefined ? last + 1 : rows[0].seq;
}

/** The state of an incident after one of its entries. */
async function stateAt(
  db: FleetDatabase,
  incident: { readonly machine: string; readonly log: string; readonly id: string },
  version: number,
): Promise<State | undefined> {
  const { lines } = await historyOf(db, incident, version - 1, 1);
  if (lines[0] === undefined) return undefined;
  const entry = readEntry(lines[0]);
  return isAboutIncident(entry) && entry.data.version === version ? entry.data.state : undefined;
}
