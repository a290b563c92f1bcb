/**
 * Keeps reports on disk while the recorder is unreachable, so that none is lost.
 *
 * While the spool is empty, a report goes to the recorder at once. When the recorder is unreachable the report is put
 * on disk, and so is every later one, until all of them are delivered, oldest first. A report gets its key at the
 * beginning, and every attempt carries it, also those of the next process that opens the spool. So each report is
 * recorded once, in the order in which the caller handed them over.
 *
 * A report whose content the recorder refuses would be refused for ever, and must not hold up the others: it is
 * removed, and `onRefused` is called. A wrong token, or another fault that an operator can mend, is waited for.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Backoff } from '../backoff.ts';
import { SECOND } from '../clock.ts';
import { NotReachable, Refused } from './errors.ts';
import type { Recorded, RecorderClient } from './recorder-client.ts';
import type { Report } from './shapes.ts';
import { SpoolFile } from './spool-file.ts';
import { SpoolLock } from './spool-lock.ts';

export interface SpoolOptions {
  /** A file that only this process uses, in an existing directory. Created when needed. */
  readonly path: string;
  /** How large the file may become, in bytes. Without room, `report` throws. */
  readonly maxBytes?: number;
  /** Called when a report that waited on disk is recorded. */
  readonly onDelivered?: (key: string, recorded: Recorded) => void;
  /** Called when a report that waited on disk is refused for good. By default the process emits a warning. */
  readonly onRefused?: (report: Report, key: string, refusal: Error) => void;
}

/** What happened to a report: it is recorded, or it waits on disk. */
export type Taken = Recorded | { readonly outcome: 'spooled'; readonly key: string };

interface SpooledReport {
  readonly key: string;
  readonly report: Report;
}

/** The statuses with which the recorder refuses a report for good: RFC 9110, section 15.5. */
const FINAL: ReadonlySet<number> = new Set([400, 413, 415, 422]);

export class ReportSpool {
  readonly #client: Pick<RecorderClient, 'report'>;
  readonly #file: SpoolFile;
  readonly #lock: SpoolLock;
  readonly #onDelivered: NonNullable<SpoolOptions['onDelivered']>;
  readonly #onRefused: NonNullable<SpoolOptions['onRefused']>;
  readonly #closing = new AbortController();
  /** The file's users take turns: one at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  #delivery: Promise<void> | undefined;
  #lastError: Error | undefined;

  private constructor(
    client: Pick<RecorderClient, 'report'>,
    file: SpoolFile,
    lock: SpoolLock,
    { onDelivered = () => {}, onRefused = warn }: SpoolOptions,
  ) {
    this.#client = client;
    this.#file = file;
    this.#lock = lock;
    this.#onDelivered = onDelivered;
    this.#onRefused = onRefused;
  }

  /**
   * Opens the spool and starts to deliver what an earlier process left in it.
   * @throws SpoolError `in_use`, `is_another`; or the file system's error
   */
  static async open(client: Pick<RecorderClient, 'report'>, options: SpoolOptions): Promise<ReportSpool> {
    const { path, maxBytes = 16 * 1024 * 1024 } = options;
    const lock = await SpoolLock.take(path);
    try {
      const spool = new ReportSpool(client, await SpoolFile.open(path, maxBytes), lock, options);
      spool.#deliver();
      return spool;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** The size of the waiting reports, in bytes. */
  get waiting(): number {
    return this.#file.bytes;
  }

  /** Why the reports wait: the error of the last attempt. */
  get lastError(): Error | undefined {
    return this.#lastError;
  }

  /**
   * Reports an incident. When this resolves the report is on disk, the recorder's or the spool's.
   * @throws Refused when the recorder will never take the report; SpoolError `full`; RangeError when it is too long;
   *   the file system's error. The report is then stored nowhere.
   */
  async report(report: Report, key: string = randomUUID()): Promise<Taken> {
    const { signal } = this.#closing;
    signal.throwIfAborted();
    return this.#inTurn(async () => {
      if (this.#file.isEmpty && !signal.aborted) {
        try {
          return await this.#client.report(report, { key, retries: 0, signal });
        } catch (error) {
          if (!isWaitedFor(error) && !signal.aborted) throw error;
          this.#lastError = error as Error;
        }
      }
      await this.#file.append({ key, report } satisfies SpooledReport);
      this.#deliver();
      return { outcome: 'spooled', key };
    });
  }

  /** Resolves when no report waits any more. Rejects when `signal` is aborted or the spool is closed before that. */
  async drained(signal?: AbortSignal): Promise<void> {
    const given = signal === undefined ? [] : [signal];
    const ended = AbortSignal.any([this.#closing.signal, ...given]);
    await this.#inTurn(async () => {});
    while (!this.#file.isEmpty) {
      ended.throwIfAborted();
      await Promise.race([this.#delivery, once(ended, 'abort')]);
    }
  }

  /**
   * Stops the delivery. The next process that opens the spool delivers what waits. Without `close`, waiting reports
   * keep the process alive.
   */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new Error('the spool is closed'));
    await this.#delivery;
    await this.#turn.catch(() => {});
    await this.#file.close();
    await this.#lock.release();
  }

  /** Starts to deliver what waits, unless that has started. */
  #deliver(): void {
    if (this.#delivery !== undefined || this.#file.isEmpty || this.#closing.signal.aborted) return;
    this.#delivery = this.#deliverAll().finally(() => {
      this.#delivery = undefined;
      // A report may have arrived since the spool was found empty.
      this.#deliver();
    });
  }

  async #deliverAll(): Promise<void> {
    const { signal } = this.#closing;
    const backoff = new Backoff(0.5 * SECOND, 5 * SECOND);
    while (!signal.aborted) {
      try {
        const record = await this.#inTurn(() => this.#file.first());
        if (record === undefined) return;
        const notify = await this.#send(record);
        await this.#inTurn(() => this.#file.shift());
        this.#lastError = undefined;
        backoff.reset();
        // An error of the caller's function must not stop the delivery.
        queueMicrotask(notify);
      } catch (error) {
        this.#lastError = error as Error;
        await backoff.pause(signal).catch(() => {});
      }
    }
  }

  /**
   * Sends one record.
   * @returns a function that tells the caller that the report is recorded, or refused for good
   * @throws an error that the delivery waits for, and then tries again
   */
  async #send(text: string): Promise<() => void> {
    const { key, report } = readRecord(text);
    try {
      const recorded = await this.#client.report(report, { key, retries: 0, signal: this.#closing.signal });
      return () => this.#onDelivered(key, recorded);
    } catch (error) {
      if (isWaitedFor(error) || this.#closing.signal.aborted) throw error;
      return () => this.#onRefused(report, key, error as Error);
    }
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#turn.then(work, work);
    this.#turn = turn;
    return turn;
  }
}

/** Whether the same report may be taken later: time or an operator can mend the fault. */
const isWaitedFor = (error: unknown): boolean =>
  error instanceof NotReachable || (error instanceof Refused ? !FINAL.has(error.status) : isSystemError(error));

/** An error of the file system: the token's file can't be read at the moment. */
const isSystemError = (error: unknown): boolean => error instanceof Error && 'syscall' in error;

/** Parses a record. Only a damaged disk can leave another line; the recorder gets it and refuses it. */
function readRecord(text: string): SpooledReport {
  try {
    return JSON.parse(text) as SpooledReport;
  } catch {
    return { key: randomUUID(), report: { damaged: text } as unknown as Report };
  }
}

function warn(_report: Report, key: string, refusal: Error): void {
  process.emitWarning(`a spooled report (key ${key}) is lost: ${refusal.message}`, 'ReportSpoolWarning');
}
