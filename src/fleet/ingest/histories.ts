/** The histories of a machine's logs, as the database has them, and which of them a batch continues. */
import { type Kysely, type Selectable, sql, type Transaction } from 'kysely';
import type { FleetTables, LogsTable } from '../schema.ts';
import { hashOfLine, type ReceivedLine } from './received-lines.ts';

export type LogRow = Selectable<LogsTable> & {
  /** How many milliseconds ago an entry was stored last, by the clock of the database. */
  readonly idle_ms: number | null;
};

type Db = Kysely<FleetTables> | Transaction<FleetTables>;

/** All histories of a machine, the latest first. */
export async function historiesOf(db: Db, machine: string): Promise<LogRow[]> {
  const rows = await db
    .selectFrom('logs')
    .selectAll()
    .select(sql<number | null>`(extract(epoch FROM clock_timestamp() - advanced_at) * 1000)::float8`.as('idle_ms'))
    .where('machine', '=', machine)
    .orderBy('ordinal', 'desc')
    .execute();
  return rows;
}

/** Lines of a history from one entry to another, oldest first; those before it left another are in that other. */
export async function linesOf(
  db: Db,
  rows: readonly LogRow[],
  history: LogRow,
  from: number,
  to: number,
): Promise<readonly { readonly seq: number; readonly line: string }[]> {
  const { machine, log, diverged_from, diverged_at_seq } = history;
  const own = Math.max(from, diverged_at_seq ?? from);
  const found: { readonly seq: number; readonly line: string }[] = [];
  const base = diverged_from === null ? undefined : rows.find((row) => row.log === diverged_from);
  if (base !== undefined && diverged_at_seq !== null && from < diverged_at_seq)
    found.push(...(await linesOf(db, rows, base, from, Math.min(to, diverged_at_seq - 1))));
  if (own <= to) {
    found.push(
      ...(await db
        .selectFrom('entries')
        .select(['seq', 'line'])
        .where('machine', '=', machine)
        .where('log', '=', log)
        .where('seq', '>=', own)
        .where('seq', '<=', to)
        .orderBy('seq')
        .execute()),
    );
  }
  return found;
}

/** How a batch stands to a history. */
export type Relation =
  /** It begins behind the end. */
  | { readonly kind: 'gap' }
  /** Its first entry does not link to the entry before it there. */
  | { readonly kind: 'unlinked' }
  /** What both have is the same; `fresh` is the rest. */
  | { readonly kind: 'continues'; readonly fresh: readonly ReceivedLine[] }
  /** It has another entry in this place, the first that differs, or another text of it. `kept` is the hash of the one here. */
  | { readonly kind: 'differs'; readonly at: number; readonly kept: string };

/** Compares a batch, which is linked in itself, with a history. */
export async function relationTo(
  db: Db,
  rows: readonly LogRow[],
  history: LogRow,
  from: number,
  lines: readonly ReceivedLine[],
): Promise<Relation> {
  const { through, hash, first_seq } = history;
  const [first] = lines;
  if (from > through + 1 || from < first_seq) return { kind: 'gap' };
  if (first === undefined) return { kind: 'continues', fresh: [] };
  if (from === through + 1) {
    return first.entry.prev_hash === hash ? { kind: 'continues', fresh: lines } : { kind: 'unlinked' };
  }
  const to = Math.min(through, from + lines.length - 1);
  const found = await linesOf(db, rows, history, Math.max(first_seq, from - 1), to);
  const stored = new Map(found.map(({ seq, line }) => [seq, line]));
  const hashAt = (seq: number): string => {
    const line = stored.get(seq);
    return line === undefined ? '' : hashOfLine(line);
  };
  const before = from === first_seq ? first.entry.prev_hash : hashAt(from - 1);
  if (before !== first.entry.prev_hash) return { kind: 'unlinked' };
  for (const { seq, text } of lines) {
    if (seq > to) break;
    // The text, not the hash that it names: without the machine's key nobody here knows whether that is its own.
    if (stored.get(seq) !== text) return { kind: 'differs', at: seq, kept: hashAt(seq) };
  }
  return { kind: 'continues', fresh: lines.filter(({ seq }) => seq > through) };
}
