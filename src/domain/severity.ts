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

/** The severity that a report gets under a rule. */
export function severityOf(report: Pick<Report, 'severity'>, rule: Rule): ReportSeverity {
  const { default_severity, min_severity } = rule;
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
