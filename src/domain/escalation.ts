/** When so many reports of a class come within so long a time, the incident of the last one is raised. */
import { type IncidentClass, isMoreSevere, type Severity } from '../../machines/vocabulary.ts';
import type { EscalatedBy } from './entries.ts';
import type { ReportTimes } from './report-times.ts';

/** A rule of the policy. */
export interface Escalation {
  readonly class: IncidentClass;
  readonly reports: number;
  /** In milliseconds. */
  readonly within: number;
  readonly to: Severity;
}

export const escalatedBy = ({ class: ofClass, reports, within, to }: Escalation): EscalatedBy => ({
  class: ofClass,
  reports,
  within_ms: within,
  to,
});

/** The rule in words: `to critical by the rule prompt_injection: 3 reports within 300 s`. */
export const escalationText = ({ class: ofClass, reports, within_ms, to }: EscalatedBy): string =>
  `to ${to} by the rule ${ofClass}: ${reports} reports within ${within_ms / 1000} s`;

/**
 * The rule that a report of a class meets, the one that raises most; of several, the first.
 * @param rules those of the class
 * @param times the reports before it
 * @param time of the report
 */
export function escalationOf(
  rules: readonly Escalation[],
  ofClass: IncidentClass,
  times: ReportTimes,
  time: number,
): Escalation | undefined {
  let met: Escalation | undefined;
  for (const rule of rules) {
    if (met !== undefined && !isMoreSevere(rule.to, met.to)) continue;
    if (times.reaches(ofClass, rule.reports, rule.within, time)) met = rule;
  }
  return met;
}
