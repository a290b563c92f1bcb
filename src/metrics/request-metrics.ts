/** Requests to the service, and their answers. */
import { Counter, type Registry } from 'prom-client';
import { CLASSES, type IncidentClass, type Rule, SEVERITIES } from '../../machines/vocabulary.ts';
import type { Report } from '../domain/entries.ts';
import type { BatchOutcome } from '../incidents/report-batch.ts';
import type { Recorder } from '../incidents/recorder.ts';
import { Counts } from './counts.ts';

type MakeReport = Recorder['report'];
type MakeReports = Recorder['reportAll'];

export class RequestMetrics {
  readonly #answers: Counts<'method' | 'route' | 'status'>;
  readonly #reports: Counts<'class' | 'severity' | 'outcome'>;
  readonly #batches: Counter;
  readonly #batched: Counter<'status'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#answers = new Counts({
      name: 'incident_recorder_http_requests_total',
      help: 'Answered requests; the route is empty when there is none.',
      labelNames: ['method', 'route', 'status'],
      registers,
    });
    this.#reports = new Counts(
      {
        name: 'incident_recorder_reports_total',
        help: 'Valid reports by outcome: created, recurred, replayed, or refused (not recorded).',
        labelNames: ['class', 'severity', 'outcome'],
        registers,
      },
      zeroReports,
    );
    this.#batches = new Counter({
      name: 'incident_recorder_report_batches_total',
      help: 'Batches of reports that were answered with an item for each report.',
      registers,
    });
    this.#batched = new Counter({
      name: 'incident_recorder_batched_reports_total',
      help: 'Reports of batches, by the status of their items.',
      labelNames: ['status'],
      registers,
    });
  }

  /** Counts an answer. */
  count(method: string, route: string, status: number): void {
    this.#answers.add(`${method} ${route} ${status}`, () => ({ method, route, status: String(status) }));
  }

  /** Wraps `report` so that each outcome is counted, under the severity of the report or else of its rule. */
  countReports(report: MakeReport, ruleFor: (incidentClass: IncidentClass) => Rule): MakeReport {
    return (given, ...rest) =>
      report(given, ...rest).then(
        (made) => {
          this.#countReport(given, made.change, ruleFor);
          return made;
        },
        (error: unknown) => {
          this.#countReport(given, 'refused', ruleFor);
          throw error;
        },
      );
  }

  /** Wraps `reportAll` as `countReports` wraps `report`. */
  countAllReports(reportAll: MakeReports, ruleFor: (incidentClass: IncidentClass) => Rule): MakeReports {
    return async (reports, ...rest) => {
      let outcomes: readonly BatchOutcome[] | undefined;
      try {
        outcomes = await reportAll(reports, ...rest);
        return outcomes;
      } finally {
        for (const [index, { report }] of reports.entries()) {
          const outcome = outcomes?.[index];
          this.#countReport(
            report,
            outcome === undefined || outcome instanceof Error ? 'refused' : outcome.change,
            ruleFor,
          );
        }
      }
    };
  }

  /** Counts a batch that is answered, by the statuses of its items. */
  countBatched(statuses: readonly number[]): void {
    this.#batches.inc();
    const counts = new Map<number, number>();
    for (const status of statuses) counts.set(status, (counts.get(status) ?? 0) + 1);
    for (const [status, count] of counts) this.#batched.inc({ status }, count);
  }

  #countReport(given: Report, outcome: string, ruleFor: (incidentClass: IncidentClass) => Rule): void {
    const severity = given.severity ?? ruleFor(given.class).default_severity;
    this.#reports.add(`${given.class} ${severity} ${outcome}`, () => ({ class: given.class, severity, outcome }));
  }
}

/** So the first refused report is visible as an increase. */
function* zeroReports() {
  for (const incidentClass of CLASSES)
    for (const severity of SEVERITIES)
      for (const outcome of ['created', 'refused']) yield { class: incidentClass as string, severity, outcome };
}
