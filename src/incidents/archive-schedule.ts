/**
 * Archives old segments by itself, when the policy says after how long (`archive_after`).
 *
 * It looks once an hour whether a segment is old enough, and first when the log is verified after a start, so a restart
 * delays nothing. A run that fails is tried again after ten minutes; until one succeeds, `fault` says why.
 */
import { open } from '../async-files.ts';
import { readLines } from '../audit/lines.ts';
import type { AuditLog } from '../audit/log.ts';
import { type Clock, DAY, HOUR, MINUTE } from '../clock.ts';
import { readEntry } from '../domain/entries.ts';
import type { ArchiveOutcome } from './archivist.ts';

const LOOK_AGAIN = 1 * HOUR;
const TRY_AGAIN = 10 * MINUTE;
/** After a run that could move nothing, which has read all old segments for it. */
const LOOK_LATER = 1 * DAY;

export interface ArchiveScheduleParts {
  readonly log: Pick<AuditLog, 'sealed' | 'fileOf'>;
  /** Archives what is from before a time, in milliseconds since the epoch. */
  readonly archive: (before: number) => Promise<ArchiveOutcome>;
  /** After how many milliseconds; undefined when nothing is archived by itself. */
  readonly after: () => number | undefined;
  /** Whether archiving is possible: the chain is verified. */
  readonly isVerified: () => boolean;
  readonly clock: Clock;
  readonly onArchived: (outcome: ArchiveOutcome) => void;
}

export class ArchiveSchedule {
  readonly #parts: ArchiveScheduleParts;
  /** By the monotonic clock. */
  #dueAt = -Infinity;
  #after: number | undefined;
  #running: Promise<void> | undefined;
  #fault: string | undefined;

  constructor(parts: ArchiveScheduleParts) {
    this.#parts = parts;
  }

  /** Why the last run failed, or what it could not move; undefined when all is well, or nothing is to be archived. */
  get fault(): string | undefined {
    return this.#after === undefined ? undefined : this.#fault;
  }

  /** Archives when it is time. To be called every second or so; never rejects. */
  async beat(): Promise<void> {
    const { after, isVerified, clock } = this.#parts;
    // A new time is followed at once.
    if (this.#after !== after()) this.#dueAt = -Infinity;
    this.#after = after();
    if (this.#after === undefined || this.#running !== undefined || clock.monotonic() < this.#dueAt || !isVerified())
      return this.#running;
    this.#running = this.#run(clock.now() - this.#after).finally(() => (this.#running = undefined));
    return this.#running;
  }

  /** Resolves when nothing runs any more. */
  async stop(): Promise<void> {
    this.#dueAt = Infinity;
    await this.#running;
  }

  async #run(before: number): Promise<void> {
    const { archive, clock, onArchived } = this.#parts;
    let pause = LOOK_AGAIN;
    try {
      if (await this.#isAnyOld(before)) {
        const outcome = await archive(before);
        const { archived, staying } = outcome;
        if (archived.length > 0 || staying.length > 0) onArchived(outcome);
        if (archived.length === 0 && staying.length > 0) pause = LOOK_LATER;
        const [first] = staying;
        this.#fault = first && `${staying.length} of its old segments have to stay: ${first.path}: ${first.reason}`;
      } else this.#fault = undefined;
    } catch (error) {
      this.#fault = `${(error as Error).message} (it is tried again)`;
      pause = TRY_AGAIN;
    }
    this.#dueAt = clock.monotonic() + pause;
  }

  /** Whether a segment may be old enough: the file behind it begins before that time. Cheap. */
  async #isAnyOld(before: number): Promise<boolean> {
    const { sealed, fileOf } = this.#parts.log;
    for (const { path } of [
      ...sealed.slice(1),
      ...(sealed.length === 0 ? [] : [fileOf.call(this.#parts.log, Infinity)]),
    ])
      if ((await beginningOf(path)) < before) return true;
    return false;
  }
}

/** When the first entry of a file was written, in milliseconds since the epoch; the epoch when that is not known. */
async function beginningOf(path: string): Promise<number> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return 0;
  try {
    for await (const [line] of readLines(file, 0, (await file.stat()).size)) {
      const time = line?.whole === true ? Date.parse(readEntry(line.bytes.toString()).timestamp) : Number.NaN;
      return Number.isNaN(time) ? 0 : time;
    }
    // Nothing was written since it was begun.
    return 0;
  } catch {
    return 0;
  } finally {
    await file.close();
  }
}
