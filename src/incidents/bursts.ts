/**
 * Counts the reports of each source and class, and of each principal that reports them, to fold bursts.
 *
 * The count over the last `within` is that of the present window, and of the one before in the share that still counts.
 * What was reported before a start is taken from the record.
 */
import type { IncidentClass } from '../../machines/vocabulary.ts';
import type { Burst } from '../policy/policy.ts';
import type { Clock } from '../clock.ts';
import type { CurrentReads } from '../projections/current-reads.ts';

/** How many sources and classes are counted; those that reported longest ago are forgotten first. */
const MOST_COUNTED = 2000;

interface Count {
  /** By the monotonic clock. */
  start: number;
  present: number;
  before: number;
  isBurst: boolean;
  /** The newest incident that was opened, if it is known. */
  newest: string | undefined;
}

/** What is counted together. `owner`: who reports, as `keysOwner` gives it. */
export interface ReportKind {
  readonly class: IncidentClass;
  readonly source: string;
  readonly owner: string;
}

export interface Fold {
  readonly burst: 'begun' | 'continued';
  /** The incident that takes the report. */
  readonly incident: string;
}

export class Bursts {
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #counts = new Map<string, Count>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAt = clock.monotonic();
  }

  /**
   * The incident that some of so many further reports may become occurrences of, if it is on record.
   * @param further how many more reports of this kind there are
   */
  target(kind: ReportKind, burst: Burst, further: number, current: CurrentReads): string | undefined {
    const { before, present, newest } = this.#countOf(kind, burst, this.#clock.monotonic(), current);
    if (before + present + further <= burst.reports) return undefined;
    return newest ?? current.newestUnresolved(kind.class, kind.source, kind.owner);
  }

  /**
   * Counts a report.
   * @param ahead the newest incident of the kind, when its entry is on its way to the disk
   * @returns the incident that it is an occurrence of, when it belongs to a burst
   */
  count(kind: ReportKind, burst: Burst, current: CurrentReads, ahead?: string): Fold | undefined {
    const now = this.#clock.monotonic();
    const count = this.#countOf(kind, burst, now, current);
    const passed = Math.floor((now - count.start) / burst.within);
    if (passed > 0) {
      count.before = passed === 1 ? count.present : 0;
      count.present = 0;
      count.start += passed * burst.within;
    }
    const share = 1 - (now - count.start) / burst.within;
    const isBurst = count.before * share + count.present >= burst.reports;
    const hasBegun = isBurst && !count.isBurst;
    // What is folded counts too, and no further than it takes to stay a burst.
    if (count.present < burst.reports) count.present += 1;
    count.isBurst = isBurst;
    if (!isBurst) return undefined;
    const newest = ahead ?? (count.newest ??= current.newestUnresolved(kind.class, kind.source, kind.owner));
    return newest === undefined ? undefined : { burst: hasBegun ? 'begun' : 'continued', incident: newest };
  }

  /** Notes the newest incident of a kind. */
  opened(kind: ReportKind, incident: string): void {
    const count = this.#counts.get(keyOf(kind));
    if (count !== undefined) count.newest = incident;
  }

  #countOf(kind: ReportKind, burst: Burst, now: number, current: CurrentReads): Count {
    const key = keyOf(kind);
    const known = this.#counts.get(key);
    if (known !== undefined) {
      this.#counts.delete(key);
      this.#counts.set(key, known);
      return known;
    }
    const [oldest] = this.#counts.keys();
    if (this.#counts.size >= MOST_COUNTED && oldest !== undefined) this.#counts.delete(oldest);
    const count: Count = { start: now, present: 0, before: 0, isBurst: false, newest: undefined };
    if (now - this.#startedAt < burst.within) this.#recall(count, kind, burst, current);
    this.#counts.set(key, count);
    return count;
  }

  /** Goes on with what the record says of the time before the start. */
  #recall(count: Count, { class: ofClass, source, owner }: ReportKind, burst: Burst, current: CurrentReads): void {
    const since = this.#clock.now() - burst.within;
    const newest = current.newestUnresolved(ofClass, source, owner);
    const incident = newest === undefined ? undefined : current.incident(newest)?.incident;
    // A burst may have folded for long, so that its incidents are older: its last occurrence says that it went on.
    const lastSeen = Date.parse(incident?.last_seen_at ?? '');
    count.isBurst = lastSeen >= since && (incident?.occurrences ?? 0) > burst.reports;
    count.present = count.isBurst ? burst.reports : current.reportedSince(ofClass, source, since, burst.reports, owner);
    count.newest = newest;
  }
}

const keyOf = ({ class: ofClass, source, owner }: ReportKind): string => JSON.stringify([ofClass, source, owner]);
