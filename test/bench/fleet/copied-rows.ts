/** Copies what the fleet holds of a machine to others, by SQL. */
import { sql } from 'kysely';
import type { FleetDatabase } from '../../../src/fleet/database.ts';

/**
 * What changes in a copy, as SQL on the original `r` and the copy `c`; ID is the identifier of the copy's incident. Times
 * are shifted by whole hours, and by a second for each copy on the same machine.
 */
const COPIED = {
  logs: {},
  entries: {
    seq: 'r.seq + c.place * 10000',
    at: 'r.at + c.shift',
    incident: 'ID',
    line: `coalesce(replace(r.line, r.incident, ID), r.line)`,
  },
  incidents: {
    id: 'ID',
    number: 'r.number + c.place * 10000',
    created_at: 'r.created_at + c.shift',
    updated_at: 'r.updated_at + c.shift',
    acknowledged_at: 'r.acknowledged_at + c.shift',
    resolved_at: 'r.resolved_at + c.shift',
    confirmed_at: 'r.confirmed_at + c.shift',
  },
  deliveries: { incident: 'ID', asked_at: 'r.asked_at + c.shift' },
  posture: { since: 'r.since + c.shift' },
  hours: { hour: 'r.hour + c.hours' },
  stats: {},
  silences: {},
  guards: {},
} as const;

export type Changes = Readonly<Record<string, string>>;

/** The tables of this layout, and what changes in each: which hold texts and words of incidents is the layout's affair. */
export async function copiedTables(db: FleetDatabase): Promise<Readonly<Record<string, Changes>>> {
  const { rows } = await sql<{ table: string; column: string }>`
    SELECT table_name AS "table", column_name AS "column" FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name IN ('document', 'search', 'context')`.execute(db);
  const tables: Record<string, Record<string, string>> = Object.fromEntries(
    Object.entries(COPIED).map(([table, changes]) => [table, { ...changes }]),
  );
  for (const { table, column } of rows) {
    if (table === 'posture') continue;
    const changes = (tables[table] ??= { id: 'ID' });
    if (column === 'document') changes.document = 'replace(r.document, r.id, ID)';
    // A word of the machine's own, and one of the incident's own.
    if (table === 'words')
      changes.search =
        "r.search || array_to_tsvector(ARRAY['aon' || c.machine, 'c' || substr(md5(c.machine || c.place || r.id), 1, 10)])";
  }
  return tables;
}

/** Whether the rows of a table are each of an incident, or an entry. */
export const isOfIncidents = (changes: Changes): boolean =>
  Object.values(changes).some((change) => /\bID\b/.test(change));

/**
 * Copies the rows of a table that are of one machine.
 * @param copies a query for the copies: `machine`, `log` (null for the original's), `place` (0, or which copy it is on one
 * machine) and `hours`
 */
export async function copyRows(
  db: FleetDatabase,
  table: string,
  changes: Changes,
  machine: string,
  copies: string,
): Promise<void> {
  const columns = (
    await sql<{ name: string }>`
      SELECT column_name AS name FROM information_schema.columns WHERE table_name = ${table}`.execute(db)
  ).rows.map(({ name }) => name);
  const idColumn = 'id' in changes ? 'id' : 'incident';
  const own = `md5(c.machine || coalesce(c.log, '') || coalesce(nullif(c.place, 0)::text, '') || r.${idColumn})`;
  const id = `overlay(r.${idColumn} placing substr(${own}, 1, 12) from 14)`;
  const values = columns.map((column) => {
    if (column === 'machine') return 'c.machine';
    if (column === 'log') return 'coalesce(c.log, r.log)';
    return changes[column]?.replaceAll('ID', id) ?? `r.${column}`;
  });
  await sql
    .raw(
      `INSERT INTO ${table} (${columns.join()})
      SELECT ${values.join()} FROM ${table} r CROSS JOIN (
        SELECT machine, log::text, place, hours, hours * interval '1 hour' - place * interval '1 second' AS shift
        FROM (${copies}) AS o) AS c
      WHERE r.machine = '${machine}'`,
    )
    .execute(db);
}
