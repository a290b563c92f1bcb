/** One incident of one machine, and what the log of that machine says of it. */
import { sql } from 'kysely';
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

/** The lines of the log about an incident, from behind its version `after` on, as they were written. */
export async function historyOf(
  db: FleetDatabase,
  { machine, log, id }: Pick<OneIncident, 'machine' | 'log' | 'id'>,
  after: number,
  most = MOST_LINES,
): Promise<{ readonly lines: readonly string[]; readonly next?: number }> {
  const lines: string[] = [];
  let bytes = 0;
  let seq = 0;
  let last = after;
  for (;;) {
    const { rows } = await sql<{ seq: number; line: string }>`
      SELECT e.seq, e.line FROM entries e
      WHERE e.machine = ${machine} AND e.incident = ${id} AND e.seq > ${seq} AND ${ofHistory(machine, log)}
      ORDER BY e.seq LIMIT 200`.execute(db);
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
    if (rows.length < 200) return { lines };
  }
}

/**
 * The entries of one history of a log, and of those that it has left, up to where they part: as conditions on `e`.
 */
export const ofHistory = (machine: string, log: string) => sql`EXISTS (
  WITH RECURSIVE past AS (
    SELECT l.log, 9223372036854775807 AS until, l.diverged_from, l.diverged_at_seq
    FROM logs l WHERE l.machine = ${machine} AND l.log = ${log}
    UNION ALL
    SELECT l.log, LEAST(past.until, past.diverged_at_seq), l.diverged_from, l.diverged_at_seq
    FROM past JOIN logs l ON l.machine = ${machine} AND l.log = past.diverged_from
  )
  SELECT 1 FROM past WHERE past.log = e.log AND e.seq < past.until)`;

function versionOf(line: string): number | undefined {
  const { data } = JSON.parse(line) as { readonly data?: { readonly version?: unknown } };
  return typeof data?.version === 'number' ? data.version : undefined;
}
