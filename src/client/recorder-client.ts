/** The client for services that report incidents or carry out containment. */
import { randomUUID } from 'node:crypto';
import { Backoff } from '../backoff.ts';
import { SECOND } from '../clock.ts';
import { type ClientRequest, type ClientResponse, Connection, type ConnectionOptions } from './connection.ts';
import { InvalidReport, NotReachable, Refused } from './errors.ts';
import {
  batchesOf,
  batchText,
  isOfBatch,
  isOfReport,
  type KeyedReport,
  outcomesIn,
  type Recorded,
} from './report-batches.ts';
import { reportText, requireKey } from './report-text.ts';
import type { Confirmation, Confirmed, ContainmentAction, Incident, Posture, Report } from './shapes.ts';

/** How long a long poll waits, in seconds. */
const LONG_POLL = 30;
/** How much longer its response may take, in milliseconds. */
const GRACE = 5 * SECOND;

export interface ClientOptions extends ConnectionOptions {
  /** How long one attempt may take, in milliseconds. */
  readonly timeout?: number;
  /** How often a request is sent again after no response, or after a refusal that may pass. */
  readonly retries?: number;
}

export interface ReportOptions {
  /**
   * The idempotency key: the report may be sent again with it and is recorded once. 1 to 255 visible ASCII characters;
   * random by default.
   */
  readonly key?: string;
  /** Like `retries` in `ClientOptions`, for this report. */
  readonly retries?: number;
  readonly signal?: AbortSignal;
}

export type { Recorded };

export interface BatchOptions extends Pick<ReportOptions, 'retries' | 'signal'> {
  /** The idempotency key of each report, as in `ReportOptions`: with the same keys all of it may be sent again. */
  readonly keys?: readonly string[];
}

export interface PostureOptions {
  /** The tag of the posture that the caller knows: the recorder responds when the posture differs from it. */
  readonly tag?: string | undefined;
  /** How long to wait for that, in seconds from 1 to 60; by default not at all. */
  readonly wait?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A posture and the tag that identifies it. */
export interface TaggedPosture {
  readonly posture: Posture;
  readonly tag: string;
}

export interface FollowOptions {
  readonly signal?: AbortSignal;
  /** Called after each failed attempt; the client tries again by itself. */
  readonly onUnreachable?: (error: NotReachable | Refused) => void;
}

export class RecorderClient {
  readonly #connection: Connection;
  readonly #timeout: number;
  readonly #retries: number;

  /** @throws TypeError for a URL that is neither `http://host:port` nor `unix:/path` */
  constructor({ timeout = 5 * SECOND, retries = 3, ...connection }: ClientOptions = {}) {
    this.#connection = new Connection(connection);
    this.#timeout = timeout;
    this.#retries = retries;
  }

  /**
   * Reports an incident. The report is on disk when this resolves. All attempts carry the same key, so a report whose
   * response was lost is recorded once.
   * @throws InvalidReport when the report can't be sent exactly as it is; Refused; NotReachable when the last attempt
   *   failed, or what answers is no recorder; the reason of `signal`
   */
  async report(report: Report, { key = randomUUID(), retries, signal }: ReportOptions = {}): Promise<Recorded> {
    requireKey(key);
    const headers = { 'idempotency-key': key };
    const request = { path: '/api/v1/incidents/report', body: reportText(report), headers, signal } as const;
    const response = await this.#command(request, retries, (answer) => incidentIn(answer, report) !== undefined);
    const incident = incidentIn(response, report)!;
    if (response.status === 201) return { outcome: 'created', incident };
    return { outcome: response.headers['idempotent-replayed'] === 'true' ? 'replayed' : 'recurred', incident };
  }

  /**
   * Reports many incidents in few requests, in their order. One that is refused does not stop the others.
   * @returns what became of each: recorded, or why it was refused; `InvalidReport` for one that can't be sent exactly as it
   *   is
   * @throws NotReachable, Refused when a request was refused as a whole; RangeError when there are not as many keys as
   *   reports; the reason of `signal`. The reports before may be recorded: send all of them again with the same keys.
   */
  async reportAll(
    reports: readonly Report[],
    { keys = reports.map(() => randomUUID()), retries, signal }: BatchOptions = {},
  ): Promise<readonly (Recorded | Refused | InvalidReport)[]> {
    if (keys.length !== reports.length) throw new RangeError(`${keys.length} keys for ${reports.length} reports`);
    const outcomes: (Recorded | Refused | InvalidReport)[] = [];
    const sendable = reports.flatMap((report, at) => {
      try {
        const key = keys[at]!;
        requireKey(key);
        return [{ at, report, key, text: reportText(report) }];
      } catch (error) {
        if (!(error instanceof InvalidReport)) throw error;
        outcomes[at] = error;
        return [];
      }
    });
    for (const batch of batchesOf(sendable)) {
      const answered = await this.#reportBatch(batch, retries, signal);
      for (const [index, { at }] of batch.entries()) outcomes[at] = answered[index]!;
    }
    return outcomes;
  }

  /** Sends a batch, and again what of it can't be recorded now. */
  async #reportBatch(
    batch: readonly KeyedReport[],
    retries = this.#retries,
    signal?: AbortSignal,
  ): Promise<readonly (Recorded | Refused)[]> {
    const backoff = new Backoff(0.2 * SECOND, 5 * SECOND);
    const outcomes = await this.#sendBatch(batch, retries, signal);
    for (let attempt = 0; attempt < retries; attempt++) {
      const waiting = batch.filter((_, at) => isBusy(outcomes[at]));
      if (waiting.length === 0) break;
      await backoff.pause(signal);
      const again = await this.#sendBatch(waiting, retries, signal);
      for (const [index, one] of waiting.entries()) outcomes[batch.indexOf(one)] = again[index]!;
    }
    return outcomes;
  }

  /** Sends a batch, or its reports one by one where the recorder does not take it. */
  async #sendBatch(
    batch: readonly KeyedReport[],
    retries: number,
    signal: AbortSignal | undefined,
  ): Promise<(Recorded | Refused)[]> {
    try {
      const request = { path: '/api/v1/incidents/reports', body: batchText(batch), signal } as const;
      const response = await this.#command(request, retries, (answer) => outcomesIn(answer, batch) !== undefined);
      return [...outcomesIn(response, batch)!];
    } catch (error) {
      if (!isOfBatch(error)) throw error;
    }
    const outcomes: (Recorded | Refused)[] = [];
    for (const { report, key } of batch) {
      try {
        outcomes.push(await this.report(report, { key, retries, ...(signal && { signal }) }));
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        outcomes.push(error);
      }
    }
    return outcomes;
  }

  /**
   * Confirms that an action was carried out, or is still in force. Throws like `report`.
   */
  async confirm(confirmation: Confirmation, signal?: AbortSignal): Promise<Confirmed> {
    const response = await this.#command({ path: '/api/v1/containment/confirm', body: confirmation, signal });
    return JSON.parse(response.text) as Confirmed;
  }

  /**
   * The posture of an action. Returns undefined when it still has the given `tag` after `wait` seconds.
   * @throws Refused, NotReachable, the reason of `signal`
   */
  async posture(
    action: ContainmentAction,
    { tag, wait = 0, signal }: PostureOptions = {},
  ): Promise<TaggedPosture | undefined> {
    const response = await this.#connection.send({
      path: `/api/v1/containment/${action}${wait > 0 ? `?wait=${wait}` : ''}`,
      headers: tag === undefined ? {} : { 'if-none-match': tag },
      timeout: wait > 0 ? wait * SECOND + GRACE : this.#timeout,
      signal,
    });
    if (response.status === 304) return undefined;
    return { posture: JSON.parse(accepted(response).text) as Posture, tag: response.headers.etag ?? '' };
  }

  /**
   * Follows an action: yields its posture now, and again after each change, until `signal` is aborted. While the
   * recorder is unreachable it tries again by itself, then continues with what has changed meanwhile.
   * @throws Refused, when the refusal can't pass
   */
  async *follow(action: ContainmentAction, { signal, onUnreachable }: FollowOptions = {}): AsyncGenerator<Posture> {
    const backoff = new Backoff(0.2 * SECOND, 5 * SECOND);
    let tag: string | undefined;
    for (;;) {
      try {
        const changed = await this.posture(action, { tag, wait: tag === undefined ? 0 : LONG_POLL, signal });
        if (changed === undefined) {
          backoff.reset();
          continue;
        }
        const { engaged, verified } = changed.posture;
        if (!engaged && verified === false) {
          await backoff.pause(signal).catch(() => {});
          continue;
        }
        backoff.reset();
        ({ tag } = changed);
        yield changed.posture;
      } catch (error) {
        if (signal?.aborted) return;
        if (!isPassing(error)) throw error;
        onUnreachable?.(error);
        await backoff.pause(signal).catch(() => {});
      }
    }
  }

  /** Closes the idle connections. */
  close(): void {
    this.#connection.close();
  }

  async #command(
    request: Omit<ClientRequest, 'timeout'>,
    retries = this.#retries,
    isRecorders: (answer: ClientResponse) => boolean = () => true,
  ): Promise<ClientResponse> {
    const backoff = new Backoff(0.2 * SECOND, 5 * SECOND);
    for (let attempt = 0; ; attempt++) {
      let retryAfter = 0;
      try {
        const timeout = this.#timeout;
        const response = await this.#connection.send({ ...request, method: 'POST', authorized: true, timeout });
        retryAfter = Number(response.headers['retry-after'] ?? 0) * SECOND;
        if (isRecorders(accepted(response))) return response;
        throw new NotReachable(`no recorder at ${this.#connection.url} (its answer is not one of a recorder)`);
      } catch (error) {
        if (attempt >= retries || !isPassing(error)) throw error;
      }
      await backoff.pause(request.signal, Math.min(retryAfter || 0, this.#timeout));
    }
  }
}

/** Whether a report of a batch can't be recorded now, for another reason than that its source has used up its day. */
const isBusy = (outcome: Recorded | Refused | undefined): boolean =>
  outcome instanceof Refused && outcome.passing && outcome.status !== 429;

/** Whether the same request may succeed later. */
const isPassing = (error: unknown): error is NotReachable | Refused =>
  error instanceof NotReachable || (error instanceof Refused && error.passing);

/**
 * The incident in the answer to a report; undefined when the answer says something else: it comes from another server,
 * which can happen where no proof is asked for.
 */
function incidentIn({ status, text }: ClientResponse, report: Report): Incident | undefined {
  if (status !== 200 && status !== 201) return undefined;
  try {
    const incident: unknown = JSON.parse(text);
    return isOfReport(incident, report) ? incident : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the response when it was a success. @throws Refused */
function accepted(response: ClientResponse): ClientResponse {
  if (response.status >= 200 && response.status < 300) return response;
  let body: unknown;
  try {
    body = JSON.parse(response.text);
  } catch {
    // This is not the recorder. The status says enough.
  }
  throw new Refused(response.status, typeof body === 'object' && body !== null ? { ...body } : {});
}
