/** What is asked of the service, and how it is answered. */
import { Counter, type Registry } from 'prom-client';
import { CLASSES, type IncidentClass, type Rule, SEVERITIES } from '../../machines/vocabulary.ts';
import type { Recorder } from '../incidents/recorder.ts';

type Report = Recorder['report'];

export class RequestMetrics {
  readonly #answers: Counter<'method' | 'route' | 'status'>;
  readonly #reports: Counter<'class' | 'severity' | 'outcome'>;
  /** By what they count. To find a counter by its labels, prom-client sorts and joins these at each time. */
  readonly #counters = new Map<string, Counter.Internal>();

  constructor(registry: Registry) {
    const registers = [registry];
    this.#answers = new Counter({
      name: 'incident_recorder_http_requests_total',
      help: 'Answered requests; the route is empty where there is none.',
      labelNames: ['method', 'route', 'status'],
      registers,
    });
    this.#reports = new Counter({
      name: 'incident_recorder_reports_total',
      help: 'Valid reports, by what came of them: created, recurred, replayed or refused, which is not recorded.',
      labelNames: ['class', 'severity', 'outcome'],
      registers,
    });
    // Those that are there from the beginning: the first report that is refused must be seen as one more.
    for (const incidentClass of CLASSES)
      for (const severity of SEVERITIES)
        for (const outcome of ['created', 'refused']) this.#reports.inc({ class: incidentClass, severity, outcome }, 0);
  }

  /** Counts an answer. */
  count(method: string, route: string, status: number): void {
    this.#counterOf(`${method} ${route} ${status}`, () => this.#answers.labels({ method, route, status })).inc();
  }

  /** Gives `report` with what comes of it counted, under the severity that the report has by itself or by its rule. */
  countReports(report: Report, ruleFor: (incidentClass: IncidentClass) => Rule): Report {
    return async (given, idempotency) => {
      let outcome = 'refused';
      try {
        const made = await report(given, idempotency);
        outcome = made.change;
        return made;
      } finally {
        const severity = given.severity ?? ruleFor(given.class).default_severity;
        const labels = { class: given.class, severity, outcome };
        this.#counterOf(`${given.class} ${severity} ${outcome}`, () => this.#reports.labels(labels)).inc();
      }
    };
  }

  #counterOf(key: string, make: () => Counter.Internal): Counter.Internal {
    const known = this.#counters.get(key);
    if (known !== undefined) return known;
    const counter = make();
    this.#counters.set(key, counter);
    return counter;
  }
}
