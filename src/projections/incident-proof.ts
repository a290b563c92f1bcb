/**
 * Proves single incidents against the log: folds the entries that the database indexes, each of which is verified, and
 * compares the result with its row.
 */
import type { FileHandle } from '../async-files.ts';
import { isDeepStrictEqual } from 'node:util';
import { ACTIONS, SEVERITIES } from '../../machines/vocabulary.ts';
import { readEntryLine } from '../audit/entry-line.ts';
import { type LinePlace, openLogFile, readEntriesAt } from '../audit/log-reader.ts';
import { readLines, WINDOW_BYTES } from '../audit/lines.ts';
import type { ReadableLog } from '../audit/log.ts';
import { needsAttention } from '../domain/attention.ts';
import { keysOwner } from '../domain/caller.ts';
import { Contradiction } from '../domain/contradiction.ts';
import { type Entry, type IncidentEntry, isAboutIncident, isOpening } from '../domain/entries.ts';
import { fold, type IncidentRecord } from '../domain/incident.ts';
import { isAbsence, RecorderError } from '../errors.ts';
import type { Database, Statement } from './database.ts';
import type { EntryPlaces } from './entry-places.ts';
import { containmentColumn, drillColumn, recoveryColumns } from '../domain/incident-columns.ts';
import { writeDocument } from '../domain/document.ts';
import type { Incidents } from './incidents.ts';
import { deliveryRow, onRecord } from '../domain/posture.ts';
import type { Snoozes } from './snoozes.ts';

/** The refusal to change an incident that can't be proved: a report of the same trouble opens another one. */
export class UnprovedIncident extends RecorderError {
  constructor(id: string) {
    const message = `entries about ${id} are missing, so it can be changed only when the whole log is verified`;
    super('log_unavailable', message);
  }
}

/** Whether an error is about its incident alone: it can't be changed now, or is not on record. Others go on. */
export const isOfIncident = (error: unknown): boolean => isAbsence(error) || error instanceof UnprovedIncident;

export interface IncidentProofParts {
  readonly database: Database;
  readonly incidents: Incidents;
  readonly places: EntryPlaces;
  readonly snoozes: Pick<Snoozes, 'difference'>;
  readonly log: ReadableLog;
}

/** What the indexed entries of an incident make of it. */
interface Folded {
  readonly record?: IncidentRecord | undefined;
  /** Where the last of them is. */
  readonly last?: LinePlace | undefined;
  /** Why they are not those of the incident. */
  readonly fault?: string;
  /** Whether entries about it are missing: then nothing can be said. */
  readonly isIncomplete?: boolean;
}

export class IncidentProof {
  readonly #parts: IncidentProofParts;
  readonly #row: Statement;
  readonly #deliveries: Statement;

  constructor(parts: IncidentProofParts) {
    this.#parts = parts;
    const { database } = parts;
    this.#row = database.prepare(`
      SELECT number, id, class, rank, state, source, owner, created_at, updated_at, assignee, containment, version,
        recovery, attesting, attention, decisive, base, dedup_key, drill, context, summary,
        document
      FROM incidents WHERE id = ?`);
    this.#deliveries = database.prepare(`
      SELECT action, status, due, wait, asked_seq FROM deliveries WHERE incident = ? AND action IN (${ACTIONS.map(() => '?').join(', ')})`);
  }

  /**
   * Proves an incident that no message is changing, before a decision rests on it.
   * @returns what differs from the log; undefined when nothing does, and when the incident is not on record
   * @throws UnprovedIncident when entries about it are missing; RecorderError `damaged_log`, `overloaded`
   */
  async difference(id: string): Promise<string | undefined> {
    if (!this.#parts.incidents.has(id)) return undefined;
    const { record, last, fault, isIncomplete } = await this.fold(id);
    if (isIncomplete === true) throw new UnprovedIncident(id);
    if (fault !== undefined) return fault;
    if (record === undefined || last === undefined) return `${id} has no entries`;
    const difference = this.rowDifference(record);
    if (difference !== undefined) return difference;
    const hidden = await this.#firstBehind(id, last);
    return hidden === undefined ? undefined : `entry ${hidden} about ${id} is not indexed`;
  }

  /** Folds the entries of an incident that are indexed. @throws RecorderError `damaged_log`, `overloaded` */
  async fold(id: string): Promise<Folded> {
    const { places, log } = this.#parts;
    let record: IncidentRecord | undefined;
    let last: LinePlace | undefined;
    for (let after = 0, isMore = true; isMore;) {
      const page = places.page(id, after);
      if (page.places.some(({ seq }) => !(seq >= 1 && seq <= log.status.entries)))
        return { fault: `${id} has entries that the log does not have` };
      const lines = await readEntriesAt(log, page.places).catch(unlessGone);
      if (lines === undefined) return { isIncomplete: true };
      const entries = lines.map((line) => line.entry());
      if (!entries.every((entry) => isOf(entry, id))) return { fault: `${id} has entries of another incident` };
      try {
        for (const entry of entries) {
          // Those before the one that carries it over are of no use without its report.
          if (record !== undefined || isOpening(entry)) record = fold(record, entry as IncidentEntry);
        }
      } catch (error) {
        // Entries are missing between them.
        if (error instanceof Contradiction) return { isIncomplete: true };
        throw error;
      }
      const end = lines.at(-1);
      // Its real place: the index may name another.
      if (end !== undefined) last = { seq: end.seq, offset: end.offset, length: end.bytes.length + 1 };
      after = page.next ?? 0;
      isMore = page.next !== undefined;
    }
    return record === undefined && last !== undefined ? { isIncomplete: true } : { record, last };
  }

  /** How the rows of an incident differ from its record. */
  rowDifference(record: IncidentRecord): string | undefined {
    const { incident, snapshot, seq, decisive, carried = seq } = record;
    const { id } = incident;
    const row = this.#row.get(id);
    if (row === undefined) return `${id} is missing`;
    const { context, document, ...columns } = row;
    if (!isDeepStrictEqual(parsed(document), plain(incident))) return `${id} is not what its entries make of it`;
    if (!isDeepStrictEqual(parsed(context), plain(snapshot.context))) return `${id} has another snapshot`;
    const [recovery, attesting] = recoveryColumns(incident);
    const expected = {
      number: seq,
      id,
      class: incident.class,
      rank: SEVERITIES.indexOf(incident.severity),
      state: incident.state,
      source: incident.source,
      owner: keysOwner(incident.reported_by),
      created_at: Date.parse(incident.created_at),
      updated_at: Date.parse(incident.updated_at),
      assignee: incident.assignee ?? null,
      containment: containmentColumn(incident),
      version: incident.version,
      recovery,
      attesting,
      attention: Number(needsAttention(incident)),
      decisive,
      base: carried,
      dedup_key: incident.dedup_key ?? null,
      drill: drillColumn(incident),
      summary: writeDocument(record).summary,
    };
    if (!isDeepStrictEqual({ ...columns }, expected)) return `${id} is listed as another`;
    const due = onRecord(incident).map(deliveryRow);
    const found = this.#deliveries.all(seq, ...ACTIONS).map((one) => ({ ...one }));
    return isDeepStrictEqual(found.toSorted(byAction), due.toSorted(byAction))
      ? this.#parts.snoozes.difference(record)
      : `${id} has other deliveries`;
  }

  /**
   * Looks for an entry about an incident behind a place, in the lines as they are: the index may lack it. They are not
   * verified: an entry that is hidden in the log as well is damage, which verification finds.
   */
  async #firstBehind(id: string, { seq, offset, length }: LinePlace): Promise<number | undefined> {
    const { log } = this.#parts;
    const { bytes } = log.status;
    const needle = Buffer.from(`"incident":"${id}"`);
    const growing = log.fileOf(Infinity).first;
    const { first } = log.fileOf(seq);
    for (let due = first, from = offset + length; ; from = 0) {
      const file = await openLogFile(log.fileOf(due).path);
      if (file === undefined) throw new RecorderError('overloaded', 'a file of the audit log is not there now');
      try {
        const to = due === growing ? bytes : (await file.stat()).size;
        const found = (await holds(file, from, to, needle)) ? await firstAbout(file, from, to, id) : undefined;
        if (found !== undefined) return found;
      } finally {
        await file.close();
      }
      const next = [...log.sealed, log.fileOf(Infinity)].find((one) => one.first > due);
      if (due >= growing || next === undefined) return undefined;
      due = next.first;
    }
  }
}

/** Whether a part of a file holds some bytes: twenty times as fast as to look at its lines. */
async function holds(file: FileHandle, from: number, to: number, needle: Buffer): Promise<boolean> {
  const window = Buffer.allocUnsafe(Math.max(0, Math.min(WINDOW_BYTES, to - from)));
  for (let position = from; position < to;) {
    const { bytesRead } = await file.read(window, 0, Math.min(window.length, to - position), position);
    if (bytesRead === 0) break;
    if (window.subarray(0, bytesRead).includes(needle)) return true;
    if (position + bytesRead >= to) break;
    // They may lie across two windows.
    position += Math.max(1, bytesRead - needle.length + 1);
  }
  return false;
}

/** The first entry about an incident in a part of a file. */
async function firstAbout(file: FileHandle, from: number, to: number, id: string): Promise<number | undefined> {
  for await (const lines of readLines(file, from, to)) {
    const line = lines.find((one) => isAbout(one, id));
    if (line !== undefined) return readEntryLine(line)?.seq;
  }
  return undefined;
}

/** Whether a line is an entry about an incident. A report may name one in its evidence. */
function isAbout(line: Parameters<typeof readEntryLine>[0], id: string): boolean {
  try {
    const entry = readEntryLine(line)?.entry();
    return entry !== undefined && isOf(entry, id);
  } catch {
    return false;
  }
}

const isOf = (entry: Entry, id: string): boolean => isAboutIncident(entry) && entry.data.incident === id;

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** Undefined when it is not JSON. */
function parsed(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch {
    return undefined;
  }
}

const byAction = (one: { action?: unknown }, other: { action?: unknown }): number =>
  String(one.action) < String(other.action) ? -1 : 1;

/** What was lost proves nothing. */
function unlessGone(error: unknown): undefined {
  if (!(error instanceof RecorderError) || error.code !== 'gone') throw error;
}
