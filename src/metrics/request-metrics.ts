/** Requests to the service, and their answers. */
import { Counter, type Registry } from 'prom-client';
import { CLASSES, type IncidentClass, type Rule, SEVERITIES } from '../../machines/vocabulary.ts';
import type { Recorder } from '../incidents/recorder.ts';

type MakeReport = Recorder['report'];

export class RequestMetrics {
  readonly #answers: Counter<'method' | 'route' | 'status'>;
  readonly #reports: Counter<'class' | 'severity' | 'outcome'>;
  /** By labels. prom-client would sort and join the labels on every lookup. */
  readonly #counters = new Map<string, Counter.Internal>();

  constructor(registry: Registry) {
    const registers = [registry];
    this.#answers = new Counter({
      name: 'incident_recorder_http_requests_total',
      help: 'Answered requests; the route is empty when there is none.',
      labelNames: ['method', 'route', 'status'],
      registers,
    });
    this.#reports = new Counter({
      name: 'incident_recorder_reports_total',
      help: 'Valid reports by outcome: created, recurred, replayed, or refused (not recorded).',
      labelNames: ['class', 'severity', 'outcome'],
      registers,
    });
    // They exist from the start, so that the first refused report is visible as an increase.
    for (const incidentClass of CLASSES)
      for (const severity of SEVERITIES)
        for (const outcome of ['created', 'refused']) this.#reports.inc({ class: incidentClass, severity, outcome }, 0);
  }

  /** Counts an answer. */
  count(method: string, route: string, status: number): void {
    this.#counterOf(`${method} ${route} ${status}`, () => this.#answers.labels({ method, route, status })).inc();
  }

  /** Wraps `report` so that each outcome is counted, under the severity of the report or else of its rule. */
  countReports(report: MakeReport, ruleFor: (incidentClass: IncidentClass) => Rule): MakeReport {
    return async (given, ...rest) => {
      let outcome = 'refused';
      try {
        const made = await report(given, ...rest);
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
