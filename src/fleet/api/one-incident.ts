/** One incident of one machine, and what the log of that machine says of it. */
import { type RawBuilder, sql } from 'kysely';
import { parseQuery } from '../../api/request/query.ts';
import { RecorderError } from '../../errors.ts';
import type { FleetDatabase } from '../database.ts';
import { anyText, hasId } from './list-filter.ts';
import type { Reading } from './reading.ts';

/** How much of an incident's history one page holds. */
const MOST_LINES = 1000;
const MOST_LINE_BYTES = 1024 * 1024;

/** The parameters of a request but those that name machines. */
export const parameters = ({ query }: Pick<Reading, 'query'>) => parseQuery(query);

export interface OneIncident {
  readonly machine: string;
  readonly log: string;
  readonly id: string;
  readonly number: number;
  readonly version: number;
  readonly state: string;
  readonly context: string;
  readonly document: string;
}

/**
 * The incident of a request. Two machines may have the same identifier: then the request must name the machine.
 * @param by what names the machine in the request
 * @throws RecorderError `not_found`; `invalid_request` with the machines that have one
 */
export async function oneIncident(
  db: FleetDatabase,
  { machines }: Pick<Reading, 'machines'>,
  id: string,
  by = 'machine parameter',
): Promise<OneIncident> {
  const { rows } = await sql<OneIncident>`
    SELECT i.machine, i.log, i.id, i.number, i.version, i.state, d.context, d.document
    FROM incidents i JOIN documents d ON d.machine = i.machine AND d.log = i.log AND d.id = i.id
    WHERE ${hasId(id)} AND i.current ${machines === undefined ? sql`` : sql`AND i.machine = ${anyText(machines)}`}
    ORDER BY i.machine LIMIT 10`.execute(db);
  const [one, ...others] = rows;
  if (one === undefined) throw new RecorderError('not_found', 'incident not found');
  if (others.length === 0) return one;
  const names = rows.map(({ machine }) => machine);
  throw new RecorderError('invalid_request', `${by} required: ${names.join(', ')} have an incident ${id}`, {
    fields: { machines: names },
  });
}

/** Of a history that is so long, versions that are skipped are not read: where the others begin is found by halves. */
const MANY_VERSIONS = 200;

/** The lines of the log about an incident, from behind its version `after` on, as they were written. */
export async function historyOf(
  db: FleetDatabase,
  incident: Pick<OneIncident, 'machine' | 'log' | 'id'>,
  after: number,
  most = MOST_LINES,
): Promise<{ readonly lines: readonly string[]; readonly next?: number }> {
  const lines: string[] = [];
  let bytes = 0;
  let seq = after < MANY_VERSIONS ? 0 : await seqBehind(db, incident, after);
  let last = after;
  const atOnce = Math.min(200, most + 1);
  for (;;) {
    const rows = await linesAbout(db, incident, seq, atOnce);
    for (const row of rows) {
      seq = row.seq;
      const version = versionOf(row.line);
      if (version === undefined || version <= after) continue;
      if (lines.length > 0 && (lines.length >= most || bytes + row.line.length > MOST_LINE_BYTES)) {
        return { lines, next: last };
      }
      lines.push(row.line);
      bytes += row.line.length;
      last = version;
    }
    if (rows.length < atOnce) return { lines };
  }
}

/** The next lines about an incident behind an entry. */
async function linesAbout(
  db: FleetDatabase,
  { machine, log, id }: Pick<OneIncident, 'machine' | 'log' | 'id'>,
  seq: number,
  most: number,
): Promise<readonly { readonly seq: number; readonly line: string }[]> {
  const { rows } = await sql<{ seq: number; line: string }>`${entriesOf(
    { machine, log },
    sql`e.seq, e.line`,
    sql`e.incident = ${id} AND e.seq > ${seq}`,
    most,
  )}`.execute(db);
  return rows;
}

/** An entry of which all those about an incident up to it have at most a version: versions rise. */
async function seqBehind(
  db: FleetDatabase,
  incident: Pick<OneIncident, 'machine' | 'log' | 'id'>,
  version: number,
): Promise<number> {
  const { rows } = await sql<{ through: number }>`
    SELECT through FROM logs WHERE machine = ${incident.machine} AND log = ${incident.log}`.execute(db);
  let [low, high] = [0, rows[0]?.through ?? 0];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [next] = await linesAbout(db, incident, middle, 1);
    const found = next && versionOf(next.line);
    if (next !== undefined && found !== undefined && found <= version) low = next.seq;
    else high = middle;
  }
  return low;
}

/**
 * One history of a log, and those that it has left: a query for the entries of each that are its own, from `first` to before
 * `until`.
 */
export const pastOf = ({ machine, log }: Pick<OneIncident, 'machine' | 'log'>): RawBuilder<unknown> => sql`
  WITH RECURSIVE past AS (
    SELECT l.log, greatest(l.first_seq, l.diverged_at_seq) AS first, 9223372036854775807 AS until, l.diverged_from,
      l.diverged_at_seq
    FROM logs l WHERE l.machine = ${machine} AND l.log = ${log}
    UNION ALL
    SELECT l.log, greatest(l.first_seq, l.diverged_at_seq), LEAST(past.until, past.diverged_at_seq), l.diverged_from,
      l.diverged_at_seq
    FROM past JOIN logs l ON l.machine = ${machine} AND l.log = past.diverged_from
  )
  SELECT log, first, until FROM past WHERE first < until`;

/**
 * The first entries of one history of a log, and of those that it has left, up to where they part: a query. Those of each
 * history are a part of an index.
 * @param columns of entries `e`, `seq` among them
 */
export const entriesOf = (
  { machine, log }: Pick<OneIncident, 'machine' | 'log'>,
  columns: RawBuilder<unknown>,
  condition: RawBuilder<unknown>,
  most: number,
): RawBuilder<unknown> => sql`
  SELECT e.* FROM (${pastOf({ machine, log })}) AS past CROSS JOIN LATERAL (
    SELECT ${columns} FROM entries e
    WHERE e.machine = ${machine} AND e.log = past.log AND e.seq < past.until AND ${condition}
    ORDER BY e.seq LIMIT ${sql.lit(most)}) AS e
  ORDER BY e.seq LIMIT ${sql.lit(most)}`;

function versionOf(line: string): number | undefined {
  const { data } = JSON.parse(line) as { readonly data?: { readonly version?: unknown } };
  return typeof data?.version === 'number' ? data.version : undefined;
}
