/** The shipper: its parts, put together. */
import type { Server } from 'node:http';
import { systemClock } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import type { ConnectionOptions } from '../client/connection.ts';
import { AnchorHandover } from './anchor-handover.ts';
import { BandwidthLimit } from './bandwidth-limit.ts';
import { CommandRelay } from './command-relay.ts';
import { Fleet } from './fleet.ts';
import { FleetConnection, type FleetOptions } from './fleet-connection.ts';
import { LocalRecorder } from './local-recorder.ts';
import { LogShipping } from './log-shipping.ts';
import { ShipMetrics } from './metrics.ts';
import { serveMetrics } from './metrics-server.ts';
import { Progress } from './progress.ts';
import type { ShipLog } from './ship-log.ts';
import { StatusReport } from './status-report.ts';

export interface ShipperOptions {
  readonly recorder: ConnectionOptions;
  readonly fleet: Omit<FleetOptions, 'bandwidth'>;
  /** The name under which the machine is enrolled. */
  readonly machine: string;
  /** How many bytes may leave in a second; undefined for no limit. */
  readonly bytesPerSecond?: number | undefined;
  /** Where `/metrics` is served: `host:port` or `unix:/path`; undefined for nowhere. */
  readonly metrics?: string | undefined;
  /** After how many milliseconds of waiting for an answer a line says so; 10,000 by default. */
  readonly slow?: number | undefined;
  readonly say: ShipLog;
}

/** How often in a row `once` may fail. */
const ATTEMPTS = 4;

export class Shipper {
  readonly progress: Progress;
  readonly #options: ShipperOptions;
  readonly #metrics: ShipMetrics;
  readonly #connection: FleetConnection;
  readonly #recorder: LocalRecorder;
  readonly #log: LogShipping;
  readonly #anchors: AnchorHandover;
  readonly #status: StatusReport;
  readonly #commands: CommandRelay;

  /** @throws RecorderError `config`, TypeError for the URL of the recorder */
  constructor(options: ShipperOptions) {
    const { machine, bytesPerSecond, slow, say } = options;
    const clock = systemClock;
    this.#options = options;
    const bandwidth = bytesPerSecond === undefined ? undefined : new BandwidthLimit(bytesPerSecond, clock);
    this.#connection = new FleetConnection({ ...options.fleet, bandwidth });
    const fleet = new Fleet(this.#connection, machine);
    const recorder = new LocalRecorder(options.recorder);
    this.#recorder = recorder;
    const progress = new Progress(clock, say);
    this.progress = progress;
    const metrics = new ShipMetrics(progress, clock);
    this.#metrics = metrics;
    this.#anchors = new AnchorHandover({ recorder, clock, say, count: (outcome) => metrics.countAnchor(outcome) });
    this.#status = new StatusReport({
      fleet,
      recorder,
      progress,
      clock,
      say,
      count: (outcome) => metrics.countStatus(outcome),
    });
    this.#commands = new CommandRelay({ fleet, recorder, say, count: (outcome) => metrics.countCommand(outcome) });
    this.#log = new LogShipping({
      fleet,
      recorder,
      progress,
      bandwidth,
      slow,
      say,
      count: (outcome, batch) => metrics.countBatch(outcome, batch),
      onAnchor: (anchor) => this.#anchors.offer(anchor),
      onReached: (side, isReached) => metrics.reached(side, isReached),
    });
  }

  /** Ships until `signal` is aborted. @throws RecorderError `config` for an address of the metrics that is none */
  async run(signal: AbortSignal): Promise<void> {
    const server = await this.#serveMetrics();
    // A fault that no part expects ends them all, and the process: it is started again.
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    const parts = [
      this.#log.follow(either),
      this.#anchors.run(either),
      this.#status.run(either),
      this.#commands.run(either),
    ];
    try {
      await Promise.race(parts);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      failed.abort(new Error('another part of the shipper has failed'));
      await Promise.allSettled(parts);
      server?.close();
      server?.closeAllConnections();
      this.#close();
    }
  }

  /**
   * Ships what is there now, sends the status, hands over the anchor, and relays the commands that wait.
   * @throws FleetRefused, FleetNotReachable, Refused, NotReachable
   */
  async once(signal: AbortSignal): Promise<void> {
    try {
      await this.#log.once(ATTEMPTS, signal);
      await this.#status.send(signal);
      await this.#anchors.flush(signal);
      await this.#commands.relay(0, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        this.#options.say('warn', 'the fleet can’t be asked for commands', { why: (error as Error).message });
      });
    } finally {
      this.#close();
    }
  }

  /** Whoever has taken the port does not keep the log from being shipped. */
  async #serveMetrics(): Promise<Server | undefined> {
    const { metrics, say } = this.#options;
    if (metrics === undefined) return undefined;
    try {
      return await serveMetrics(metrics, this.#metrics.exposition);
    } catch (error) {
      if (error instanceof RecorderError) throw error;
      say('error', 'metrics can’t be served', { address: metrics, why: (error as Error).message });
      return undefined;
    }
  }

  #close(): void {
    this.#metrics.stop();
    this.#connection.close();
    this.#recorder.close();
  }
}
