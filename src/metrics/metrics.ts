/**
 * The figures of the service, for Prometheus. Events are counted from the start of the process; the present state
 * (`watch`) is read for each scrape.
 */
import type { Clock } from '../clock.ts';
import { EntryMetrics } from './entry-metrics.ts';
import { Exposition, type Format } from './exposition.ts';
import { LogMetrics } from './log-metrics.ts';
import { addProcessMetrics } from './process-metrics.ts';
import { RequestMetrics } from './request-metrics.ts';
import { addStateMetrics, type StateParts } from './state-metrics.ts';

export class Metrics {
  readonly entries: EntryMetrics;
  readonly log: LogMetrics;
  readonly requests: RequestMetrics;
  readonly #exposition = new Exposition();
  readonly #stop: () => void;

  constructor(clock: Clock) {
    const { registry } = this.#exposition;
    this.entries = new EntryMetrics(registry);
    this.log = new LogMetrics(registry);
    this.requests = new RequestMetrics(registry);
    this.#stop = addProcessMetrics(registry, clock);
  }

  /** Adds the present state of these parts. Call it once, before the first scrape. */
  watch(parts: StateParts): void {
    addStateMetrics(this.#exposition.registry, parts);
  }

  render(format: Format): Promise<string> {
    return this.#exposition.render(format);
  }

  stop(): void {
    this.#stop();
  }
}
