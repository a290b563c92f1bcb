/**
 * Counts the reports of each class as they will be in the log, for the rules of `escalate` and `repeat`.
 *
 * What is durable is counted by the projections, or by the early index while these are made. Reports that are on their
 * way to the disk come before the next one as well: an append is noted when it is made and forgotten when it is durable
 * or refused. The order of appends is that of the log, so whoever counts the log again gets the same.
 *
 * Nothing is counted while the policy has neither rule, and reports cost nothing more then. Those that are on their way
 * when such a rule comes into force are not known: what is durable is counted again until they must have got there.
 */
import type { IncidentClass } from '../../machines/vocabulary.ts';
import { type Clock, SECOND } from '../clock.ts';
import type { Counted } from '../domain/decide-incident.ts';
import type { DraftOf, IncidentDraft, IncidentEntry, Report } from '../domain/entries.ts';
import { type Escalation, escalationOf } from '../domain/escalation.ts';
import { countedIn, isReport, type ReportTimes } from '../domain/report-times.ts';
import type { PolicyContent } from '../policy/policy.ts';

/**
 * From how many milliseconds on it is a step of the wall clock when it has run otherwise than the monotonic one. A clock
 * that is only corrected runs up to 0.05 % faster or slower.
 */
const LEAST_STEP = 1 * SECOND;
/** After so many milliseconds an append is on disk, or was refused. */
const LONGEST_APPEND = 10 * SECOND;

export interface ReportCounterDependencies {
  readonly policy: () => Pick<PolicyContent, 'rules' | 'escalate'>;
  /**
   * When the durable reports came: another object once anything but a further report has changed it.
   * @throws RecorderError `starting`, `log_unavailable` while that is not known
   */
  readonly durable: () => ReportTimes;
  readonly clock: Clock;
}

export class ReportCounter {
  readonly #dependencies: ReportCounterDependencies;
  /** By incident and version, in the order of the log. */
  readonly #onTheWay = new Map<string, DraftOf<'incident.reported'> | DraftOf<'incident.recurred'>>();
  #durable: ReportTimes | undefined;
  /** What is durable, and what is on its way. */
  #all: ReportTimes | undefined;
  /** By how much the wall clock was ahead of the monotonic one at the latest report. */
  #ahead: number | undefined;
  #policy: Pick<PolicyContent, 'rules' | 'escalate'> | undefined;
  #isAsked = false;
  /** From when on all that is on its way is known, by the monotonic clock, and whether `#all` was made after that. */
  #knownFrom = -Infinity;
  #isKnown = false;
  #rules: ReadonlyMap<IncidentClass, readonly Escalation[]> = new Map();

  constructor(dependencies: ReportCounterDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * What is known of a report that comes now; its append must follow in the same turn. Undefined when there is nothing.
   * @param timestamp that of its entry
   * @throws RecorderError `starting`, `log_unavailable` when it is not known how many reports came before
   */
  readonly count = (report: Report, timestamp: string): Counted | undefined => {
    if (!this.#isAskedBy(this.#dependencies.policy())) return undefined;
    const rules = this.#rules.get(report.class);
    const step = this.#step();
    let escalation: Escalation | undefined;
    if (rules !== undefined) {
      const before = this.#counted();
      const time = before.timeOf({ timestamp: Date.parse(timestamp), step });
      escalation = escalationOf(rules, report.class, before, time);
    }
    return escalation === undefined && step === 0
      ? undefined
      : { escalation, clockStep: step === 0 ? undefined : step };
  };

  /** The time of a report that comes now. @throws RecorderError like `count` */
  now(): number {
    return this.#counted().timeOf({ timestamp: this.#dependencies.clock.now(), step: this.#step() });
  }

  /** Notes a report that is appended now. */
  appended(draft: IncidentDraft): void {
    if (!this.#isAsked || !isReport(draft)) return;
    this.#onTheWay.set(keyOf(draft.data), draft);
    this.#ahead = this.#difference();
    this.#all?.take(countedIn(draft), Infinity);
  }

  /** Notes that an append was refused. */
  refused(draft: IncidentDraft): void {
    if (!isReport(draft)) return;
    this.#onTheWay.delete(keyOf(draft.data));
    // A step that was not recorded has to be found again.
    if (this.#ahead !== undefined) this.#ahead -= draft.data.clock_step_ms ?? 0;
    this.#all = undefined;
  }

  /** Notes an entry that is durable. To be called before the projections take it. */
  taken(entry: IncidentEntry): void {
    if (this.#onTheWay.size > 0) this.#onTheWay.delete(keyOf(entry.data));
  }

  #isAskedBy(policy: Pick<PolicyContent, 'rules' | 'escalate'>): boolean {
    if (policy === this.#policy) return this.#isAsked;
    const { rules, escalate = [] } = policy;
    const { clock } = this.#dependencies;
    if (this.#policy !== undefined && !this.#isAsked) this.#knownFrom = clock.monotonic() + LONGEST_APPEND;
    this.#policy = policy;
    this.#rules = Map.groupBy(escalate, (rule) => rule.class);
    this.#isAsked = escalate.length > 0 || Object.values(rules).some(({ repeat }) => repeat !== undefined);
    // What is not asked for is not kept.
    this.#all = undefined;
    this.#ahead = undefined;
    return this.#isAsked;
  }

  #counted(): ReportTimes {
    const durable = this.#dependencies.durable();
    if (this.#all !== undefined && durable === this.#durable && this.#isKnown) return this.#all;
    this.#isKnown = this.#dependencies.clock.monotonic() >= this.#knownFrom;
    const all = durable.copy();
    for (const draft of this.#onTheWay.values()) all.take(countedIn(draft), Infinity);
    this.#durable = durable;
    this.#all = all;
    return all;
  }

  /** By how many milliseconds the wall clock was set since the latest report of this process; 0 when it was not. */
  #step(): number {
    if (this.#ahead === undefined) return 0;
    const step = Math.round(this.#difference() - this.#ahead);
    return Math.abs(step) < LEAST_STEP ? 0 : step;
  }

  #difference(): number {
    const { clock } = this.#dependencies;
    return clock.now() - clock.monotonic();
  }
}

const keyOf = ({ incident, version }: { readonly incident: string; readonly version: number }): string =>
  `${incident} ${version}`;
