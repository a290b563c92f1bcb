import { isMoreSevere, type Rule, SEVERITIES, type Severity } from '../../machines/vocabulary.ts';
import type { Report, SeverityOrigin } from './entries.ts';

/** The severity that a report gets, and where it comes from if that has to be said. */
export interface ReportSeverity {
  readonly severity: Severity;
  readonly origin: SeverityOrigin | undefined;
}

/** Most reports have the severity of their class. */
const PLAIN = Object.fromEntries(SEVERITIES.map((severity) => [severity, { severity, origin: undefined }])) as Readonly<
  Record<Severity, ReportSeverity>
>;

/**
 * The severity that a report gets under a rule.
 * @param least raises it like the `min_severity` of the rule, when that is lower
 */
export function severityOf(report: Pick<Report, 'severity'>, rule: Rule, least?: Severity): ReportSeverity {
  const { default_severity } = rule;
  const min_severity = higher(rule.min_severity, least);
  const asked = report.severity ?? default_severity;
  if (asked === default_severity && min_severity === undefined) return PLAIN[asked];
  const isRaised = min_severity !== undefined && isMoreSevere(min_severity, asked);
  const severity = isRaised ? min_severity : asked;
  const isLowered = isMoreSevere(default_severity, severity);
  const isToBeSaid = isRaised && report.severity !== undefined;
  if (!isLowered && !isToBeSaid) return PLAIN[severity];
  const origin = {
    ...(isLowered ? { default_severity } : {}),
    ...(isToBeSaid ? { reported_severity: report.severity } : {}),
  };
  return { severity, origin };
}

const higher = (one: Severity | undefined, other: Severity | undefined): Severity | undefined =>
  one === undefined || (other !== undefined && isMoreSevere(other, one)) ? other : one;
