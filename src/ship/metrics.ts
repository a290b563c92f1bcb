/** The shipper's figures for `/metrics`. */
import { Counter, type Registry } from 'prom-client';
import { type Clock, SECOND } from '../clock.ts';
import { Exposition } from '../metrics/exposition.ts';
import { addProcessMetrics } from '../metrics/process-metrics.ts';
import { addReading, addReadings } from '../metrics/reading.ts';
import type { AnchorOutcome } from './anchor-handover.ts';
import type { CommandOutcome } from './command-relay.ts';
import type { BatchOutcome } from './log-shipping.ts';
import type { Progress } from './progress.ts';

export class ShipMetrics {
  readonly exposition = new Exposition();
  readonly #reached = { fleet: 0, recorder: 0 };
  readonly #entries: Counter;
  readonly #bytes: Counter;
  readonly #batches: Counter<'outcome'>;
  readonly #anchors: Counter<'outcome'>;
  readonly #commands: Counter<'outcome'>;
  readonly #statuses: Counter<'outcome'>;
  readonly #stop: () => void;

  constructor(progress: Progress, clock: Clock) {
    const { registry } = this.exposition;
    const total = (name: string, help: string): Counter => new Counter({ name, help, registers: [registry] });
    const totals = (name: string, help: string): Counter<'outcome'> =>
      new Counter({ name, help, labelNames: ['outcome'], registers: [registry] });
    this.#entries = total('incident_shipper_entries_total', 'Entries that the fleet has taken from this process.');
    this.#bytes = total('incident_shipper_sent_bytes_total', 'Bytes of entries that were sent, compressed.');
    this.#batches = totals('incident_shipper_batches_total', 'Batches by what the fleet did with them.');
    this.#anchors = totals('incident_shipper_anchors_total', 'Anchors by what the recorder did with them.');
    this.#commands = totals('incident_shipper_commands_total', 'Commands of the fleet by what came of them.');
    this.#statuses = totals('incident_shipper_statuses_total', 'Reports of how the machine is.');
    addProgress(registry, progress, clock);
    addReadings(registry, 'incident_shipper_up', 'Whether the last request was answered: 1 or 0.', ['side'], () => [
      [{ side: 'fleet' }, this.#reached.fleet],
      [{ side: 'recorder' }, this.#reached.recorder],
    ]);
    this.#stop = addProcessMetrics(registry, clock);
  }

  countBatch(outcome: BatchOutcome, batch?: { readonly entries: number; readonly sent: number }): void {
    this.#batches.inc({ outcome });
    if (batch === undefined) return;
    this.#entries.inc(batch.entries);
    this.#bytes.inc(batch.sent);
  }

  countAnchor(outcome: AnchorOutcome): void {
    this.#anchors.inc({ outcome });
  }

  countCommand(outcome: CommandOutcome): void {
    this.#commands.inc({ outcome });
  }

  countStatus(outcome: 'sent' | 'failed'): void {
    this.#statuses.inc({ outcome });
  }

  reached(side: 'fleet' | 'recorder', isReached: boolean): void {
    this.#reached[side] = isReached ? 1 : 0;
  }

  /** Ends the measurement of the event loop. */
  stop(): void {
    this.#stop();
  }
}

function addProgress(registry: Registry, progress: Progress, clock: Clock): void {
  const add = (name: string, help: string, read: () => number): void =>
    addReading(registry, `incident_shipper_${name}`, help, read);
  add('log_entries', 'The last entry of the local log, as far as it is known.', () => progress.entries);
  add('through', 'The last entry that the fleet has.', () => progress.through);
  add('behind_entries', 'Entries that the fleet lacks.', () => progress.behind);
  add('entries_per_second', 'How fast the fleet takes entries, over about a minute.', () => progress.rate);
  add('eta_seconds', 'When the fleet will have every entry; -1 while that is not known.', () =>
    progress.behind === 0 ? 0 : (progress.eta ?? -1),
  );
  add('lag_seconds', 'Age of the last entry that the fleet has, while it lacks some; else 0.', () =>
    progress.behind === 0 || progress.takenAt === undefined ? 0 : (clock.now() - progress.takenAt) / SECOND,
  );
  add(
    'accepted_timestamp_seconds',
    'When the fleet last took a batch; 0 for never.',
    () => progress.acceptedAt / SECOND,
  );
  add('wrong_machine', 'Whether the fleet knows this log as that of another machine: 1 or 0.', () =>
    progress.isOthers ? 1 : 0,
  );
  add('diverged', 'Whether the fleet holds another past of this log: 1 or 0.', () => (progress.diverged ? 1 : 0));
}
