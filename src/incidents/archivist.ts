/**
 * Moves old segments of the log to the archive, and the incidents that were reported in them off the record.
 *
 * An unresolved incident stays on record: before its segment is archived, it is carried over. An `incident.carried` entry
 * repeats all of it, so that a replay can begin with that entry. If the process ends behind such an entry, the log is
 * valid, and the incident what it was; the next run goes on with the segment.
 *
 * For each segment, the `log.archived` entry is on disk before the file is moved. If the process ends in between, or the
 * move fails, the log is valid with the file and without it, and the next run moves it. Before anything is written, the
 * archivist checks that files can be moved to the archive.
 *
 * The segment with that entry is archived later, too. Each `log.archived` entry repeats all earlier ones, so the last is
 * enough.
 */
import { basename } from 'node:path';
import {
  archivedIn,
  type ArchivedEntryData,
  describeSegment,
  moveToArchive,
  requireArchive,
  type SegmentDescription,
} from '../audit/archive.ts';
import { summarizeArchive, areArchived, rangesOf } from '../audit/archived-ranges.ts';
import { readEntriesAt } from '../audit/log-reader.ts';
import type { AuditLog, ReadableLog } from '../audit/log.ts';
import type { SealedSegment } from '../audit/segments.ts';
import { type Clock, HOUR, timestamp } from '../clock.ts';
import type { Caller } from '../domain/caller.ts';
import { RecorderError } from '../errors.ts';
import { type EntryRange, windowsOf } from '../projections/archived-incidents.ts';
import type { Projections } from '../projections/projections.ts';
import type { ActorRegistry } from './actor-registry.ts';
import { KeyedLock } from './keyed-lock.ts';
import { type ArchivedData, isAboutIncident } from '../domain/entries.ts';
import type { IncidentRecord } from '../domain/incident.ts';
import type { CarriedParts } from '../domain/whole-incident.ts';

/**
 * The most incidents that one run carries over: each takes an entry of up to `MAX_ENTRY_BYTES`. The next run goes on.
 */
const MOST_CARRIED = 1000;

/** Idempotency keys leave the record with their incidents; they are promised to be known for this long. */
const YOUNGEST = 24 * HOUR;

export interface ArchivedSegment {
  /** Where it is now. */
  readonly path: string;
  readonly first_seq: number;
  readonly last_seq: number;
  /** How many incidents have left the record with it. */
  readonly incidents: number;
}

export interface StayingSegment {
  readonly path: string;
  /** Why it has to stay. */
  readonly reason: string;
}

export interface ArchiveOutcome {
  readonly archived: readonly ArchivedSegment[];
  /** Segments that are old enough and have to stay. */
  readonly staying: readonly StayingSegment[];
  /** How many unresolved incidents were carried over: they stay on record. */
  readonly carried: number;
}

type DescribedSegment = SegmentDescription & { readonly segment: SealedSegment };

export interface ArchivistDependencies {
  readonly log: ReadableLog & Pick<AuditLog, 'append' | 'forget' | 'pause'>;
  readonly projections: Pick<Projections, 'current' | 'leaveSome'>;
  readonly incidents: Pick<ActorRegistry, 'exclusively' | 'actor'>;
  readonly clock: Clock;
  /** Whether the chain has been verified from its first entry since the start. */
  readonly isVerified: () => boolean;
  /** How many incidents one run carries over, at most. */
  readonly mostCarried?: number;
}

export class Archivist {
  readonly #dependencies: ArchivistDependencies;
  readonly #runs = new KeyedLock();

  constructor(dependencies: ArchivistDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Archives the sealed segments whose entries are all from before a time; incidents that are not resolved are carried
   * over.
   * @param before milliseconds since the epoch, at least a day ago
   * @param caller who asks for it
   * @throws RecorderError `invalid_request` for a later time, `overloaded` while the log is still being verified,
   *   `log_unavailable`, also while the projections are behind the log; what was archived until then stays archived
   */
  async archive(before: number, caller?: Caller): Promise<ArchiveOutcome> {
    const { clock, isVerified } = this.#dependencies;
    const latest = clock.now() - YOUNGEST;
    if (before > latest) {
      throw new RecorderError('invalid_request', `before must be at least a day ago, ${timestamp(latest)} or earlier`);
    }
    if (!isVerified()) throw new RecorderError('overloaded', 'the audit log is still being verified; try again later');
    return this.#runs.run('archive', () => this.#archive(timestamp(before), caller));
  }

  async #archive(before: string, caller: Caller | undefined): Promise<ArchiveOutcome> {
    const archived: ArchivedSegment[] = [];
    const staying: StayingSegment[] = [];
    const stayingEntries: EntryRange[] = [];
    const { projections, incidents, clock } = this.#dependencies;
    // A start without room on its disk has left some.
    await this.#takeOff();
    const { sealed, recorded } = await this.#read();
    const carrier = new Carrier(this.#dependencies, caller);
    for (const description of sealed) {
      const { segment, range, latest } = description;
      const entries: EntryRange = { first: range.first_seq, last: range.last_seq };
      const { path } = segment;
      if (latest >= before) {
        stayingEntries.push(entries);
        if (latest > timestamp(clock.now()))
          staying.push({ path, reason: `it has an entry from ${latest}, in the future` });
        continue;
      }
      await requireArchive(segment);
      // Nothing would be gained where the segment has to stay all the same.
      const unmovable =
        projections.current().immovable(entries) ??
        (await projections.current().stray(entries, stayingEntries, turn)) ??
        (await carrier.carry(entries));
      if (unmovable !== undefined) {
        stayingEntries.push(entries);
        staying.push({ path, reason: unmovable });
        continue;
      }
      // From here on they are all resolved, and what they count in does not change.
      const counts = await projections.current().counts(entries, turn);
      // An operator may retry a failed release at this moment. It must not lose its incident.
      const reason = await incidents.exclusively(projections.current().releasedBy(entries), async () => {
        const current = projections.current();
        const obstacle = current.obstacle(entries);
        if (obstacle !== undefined) return obstacle;
        const data = {
          ...range,
          ...counts,
          ...current.summary(entries),
          earlier: summarizeArchive(recorded),
          ...caller,
        };
        if (!isRecorded(description, recorded)) await this.#record(data, recorded);
        archived.push(await this.#move(segment, data));
        return undefined;
      });
      if (reason === undefined) {
        await this.#takeOff();
        continue;
      }
      stayingEntries.push(entries);
      staying.push({ path, reason });
    }
    return { archived, staying, carried: carrier.carried };
  }

  /** Takes the incidents of archived segments off the record, a few at a time: others work in between. */
  async #takeOff(): Promise<void> {
    const { log, projections } = this.#dependencies;
    while (await projections.leaveSome()) {
      await turn();
      await log.pause();
    }
  }

  /** The sealed segments, and the `log.archived` entries that the log holds, oldest first. */
  async #read(): Promise<{ readonly sealed: readonly DescribedSegment[]; readonly recorded: ArchivedEntryData[] }> {
    const { log } = this.#dependencies;
    const [segments, growing] = [log.sealed, log.fileOf(Infinity)];
    const sealed: DescribedSegment[] = [];
    for (const segment of segments) sealed.push({ segment, ...(await describeSegment(segment, log.hash)) });
    const recorded = [...sealed.flatMap(({ archived }) => archived), ...(await archivedIn(growing, log.hash))];
    return { sealed, recorded };
  }

  async #record(data: ArchivedData, recorded: ArchivedEntryData[]): Promise<void> {
    const { log, clock } = this.#dependencies;
    const [entry] = await log.append([{ timestamp: timestamp(clock.now()), event: 'log.archived', data }]);
    if (entry?.event === 'log.archived') recorded.push(entry.data);
  }

  async #move(segment: SealedSegment, { first_seq, last_seq, incidents }: ArchivedData): Promise<ArchivedSegment> {
    const path = await moveToArchive(segment);
    this.#dependencies.log.forget([segment]);
    return { path, first_seq, last_seq, incidents };
  }
}

/** Lets others have the event loop. */
const turn = (): Promise<void> => new Promise(setImmediate);

type CarrierDependencies = Pick<ArchivistDependencies, 'log' | 'projections' | 'incidents' | 'mostCarried'>;

/** Carries unresolved incidents over, in one run of the archivist. */
class Carrier {
  readonly #dependencies: CarrierDependencies;
  readonly #caller: Caller | undefined;
  #carried = 0;

  /** How many incidents it has carried over. */
  get carried(): number {
    return this.#carried;
  }

  /** @param caller who asks for the run; nobody where the policy does */
  constructor(dependencies: CarrierDependencies, caller?: Caller) {
    this.#dependencies = dependencies;
    this.#caller = caller;
  }

  /**
   * Carries over the unresolved incidents that begin in these entries.
   * @returns why one of them can't be; undefined when none is left
   * @throws RecorderError `log_unavailable`, `damaged_log`; those that were carried over stay so
   */
  async carry(range: EntryRange): Promise<string | undefined> {
    const { projections, incidents, mostCarried = MOST_CARRIED } = this.#dependencies;
    for (const window of windowsOf(range)) {
      await turn();
      const ids = projections.current().toCarry(window);
      for (const id of ids) {
        if (this.#carried >= mostCarried)
          return `${mostCarried} unresolved incidents were carried over in this run; the next one goes on`;
        try {
          if (await incidents.actor(id).carry((record, time) => this.#partsOf(record, time, range), this.#caller))
            this.#carried += 1;
        } catch (error) {
          if (!(error instanceof RecorderError) || !STAYS_BY.has(error.code)) throw error;
          return `incident ${id} is not resolved, and can't be carried over: ${error.message}`;
        }
      }
    }
    return undefined;
  }

  async #partsOf({ incident: { id }, seq }: IncidentRecord, time: string, { last }: EntryRange): Promise<CarriedParts> {
    const { log, projections } = this.#dependencies;
    const place = projections.current().openingOf(id);
    const [line] = place === undefined ? [] : await readEntriesAt(log, [place]);
    const entry = line?.entry();
    if (entry === undefined || !isAboutIncident(entry) || !('rule' in entry.data) || entry.data.rule === undefined)
      throw new RecorderError('gone', 'its first entry is missing');
    const current = projections.current();
    const seqs = current.seqsOf(id).filter((one) => one <= last);
    const files = [...new Set(seqs.map((one) => basename(log.fileOf(one).path)))];
    const earlier = { note: `earlier entries are in the archive: ${files.join(', ')}`, files };
    const { report, rule } = entry.data;
    return { report, rule, requests: current.requestsOf(seq), repeats: current.repeatsOf(seq, time), earlier };
  }
}

/** What concerns one incident only: it holds back its segment, and others go on. */
const STAYS_BY: ReadonlySet<string> = new Set(['too_large', 'gone', 'not_found']);

/** Whether entries after a segment record that it is archived, and repeat the `log.archived` entries in it. */
function isRecorded({ range, archived }: SegmentDescription, recorded: readonly ArchivedEntryData[]): boolean {
  const behind = recorded.filter(({ seq }) => seq > range.last_seq).flatMap(rangesOf);
  return [range, ...archived.flatMap(rangesOf)].every(({ first_seq, last_seq, prev_hash, last_hash }) =>
    areArchived({ entries: first_seq - 1, hash: prev_hash }, { entries: last_seq, hash: last_hash }, behind),
  );
}
