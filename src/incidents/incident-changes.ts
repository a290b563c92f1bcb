/**
 * What has changed since an entry or a time, for whoever takes over: for each incident what people and reports have done
 * to it, without the noise of deliveries that went well, and what concerns the recorder itself.
 *
 * It is read from the log, so that it says what is on record and who did it; what an incident is now comes from the
 * projections. One page takes a bounded part of the log, and says where the next one begins. It ends with the log: it is
 * no stream.
 */
import type { State } from '../../machines/vocabulary.ts';
import { firstSeqOf, goneTo } from '../audit/log-position.ts';
import { LogCursor } from '../audit/log-cursor.ts';
import { readEntriesAt, type Turn } from '../audit/log-reader.ts';
import type { ReadableLog } from '../audit/log.ts';
import { isAboutIncident } from '../domain/entries.ts';
import { RecorderError } from '../errors.ts';
import type { Projections } from '../projections/projections.ts';
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
} from '../query/incident-changes.ts';

/** Where to begin: behind an entry, or with what was written since a time, in milliseconds since the epoch. */
export interface ChangesQuery {
  readonly after?: number | undefined;
  readonly since?: number | undefined;
}

type Reads = Pick<Projections, 'current' | 'clockJumps' | 'placeOf'>;

export class IncidentChanges {
  readonly #log: ReadableLog;
  readonly #projections: Reads;
  readonly #logId: () => string | undefined;

  /** @param logId the identity of the log, when it is known */
  constructor(log: ReadableLog, projections: Reads, logId: () => string | undefined) {
    this.#log = log;
    this.#projections = projections;
    this.#logId = logId;
  }

  /**
   * A page of what has changed.
   * @param words whether the reader gets the words of services
   * @param turn awaited before each part of the work
   * @throws RecorderError `gone` when the entry is archived or of another log, `damaged_log`, `log_unavailable`,
   *   `overloaded`
   */
  async read({ after, since }: ChangesQuery, words: boolean, turn?: Turn): Promise<ChangesPage> {
    const current = this.#projections.current();
    const first = firstSeqOf(this.#log);
    if (after !== undefined && after > this.#log.status.entries) {
      throw goneTo(`the log ends before entry ${after}`, this.#log, this.#logId());
    }
    const begin = after ?? (await this.#placeOf(since ?? 0, first, turn)) - 1;
    const cursor = new LogCursor(this.#log, begin);
    const incidents = new Map<string, Gathered>();
    const others: ChangeEvent[] = [];
    const taken = { entries: 0, bytes: 0, characters: 0 };
    const hasRoom = (): boolean =>
      taken.entries < MOST_ENTRIES &&
      taken.bytes < MOST_BYTES &&
      taken.characters < MOST_CHARACTERS &&
      incidents.size < MOST_INCIDENTS;
    while (!cursor.atEnd && hasRoom()) {
      const lines = await cursor.next(turn);
      taken.entries += lines.length;
      for (const line of lines) {
        taken.bytes += line.bytes.length;
        if (!NOISE.has(line.event)) taken.characters += gather(line.entry(), incidents, others, words);
      }
    }
    const changes: ChangedIncident[] = [];
    for (const [id, gathered] of incidents) {
      await turn?.();
      // Whoever has a token never waits for a turn, and the others have to be served all the same.
      await new Promise(setImmediate);
      changes.push(await this.#changed(id, gathered, current.document(id)?.json));
    }
    const complete = cursor.atEnd;
    return {
      after: begin,
      through: cursor.position,
      changes: changes.toSorted((one, other) => one.seq - other.seq),
      others,
      complete,
      ...(complete ? {} : { next: cursor.position }),
      ...(after === undefined && begin === first - 1 && first > 1 ? { archived_through: first - 1 } : {}),
    };
  }

  async #changed(id: string, gathered: Gathered, json: string | undefined): Promise<ChangedIncident> {
    const was = gathered.isNew ? undefined : await this.#stateAt(id, gathered.firstVersion - 1);
    return changedIncident(id, gathered, was, json);
  }

  /** The state of an incident after one of its entries; undefined when that is not in the log any more. */
  async #stateAt(id: string, version: number): Promise<State | undefined> {
    const place = this.#projections.placeOf(id, version);
    if (place === undefined) return undefined;
    try {
      const [line] = await readEntriesAt(this.#log, [place]);
      const entry = line?.entry();
      return entry !== undefined && isAboutIncident(entry) && entry.data.incident === id ? entry.data.state : undefined;
    } catch (error) {
      if (!(error instanceof RecorderError) || error.code !== 'gone') throw error;
      return undefined;
    }
  }

  /**
   * The first entry that was written since a time. Entries follow each other in time but for jumps of the clock: between
   * two of them the first is found by halves, and the earliest of all counts.
   */
  async #placeOf(since: number, first: number, turn?: Turn): Promise<number> {
    const last = this.#log.status.entries;
    const ends = this.#projections.clockJumps
      .newest()
      .map(({ after_seq: end }) => end)
      .filter((end) => end >= first && end < last);
    let begin = first;
    for (const end of [...ends, last]) {
      const found = await this.#firstSince(since, begin, end, turn);
      if (found !== undefined) return found;
      begin = Math.max(begin, end + 1);
    }
    return last + 1;
  }

  /** The first of some entries that follow each other in time that was written since a time. */
  async #firstSince(since: number, from: number, to: number, turn?: Turn): Promise<number | undefined> {
    let [low, high] = [from, to + 1];
    while (low < high) {
      await turn?.();
      const middle = Math.floor((low + high) / 2);
      const [line] = await new LogCursor(this.#log, middle - 1).next();
      if (line === undefined || Date.parse(line.entry().timestamp) >= since) high = middle;
      else low = middle + 1;
    }
    return low > to ? undefined : low;
  }
}
