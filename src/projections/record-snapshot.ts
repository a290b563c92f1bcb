/**
 * The incidents as they are at one moment, read a few at a time while the record goes on: first the unresolved, then the
 * resolved, each newest first.
 *
 * SQLite could hold such a view for a second connection, but the first has locked the database. So the projections give
 * each incident to the snapshots before they change it (`keep`), and a snapshot shows it as it was then. What was not
 * given to it has not changed since the snapshot was taken, and is read from its row.
 */
import { SEVERITIES, type Severity } from '../../machines/vocabulary.ts';
import { documentOf } from '../domain/document.ts';
import type { IncidentRecord } from '../domain/incident.ts';
import { RecorderError } from '../errors.ts';
import type { Database, Statement } from './database.ts';
import { FETCH, IndexScan, merged } from './index-scan.ts';

/** How many bytes of documents one `read` gives, unless one of them is longer, and at how many rows it looks. */
const READ_BYTES = 128 * 1024;
const READ_ROWS = 128;
/** How many bytes of changed incidents a snapshot keeps in memory. With more, reading takes too long. */
const MOST_KEPT = 8 * 1024 * 1024;
/** What a changed incident takes besides its document, in bytes. */
const OVERHEAD = 128;

interface Document {
  readonly number: number;
  readonly bytes: Uint8Array;
}

/** An incident as it was before it changed; without `json` when it had been read before that. */
interface Kept {
  readonly isResolved: boolean;
  readonly json?: string;
}

interface Statements {
  readonly newest: Statement;
  readonly kinds: Statement;
  readonly ofKind: Statement;
  readonly rows: Statement;
  readonly below: Statement;
}

/** Takes snapshots, and gives incidents that change to those that are being read. */
export class RecordSnapshots {
  readonly #statements: Statements;
  readonly #open = new Set<RecordSnapshot>();

  constructor(database: Database) {
    this.#statements = {
      newest: database.prepare('SELECT max(number) AS number FROM incidents'),
      kinds: database.prepare(`
        SELECT class, severity, state FROM population WHERE count > 0 AND state <> 'resolved'`),
      ofKind: database.prepare(`
        SELECT number FROM incidents INDEXED BY incidents_by_kind
        WHERE state = ? AND class = ? AND rank = ? AND number <= ? ORDER BY number DESC LIMIT ${FETCH}`),
      rows: database.prepare(`
        SELECT number, CAST(document AS BLOB) AS document
        FROM json_each(?) CROSS JOIN incidents ON number = value ORDER BY key`),
      below: database.prepare(`
        SELECT number, CASE WHEN state = 'resolved' THEN CAST(document AS BLOB) END AS document
        FROM incidents WHERE number < ? ORDER BY number DESC LIMIT ${READ_ROWS}`),
    };
  }

  /** The incidents as they are now. To be closed when it is not needed any more: until then changes cost more. */
  take(): RecordSnapshot {
    const snapshot = new RecordSnapshot(this.#statements, () => this.#open.delete(snapshot));
    this.#open.add(snapshot);
    return snapshot;
  }

  /** Whether a snapshot is being read, so that `keep` is needed. */
  get areOpen(): boolean {
    return this.#open.size > 0;
  }

  /** Gives an incident that is about to change to the snapshots. */
  keep(before: IncidentRecord): void {
    for (const snapshot of this.#open) snapshot.keep(before);
  }

  /** Ends all snapshots: the record is about to change in another way. */
  end(reason: string): void {
    for (const snapshot of this.#open) snapshot.end(reason);
  }
}

export class RecordSnapshot implements Disposable {
  readonly #statements: Statements;
  readonly #close: () => void;
  /** The newest incident when the snapshot was taken. */
  readonly #head: number;
  /** The numbers of the unresolved, as the index has them now; undefined when those are read. */
  #unresolved: Iterator<number> | undefined;
  /** Numbers from there that are not read yet. */
  #due: readonly number[] = [];
  /** What is not below this number was read, or left out. Begins again for the resolved. */
  #last: number;
  readonly #kept = new Map<number, Kept>();
  #keptBytes = 0;
  #ended: string | undefined;
  #done = false;

  constructor(statements: Statements, close: () => void) {
    this.#statements = statements;
    this.#close = close;
    this.#head = Number(statements.newest.get()?.number ?? 0);
    this.#last = this.#head + 1;
    const scans = statements.kinds.all().map(({ state, class: ofClass, severity }) => {
      const rank = SEVERITIES.indexOf(severity as Severity);
      return new IndexScan(this.#head, (to) =>
        statements.ofKind.all(String(state), String(ofClass), rank, to).map(({ number }) => Number(number)),
      );
    });
    this.#unresolved = merged(scans);
  }

  [Symbol.dispose](): void {
    this.#close();
    this.#kept.clear();
  }

  keep(before: IncidentRecord): void {
    const { seq: number, incident } = before;
    if (number > this.#head || this.#done || this.#ended !== undefined || this.#kept.has(number)) return;
    const isResolved = incident.state === 'resolved';
    const json = this.#isRead(number, isResolved) ? undefined : documentOf(before).json;
    this.#kept.set(number, json === undefined ? { isResolved } : { isResolved, json });
    this.#keptBytes += OVERHEAD + 2 * (json?.length ?? 0);
    if (this.#keptBytes > MOST_KEPT) this.end('too much changes at the moment');
  }

  /** @param reason why it can't be read any further */
  end(reason: string): void {
    this.#ended ??= reason;
    this.#kept.clear();
  }

  /**
   * The next documents, JSON text in UTF-8; none at the end. Takes about a millisecond.
   * @throws RecorderError `overloaded` when the record has changed in a way that the snapshot can't follow
   */
  read(): readonly Uint8Array[] {
    for (;;) {
      if (this.#ended !== undefined) {
        throw new RecorderError('overloaded', `the record can't be read as it was: ${this.#ended}; try again`);
      }
      if (this.#done) return [];
      const documents = this.#unresolved === undefined ? this.#readResolved() : this.#readUnresolved(this.#unresolved);
      if (documents.length > 0) return documents.map(({ bytes }) => bytes);
    }
  }

  /** Whether an incident that has not changed until now was read. */
  #isRead(number: number, isResolved: boolean): boolean {
    const isInTurn = isResolved === (this.#unresolved === undefined);
    return isInTurn ? number >= this.#last : !isResolved;
  }

  #readUnresolved(numbers: Iterator<number>): readonly Document[] {
    if (this.#due.length === 0) this.#due = take(numbers, FETCH);
    const unchanged = this.#due.filter((number) => number < this.#last && !this.#kept.has(number));
    const { documents, isFull } = firstOf(this.#statements.rows.iterate(JSON.stringify(unchanged)));
    const last = isFull ? documents.at(-1)!.number : (this.#due.at(-1) ?? 0);
    this.#due = this.#due.filter((number) => number < last);
    const all = this.#withKept(documents, last, false);
    if (last === 0) {
      this.#unresolved = undefined;
      this.#last = this.#head + 1;
    }
    return all;
  }

  #readResolved(): readonly Document[] {
    let bytes = 0;
    let last = 0;
    const documents: Document[] = [];
    for (const { number, document } of this.#statements.below.iterate(this.#last)) {
      last = Number(number);
      // One that has changed is among the kept, and one that is not resolved was read.
      if (document === null || this.#kept.has(last)) continue;
      documents.push({ number: last, bytes: document as Uint8Array });
      bytes += (document as Uint8Array).length;
      if (bytes >= READ_BYTES) break;
    }
    this.#done = last === 0;
    return this.#withKept(documents, last, true);
  }

  /** Adds the incidents from `to` on that have changed since, as they were, and goes on below `to`. */
  #withKept(documents: readonly Document[], to: number, isResolved: boolean): readonly Document[] {
    const before = this.#last;
    this.#last = to;
    const changed: Document[] = [];
    for (const [number, kept] of this.#kept) {
      if (number < to || number >= before || kept.isResolved !== isResolved || kept.json === undefined) continue;
      changed.push({ number, bytes: Buffer.from(kept.json) });
      this.#kept.set(number, { isResolved });
      this.#keptBytes -= 2 * kept.json.length;
    }
    if (changed.length === 0) return documents;
    return [...documents, ...changed].toSorted((one, other) => other.number - one.number);
  }
}

/** The first documents of some rows, as many as one `read` gives. */
function firstOf(rows: Iterable<Record<string, unknown>>): { documents: readonly Document[]; isFull: boolean } {
  const documents: Document[] = [];
  let bytes = 0;
  for (const { number, document } of rows) {
    documents.push({ number: Number(number), bytes: document as Uint8Array });
    bytes += (document as Uint8Array).length;
    if (bytes >= READ_BYTES) return { documents, isFull: true };
  }
  return { documents, isFull: false };
}

function take(numbers: Iterator<number>, count: number): readonly number[] {
  const taken: number[] = [];
  while (taken.length < count) {
    const { value, done } = numbers.next();
    if (done === true) break;
    taken.push(value);
  }
  return taken;
}
