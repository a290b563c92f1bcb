/** The client for services that report incidents or carry out containment. */
import { randomUUID } from 'node:crypto';
import { Backoff } from '../backoff.ts';
import { SECOND } from '../clock.ts';
import { type ClientRequest, type ClientResponse, Connection, type ConnectionOptions } from './connection.ts';
import { NotReachable, Refused } from './errors.ts';
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

/** What became of a report. */
export interface Recorded {
  /** `replayed`: the report was recorded before, with the same key. */
  readonly outcome: 'created' | 'recurred' | 'replayed';
  readonly incident: Incident;
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
    const incident = JSON.parse(text) as Incident | null;
    const isOfReport = incident?.class === report.class && incident.source === report.source;
    return isOfReport && incident.id.startsWith('INC-') && Number.isSafeInteger(incident.version)
      ? incident
      : undefined;
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
