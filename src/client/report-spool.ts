/**
 * Reports that are not lost while the recorder is away.
 *
 * While nothing waits, a report goes to the recorder at once. One that finds it away is put on disk, and so is every
 * report behind it, until all that waits has been delivered, oldest first. Each has its key from the beginning and is
 * sent under it however often that takes, also by the next process that opens the spool: so each is recorded once, in
 * the order in which they were handed over.
 *
 * A report that the recorder refuses for what it says would be refused for ever, and must not hold up the others: it is
 * taken off and told of. A wrong token, or anything else that an operator can mend, is waited for.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Backoff } from '../backoff.ts';
import { NotReachable, Refused } from './errors.ts';
import type { Recorded, RecorderClient } from './recorder-client.ts';
import type { Report } from './shapes.ts';
import { SpoolFile } from './spool-file.ts';
import { SpoolLock } from './spool-lock.ts';

const SECOND = 1000;

export interface SpoolOptions {
  /** A file of this process alone, in a directory that is there. It is made when it is needed. */
  readonly path: string;
  /** How large the file may become. A report that finds no room is refused to its caller. */
  readonly maxBytes?: number;
  /** Told of each report that has waited, when it is recorded. */
  readonly onDelivered?: (key: string, recorded: Recorded) => void;
  /** Told of each report that has waited and is refused for good; a warning of the process when not given. */
  readonly onRefused?: (report: Report, key: string, refusal: Error) => void;
}

/** What became of a report: it is recorded, or it waits on disk. */
export type Taken = Recorded | { readonly outcome: 'spooled'; readonly key: string };

interface SpooledReport {
  readonly key: string;
  readonly report: Report;
}

/** What the recorder answers to a report that it will never take: RFC 9110, section 15.5. */
const FINAL: ReadonlySet<number> = new Set([400, 413, 415, 422]);

export class ReportSpool {
  readonly #client: Pick<RecorderClient, 'report'>;
  readonly #file: SpoolFile;
  readonly #lock: SpoolLock;
  readonly #onDelivered: NonNullable<SpoolOptions['onDelivered']>;
  readonly #onRefused: NonNullable<SpoolOptions['onRefused']>;
  readonly #closing = new AbortController();
  /** Who uses the file takes turns. */
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
   * Opens the spool, and begins to deliver what an earlier process left in it.
   * @throws SpoolError `in_use`, `is_another`
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

  /** How many bytes of reports wait. */
  get waiting(): number {
    return this.#file.bytes;
  }

  /** Why they do, when something waits. */
  get lastError(): Error | undefined {
    return this.#lastError;
  }

  /**
   * Hands a report over. When this resolves it is on disk: the recorder's, or the spool's.
   * @throws Refused for a report that the recorder will never take, SpoolError `full`, RangeError for one that is too
   *   long, what writing the spool throws; such a report is nowhere
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

  /** Resolves when nothing waits any more; rejects when `signal` is aborted or the spool is closed before that. */
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
   * Ends the delivery where it is; what waits is delivered by the next process that opens the spool. Until then the
   * process stays alive while something waits.
   */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new Error('the spool is closed'));
    await this.#delivery;
    await this.#turn.catch(() => {});
    await this.#file.close();
    await this.#lock.release();
  }

  /** Delivers what waits unless that is under way; ends when nothing is left. */
  #deliver(): void {
    if (this.#delivery !== undefined || this.#file.isEmpty || this.#closing.signal.aborted) return;
    this.#delivery = this.#deliverAll().finally(() => {
      this.#delivery = undefined;
      // A report may have been put into the spool since it was seen to be empty.
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
        const tell = await this.#send(record);
        await this.#inTurn(() => this.#file.shift());
        this.#lastError = undefined;
        backoff.reset();
        // What the caller's function throws is its own.
        queueMicrotask(tell);
      } catch (error) {
        this.#lastError = error as Error;
        await backoff.pause(signal).catch(() => {});
      }
    }
  }

  /**
   * Sends one record until it is recorded or refused for good; gives what tells the caller of that.
   * @throws what is to be waited for
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

/** Whether what went wrong can be mended without another report: by time, or by an operator. */
const isWaitedFor = (error: unknown): boolean =>
  error instanceof NotReachable || (error instanceof Refused ? !FINAL.has(error.status) : isSystemError(error));

/** The token's file can't be read at the moment. */
const isSystemError = (error: unknown): boolean => error instanceof Error && 'syscall' in error;

/** A line that is no record, which only a damaged disk can have left, is handed to the recorder, and refused by it. */
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
