/** The cost of writing the audit log. */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { DurableBatch } from '../audit/log.ts';
import { SECOND } from '../clock.ts';

const LATENCY_BUCKETS = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
const BATCH_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000];

export class LogMetrics {
  readonly #append: Histogram;
  readonly #sync: Histogram;
  readonly #batch: Histogram;
  readonly #bytes: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#append = new Histogram({
      name: 'incident_recorder_append_seconds',
      help: 'Time from asking for entries to be appended until they are on disk.',
      buckets: LATENCY_BUCKETS,
      registers,
    });
    this.#sync = new Histogram({
      name: 'incident_recorder_sync_seconds',
      help: 'Time that fdatasync of the audit log takes.',
      buckets: LATENCY_BUCKETS,
      registers,
    });
    this.#batch = new Histogram({
      name: 'incident_recorder_batch_entries',
      help: 'Entries that were written and synced together.',
      buckets: BATCH_BUCKETS,
      registers,
    });
    this.#bytes = new Counter({
      name: 'incident_recorder_audit_appended_bytes_total',
      help: 'Bytes appended to the audit log.',
      registers,
    });
  }

  /** Counts a batch that is on disk. */
  readonly observe = ({ entries, written, waits, sync }: DurableBatch): void => {
    for (const wait of waits) this.#append.observe(wait / SECOND);
    this.#sync.observe(sync / SECOND);
    this.#batch.observe(entries.length);
    this.#bytes.inc(written.length);
  };
}
