/**
 * Keeps reports on disk while the recorder is unreachable, so that none is lost.
 *
 * While the spool is empty, a report goes to the recorder at once. When the recorder is unreachable the report is put
 * on disk, and so is every later one, until all of them are delivered, oldest first. A report gets its key at the
 * beginning, and every attempt carries it, also those of the next process that opens the spool. So each report is
 * recorded once, in the order in which the caller handed them over.
 *
 * A report leaves the spool only when the recorder has recorded it, or has refused it for what it says. A refused one
 * must not hold up the others: it is kept in a file next to the spool (`.refused`), and `onRefused` is called. A wrong
 * token, another server on the port, or another fault that an operator can mend, is waited for. What no recorder could
 * take is refused before it is spooled.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Backoff } from '../backoff.ts';
import { SECOND } from '../clock.ts';
import { InvalidReport, NotReachable, Refused } from './errors.ts';
import { requireOwnDirectory } from './own-file.ts';
import type { Recorded, RecorderClient } from './recorder-client.ts';
import { RefusedReports } from './refused-reports.ts';
import { LONGEST_REPORT, reportText, requireKey } from './report-text.ts';
import type { Report } from './shapes.ts';
import { SpoolFile } from './spool-file.ts';
import { SpoolLock } from './spool-lock.ts';

export interface SpoolOptions {
  /** A file that only this process uses, in an existing directory where nobody else can write. Created when needed. */
  readonly path: string;
  /** How large the file may become, in bytes. Without room, `report` throws. */
  readonly maxBytes?: number;
  /** Called when a report that waited on disk is recorded. */
  readonly onDelivered?: (key: string, recorded: Recorded) => void;
  /**
   * Called when a report that waited on disk is refused for good. It is then kept in `.refused` next to the spool. By
   * default the process emits a warning.
   */
  readonly onRefused?: (report: Report, key: string, refusal: Error) => void;
}

/** What happened to a report: it is recorded, or it waits on disk. */
export type Taken = Recorded | { readonly outcome: 'spooled'; readonly key: string };

interface SpooledReport {
  readonly key: string;
  readonly report: Report;
}

/** The statuses with which the recorder refuses a report for what it says: RFC 9110, section 15.5. */
const FINAL: ReadonlySet<number> = new Set([400, 409, 413, 422]);

/** By default in bytes: the spool, and what was refused. */
const MAX_BYTES = 16 * 1024 * 1024;

/** How many reports are sent at once, as a recorder takes them. */
const AT_ONCE = 100;

/** What it needs of the client; without `reportAll` it sends each report by itself. */
type Client = Pick<RecorderClient, 'report'> & Partial<Pick<RecorderClient, 'reportAll'>>;

export class ReportSpool {
  readonly #client: Client;
  readonly #file: SpoolFile;
  readonly #lock: SpoolLock;
  readonly #refused: RefusedReports;
  readonly #onDelivered: NonNullable<SpoolOptions['onDelivered']>;
  readonly #onRefused: NonNullable<SpoolOptions['onRefused']>;
  readonly #closing = new AbortController();
  /** The file's users take turns: one at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  #delivery: Promise<void> | undefined;
  #lastError: Error | undefined;

  private constructor(
    client: Client,
    file: SpoolFile,
    lock: SpoolLock,
    { path, maxBytes = MAX_BYTES, onDelivered = () => {}, onRefused }: SpoolOptions,
  ) {
    this.#client = client;
    this.#file = file;
    this.#lock = lock;
    this.#refused = new RefusedReports(`${path}.refused`, maxBytes);
    this.#onDelivered = onDelivered;
    this.#onRefused =
      onRefused ??
      ((_report, key, { message }) =>
        warn(`a spooled report (key ${key}) was refused and is kept in ${path}.refused: ${message}`));
  }

  /**
   * Opens the spool and starts to deliver what an earlier process left in it.
   * @throws SpoolError `in_use`, `is_another`, `unsafe`; or the file system's error
   */
  static async open(client: Client, options: SpoolOptions): Promise<ReportSpool> {
    const { path, maxBytes = MAX_BYTES } = options;
    await requireOwnDirectory(path);
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
   * @throws InvalidReport when no recorder could take the report or the key; Refused when the recorder will never take
   *   it; SpoolError `full`; RangeError when it is too long; the file system's error. The report is then stored
   *   nowhere.
   */
  async report(report: Report, key: string = randomUUID()): Promise<Taken> {
    const { signal } = this.#closing;
    signal.throwIfAborted();
    requireKey(key);
    const text = reportText(report);
    const bytes = Buffer.byteLength(text);
    if (bytes > LONGEST_REPORT)
      throw new RangeError(`a report of ${bytes} bytes is too long: ${LONGEST_REPORT} at most`);
    return this.#inTurn(async () => {
      if (this.#file.isEmpty && !signal.aborted) {
        try {
          return await this.#client.report(report, { key, retries: 0, signal });
        } catch (error) {
          if (isRefusal(error)) throw error;
          this.#wait(error as Error);
        }
      }
      await this.#file.append(`{"key":${JSON.stringify(key)},"report":${text}}`);
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
    // After a failure one report shows whether the recorder takes them again.
    let most = 1;
    while (!signal.aborted) {
      try {
        const records = await this.#inTurn(() => this.#file.firstFew(most));
        if (records.length === 0) return;
        const { settled, failure } = await this.#send(records.map(readRecord));
        if (settled.length > 0) await this.#inTurn(() => this.#file.shift(settled.length));
        // An error of the caller's function must not stop the delivery.
        for (const notify of settled) queueMicrotask(notify);
        if (failure !== undefined) throw failure;
        this.#lastError = undefined;
        backoff.reset();
        most = this.#client.reportAll === undefined ? 1 : AT_ONCE;
      } catch (error) {
        most = 1;
        this.#wait(error as Error);
        await backoff.pause(signal).catch(() => {});
      }
    }
  }

  /**
   * Sends the first records, and keeps aside what is refused for good.
   * @returns for each that is settled, up to the first that is not: a function that says to the caller that it is recorded,
   *   or refused; and the error that the delivery waits for, and then tries again
   */
  async #send(
    records: readonly SpooledReport[],
  ): Promise<{ readonly settled: readonly (() => void)[]; readonly failure?: Error }> {
    const settled: (() => void)[] = [];
    for (const [at, outcome] of (await this.#outcomesOf(records)).entries()) {
      const { key, report } = records[at]!;
      if (outcome instanceof Error) {
        if (!isRefusal(outcome)) return { settled, failure: outcome };
        const status = outcome instanceof Refused ? { status: outcome.status } : {};
        try {
          await this.#refused.add({ at: new Date().toISOString(), key, ...status, error: outcome.message, report });
        } catch (failure) {
          // Those before are kept aside already.
          return { settled, failure: failure as Error };
        }
        settled.push(() => this.#onRefused(report, key, outcome));
      } else {
        settled.push(() => this.#onDelivered(key, outcome));
      }
    }
    return { settled };
  }

  /** What becomes of the reports of records. @throws what concerns all of them */
  async #outcomesOf(records: readonly SpooledReport[]): Promise<readonly (Recorded | Refused | InvalidReport)[]> {
    const { signal } = this.#closing;
    const [first] = records;
    if (records.length > 1 && this.#client.reportAll !== undefined) {
      const keys = records.map(({ key }) => key);
      return this.#client.reportAll(
        records.map(({ report }) => report),
        { keys, retries: 0, signal },
      );
    }
    if (first === undefined) return [];
    try {
      // A spool of an earlier version may hold what can't be sent.
      requireKey(first.key);
      reportText(first.report);
      return [await this.#client.report(first.report, { key: first.key, retries: 0, signal })];
    } catch (error) {
      if (error instanceof Refused || error instanceof InvalidReport) return [error];
      throw error;
    }
  }

  /** Notes why reports wait. A fault that will not pass by itself is said once. */
  #wait(error: Error): void {
    const isNew = this.#lastError?.message !== error.message;
    this.#lastError = error;
    const isPassing = error instanceof NotReachable || (error instanceof Refused && error.passing);
    if (isNew && !isPassing && !this.#closing.signal.aborted) warn(`reports wait on disk: ${error.message}`);
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#turn.then(work, work);
    this.#turn = turn;
    return turn;
  }
}

/**
 * Whether an error says that this report will never be taken: the recorder has refused it, in its own words, for what
 * it says; or it can't be sent at all. Everything else can pass, or an operator can mend it.
 */
const isRefusal = (error: unknown): error is Refused | InvalidReport =>
  error instanceof InvalidReport ||
  (error instanceof Refused &&
    (FINAL.has(error.status) || isOutOfBounds(error)) &&
    typeof error.body.error === 'string');

/** Whether the token is good, and not for this source or class: other reports with it are taken. */
const isOutOfBounds = ({ status, body: { sources, classes } }: Refused): boolean =>
  status === 403 && (Array.isArray(sources) || Array.isArray(classes));

/** Parses a record. Only a damaged disk can leave another line: it can't be sent, and is kept aside as it is. */
function readRecord(text: string): SpooledReport {
  try {
    const record = JSON.parse(text) as SpooledReport | null;
    if (typeof record?.key === 'string') return record;
  } catch {
    // It is no JSON.
  }
  return { key: 'damaged', report: { damaged: text } as unknown as Report };
}

const warn = (message: string): void => process.emitWarning(message, 'ReportSpoolWarning');
