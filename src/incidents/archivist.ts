/**
 * Moves old segments of the log to the archive, and the incidents that were reported in them off the record.
 *
 * For each segment, the `log.archived` entry is on disk before the file is moved. If the process ends in between, or the
 * move fails, the log is valid with the file and without it, and the next run moves it. Before anything is written, the
 * archivist checks that files can be moved to the archive.
 *
 * The segment with that entry is archived later, too. Each `log.archived` entry repeats all earlier ones, so the last is
 * enough.
 */
import {
  archivedIn,
  type ArchivedEntryData,
  describeSegment,
  moveToArchive,
  requireArchive,
  type SegmentDescription,
} from '../audit/archive.ts';
import { summarizeArchive, areArchived, rangesOf } from '../audit/archived-ranges.ts';
import type { AuditLog } from '../audit/log.ts';
import type { SealedSegment } from '../audit/segments.ts';
import { type Clock, HOUR, timestamp } from '../clock.ts';
import type { Caller } from '../domain/caller.ts';
import { RecorderError } from '../errors.ts';
import type { EntryRange } from '../projections/archived-incidents.ts';
import type { Projections } from '../projections/projections.ts';
import type { ActorRegistry } from './actor-registry.ts';
import { KeyedLock } from './keyed-lock.ts';
import type { ArchivedData } from '../domain/entries.ts';

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
}

type DescribedSegment = SegmentDescription & { readonly segment: SealedSegment };

export interface ArchivistDependencies {
  readonly log: Pick<AuditLog, 'append' | 'sealed' | 'fileOf' | 'forget' | 'hash'>;
  readonly projections: Pick<Projections, 'current'>;
  readonly incidents: Pick<ActorRegistry, 'exclusively'>;
  readonly clock: Clock;
  /** Whether the chain has been verified from its first entry since the start. */
  readonly isVerified: () => boolean;
}

export class Archivist {
  readonly #dependencies: ArchivistDependencies;
  readonly #runs = new KeyedLock();

  constructor(dependencies: ArchivistDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Archives the sealed segments whose entries are all from before a time and whose incidents are all resolved.
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
    const { sealed, recorded } = await this.#read();
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
      // An operator may retry a failed release at this moment. It must not lose its incident.
      const reason = await incidents.exclusively(projections.current().releasedBy(entries), async () => {
        const current = projections.current();
        const obstacle = current.obstacle(entries, stayingEntries);
        if (obstacle !== undefined) return obstacle;
        const data = { ...range, ...current.summary(entries), earlier: summarizeArchive(recorded), ...caller };
        if (!isRecorded(description, recorded)) await this.#record(data, recorded);
        archived.push(await this.#move(segment, data));
        return undefined;
      });
      if (reason === undefined) continue;
      stayingEntries.push(entries);
      staying.push({ path, reason });
    }
    return { archived, staying };
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

/** Whether entries after a segment record that it is archived, and repeat the `log.archived` entries in it. */
function isRecorded({ range, archived }: SegmentDescription, recorded: readonly ArchivedEntryData[]): boolean {
  const behind = recorded.filter(({ seq }) => seq > range.last_seq).flatMap(rangesOf);
  return [range, ...archived.flatMap(rangesOf)].every(({ first_seq, last_seq, prev_hash, last_hash }) =>
    areArchived({ entries: first_seq - 1, hash: prev_hash }, { entries: last_seq, hash: last_hash }, behind),
  );
}
