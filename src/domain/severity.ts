import { isMoreSevere, type Rule, type Severity } from '../../machines/vocabulary.ts';
import type { Report, SeverityOrigin } from './entries.ts';

/** The severity that a report gets under a rule, and where it comes from. */
export function severityOf(
  report: Pick<Report, 'severity'>,
  rule: Rule,
): { readonly severity: Severity; readonly origin: SeverityOrigin } {
  const { default_severity, min_severity } = rule;
  const asked = report.severity ?? default_severity;
  const isRaised = min_severity !== undefined && isMoreSevere(min_severity, asked);
  const severity = isRaised ? min_severity : asked;
  const origin = {
    ...(isMoreSevere(default_severity, severity) ? { default_severity } : {}),
    ...(isRaised && report.severity !== undefined ? { reported_severity: report.severity } : {}),
  };
  return { severity, origin };
}
