/**
 * What `escalate` and `repeat` of a policy would have made of the reports in a log, entry by entry.
 *
 * It remembers so many incidents and repeated values that the memory has a bound; of more, those that were reported
 * longest ago are forgotten, and `isCut` says so.
 */
import { keysOwner } from '../domain/caller.ts';
import { CLASSES, type IncidentClass, isMoreSevere, type Severity } from '../../machines/vocabulary.ts';
import type { Entry, EscalatedBy } from '../domain/entries.ts';
import { type Escalation, escalatedBy, escalationOf } from '../domain/escalation.ts';
import { countedIn, isReport, type ReportEntry, ReportTimes } from '../domain/report-times.ts';
import { severityOf } from '../domain/severity.ts';
import { RepeatKeys } from '../incidents/repeat-key.ts';
import type { PolicyContent } from '../policy/policy.ts';

/** How many incidents and repeated values are remembered: some 20 MiB. */
const MOST_REMEMBERED = 50_000;

const KEYS = new RepeatKeys('');

/** What would have gone another way. */
export type ReportChange =
  /** The incident would have been an occurrence of another one. */
  | { readonly id: string; readonly class: IncidentClass; readonly occurrence_of: string }
  /** The incident would have been raised, or not, when it was. */
  | {
      readonly id: string;
      readonly class: IncidentClass;
      readonly was: { readonly severity: Severity };
      readonly would_be: { readonly severity: Severity };
      /** The rule that raises it. */
      readonly escalated_by?: EscalatedBy;
    };

export interface ReportsSummary {
  /** How many incidents fewer there would have been by `repeat`. */
  readonly fewer_incidents: number;
  /** How many incidents each rule of `escalate` would have raised. */
  readonly escalate: readonly (EscalatedBy & { readonly incidents: number })[];
}

interface Known {
  /** The incident that it would have been an occurrence of. */
  readonly sameAs?: string;
  severity: Severity;
  isResolved: boolean;
}

/** Whether a policy has something to try. */
export const asksForReports = ({ rules, escalate = [] }: Pick<PolicyContent, 'rules' | 'escalate'>): boolean =>
  escalate.length > 0 || CLASSES.some((name) => rules[name].repeat !== undefined);

export class ReportsWhatif {
  readonly #policy: Pick<PolicyContent, 'rules' | 'escalate'>;
  readonly #most: number;
  readonly #times = new ReportTimes();
  readonly #incidents = new Map<string, Known>();
  readonly #repeats = new Map<string, { readonly incident: string; readonly time: number }>();
  readonly #raised = new Map<Escalation, number>();
  #fewer = 0;
  #isCut = false;

  constructor(policy: Pick<PolicyContent, 'rules' | 'escalate'>, most = MOST_REMEMBERED) {
    this.#policy = policy;
    this.#most = most;
  }

  /** Whether something was forgotten: then there may be a few more. */
  get isCut(): boolean {
    return this.#isCut;
  }

  get summary(): ReportsSummary {
    const rules = this.#policy.escalate ?? [];
    return {
      fewer_incidents: this.#fewer,
      escalate: rules.map((rule) => ({ ...escalatedBy(rule), incidents: this.#raised.get(rule) ?? 0 })),
    };
  }

  /** Takes the next entry of the log. @returns what would have gone another way with it */
  take(entry: Entry): readonly ReportChange[] {
    if (entry.event === 'incident.resolved') {
      const known = this.#incidents.get(entry.data.incident);
      if (known !== undefined) known.isResolved = true;
      return [];
    }
    return isReport(entry) ? this.#takeReport(entry) : [];
  }

  #takeReport(entry: ReportEntry): readonly ReportChange[] {
    const { incident: recorded, report } = entry.data;
    const counted = countedIn(entry);
    const time = this.#times.timeOf(counted);
    const rules = (this.#policy.escalate ?? []).filter((rule) => rule.class === report.class);
    const escalation = escalationOf(rules, report.class, this.#times, time);
    this.#times.take(counted, entry.data.seq);
    const repeated = this.#repeated(entry, time);
    const id = repeated ?? this.#incidents.get(recorded)?.sameAs ?? recorded;
    const changes: ReportChange[] = [];
    if (repeated !== undefined && entry.event === 'incident.reported' && repeated !== recorded) {
      this.#fewer += 1;
      changes.push({ id: recorded, class: report.class, occurrence_of: repeated });
      this.#remember(recorded, { severity: entry.data.severity, isResolved: false, sameAs: repeated });
    }
    const raise = this.#raise(entry, id, escalation);
    return raise === undefined ? changes : [...changes, raise];
  }

  /** The incident whose report an entry's repeats. */
  #repeated({ data: { incident, report, principal } }: ReportEntry, time: number): string | undefined {
    const rule = this.#policy.rules[report.class];
    const key = KEYS.of(report, rule, keysOwner(principal));
    if (key === undefined || rule.repeat === undefined) return undefined;
    const known = this.#repeats.get(key);
    const isRepeated =
      known !== undefined &&
      time - known.time <= rule.repeat.within &&
      this.#incidents.get(known.incident)?.isResolved === false;
    this.#repeats.delete(key);
    this.#repeats.set(key, { incident: isRepeated ? known.incident : incident, time });
    this.#bound(this.#repeats);
    return isRepeated ? known.incident : undefined;
  }

  #raise({ event, data }: ReportEntry, id: string, escalation: Escalation | undefined): ReportChange | undefined {
    const { report } = data;
    const rule = this.#policy.rules[report.class];
    const own = severityOf(report, rule).severity;
    const known = event === 'incident.reported' && id === data.incident ? undefined : this.#incidents.get(id);
    const before = known !== undefined && isMoreSevere(known.severity, own) ? known.severity : own;
    const isRaised = escalation !== undefined && isMoreSevere(escalation.to, before);
    const severity = isRaised ? escalation.to : before;
    this.#remember(id, { ...(known ?? { isResolved: false }), severity });
    if (isRaised) this.#raised.set(escalation, (this.#raised.get(escalation) ?? 0) + 1);
    const wasRaised = data.escalated_by?.to;
    if (!isRaised && wasRaised === undefined) return undefined;
    const was = { severity: wasRaised ?? known?.severity ?? own };
    if (was.severity === severity) return undefined;
    const by = isRaised ? { escalated_by: escalatedBy(escalation) } : {};
    return { id, class: report.class, was, would_be: { severity }, ...by };
  }

  #remember(id: string, known: Known): void {
    this.#incidents.delete(id);
    this.#incidents.set(id, known);
    this.#bound(this.#incidents);
  }

  #bound(map: Map<string, unknown>): void {
    if (map.size <= this.#most) return;
    const [oldest] = map.keys();
    if (oldest !== undefined) map.delete(oldest);
    this.#isCut = true;
  }
}
