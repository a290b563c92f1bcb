/** The recorder as a service sees it that reports incidents, or that carries out containment. */
import { randomUUID } from 'node:crypto';
import { Backoff } from '../backoff.ts';
import { type Answer, type Asked, Connection, type ConnectionOptions } from './connection.ts';
import { NotReachable, Refused } from './errors.ts';
import type { Confirmation, Confirmed, ContainmentAction, Incident, Posture, Report } from './shapes.ts';

const SECOND = 1000;

/** How many seconds a long poll asks for. */
const LONG_POLL = 30;
/** What it may take beyond that, in milliseconds. */
const GRACE = 5 * SECOND;

export interface ClientOptions extends ConnectionOptions {
  /** Milliseconds that one attempt may take. */
  readonly timeout?: number;
  /** How many times a request is sent again when there was no answer, or one that may be another later. */
  readonly retries?: number;
}

export interface ReportOptions {
  /**
   * The name under which the report may be sent again without becoming another incident: 1 to 255 visible ASCII
   * characters. A random one when not given.
   */
  readonly key?: string;
  /** As in `ClientOptions`, for this report. */
  readonly retries?: number;
  readonly signal?: AbortSignal;
}

/** What became of a report. */
export interface Recorded {
  /** `replayed`: it had been recorded before, under the same key. */
  readonly outcome: 'created' | 'recurred' | 'replayed';
  readonly incident: Incident;
}

export interface PostureOptions {
  /** The tag of the posture that is known already: the answer is awaited until there is another. */
  readonly tag?: string | undefined;
  /** For how many seconds, 1 to 60. */
  readonly wait?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A posture, and the tag to name it by. */
export interface TaggedPosture {
  readonly posture: Posture;
  readonly tag: string;
}

export interface FollowOptions {
  readonly signal?: AbortSignal;
  /** Told of each attempt that failed; the next is made by itself. */
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
   * Reports an incident. It is on disk when this resolves. Each attempt carries the same key, so that a report whose
   * answer was lost is recorded once.
   * @throws Refused, NotReachable when the last attempt failed, the reason of `signal`
   */
  async report(report: Report, { key = randomUUID(), retries, signal }: ReportOptions = {}): Promise<Recorded> {
    const headers = { 'idempotency-key': key };
    const asked = { path: '/api/v1/incidents/report', body: report, headers, signal } as const;
    const answer = await this.#command(asked, retries);
    const incident = JSON.parse(answer.text) as Incident;
    if (answer.status === 201) return { outcome: 'created', incident };
    return { outcome: answer.headers['idempotent-replayed'] === 'true' ? 'replayed' : 'recurred', incident };
  }

  /**
   * Says that an action was carried out, or is still in force.
   * @throws as `report` does
   */
  async confirm(confirmation: Confirmation, signal?: AbortSignal): Promise<Confirmed> {
    const answer = await this.#command({ path: '/api/v1/containment/confirm', body: confirmation, signal });
    return JSON.parse(answer.text) as Confirmed;
  }

  /**
   * How an action stands; `undefined` when it still stands as `tag` says after `wait` seconds.
   * @throws Refused, NotReachable, the reason of `signal`
   */
  async posture(
    action: ContainmentAction,
    { tag, wait = 0, signal }: PostureOptions = {},
  ): Promise<TaggedPosture | undefined> {
    const answer = await this.#connection.send({
      path: `/api/v1/containment/${action}${wait > 0 ? `?wait=${wait}` : ''}`,
      headers: tag === undefined ? {} : { 'if-none-match': tag },
      timeout: wait > 0 ? wait * SECOND + GRACE : this.#timeout,
      signal,
    });
    if (answer.status === 304) return undefined;
    return { posture: JSON.parse(accepted(answer).text) as Posture, tag: answer.headers.etag ?? '' };
  }

  /**
   * Follows an action: gives how it stands now, and again whenever that has changed, until `signal` is aborted. While
   * the recorder is away it tries again by itself, and goes on with what has changed meanwhile.
   */
  async *follow(action: ContainmentAction, { signal, onUnreachable }: FollowOptions = {}): AsyncGenerator<Posture> {
    const backoff = new Backoff(0.2 * SECOND, 5 * SECOND);
    let tag: string | undefined;
    for (;;) {
      try {
        const changed = await this.posture(action, { tag, wait: tag === undefined ? 0 : LONG_POLL, signal });
        backoff.reset();
        if (changed === undefined) continue;
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

  /** Lets the idle connections go. */
  close(): void {
    this.#connection.close();
  }

  async #command(asked: Omit<Asked, 'timeout'>, retries = this.#retries): Promise<Answer> {
    const backoff = new Backoff(0.2 * SECOND, 5 * SECOND);
    for (let attempt = 0; ; attempt++) {
      let retryAfter = 0;
      try {
        const timeout = this.#timeout;
        const answer = await this.#connection.send({ ...asked, method: 'POST', authorized: true, timeout });
        retryAfter = Number(answer.headers['retry-after'] ?? 0) * SECOND;
        return accepted(answer);
      } catch (error) {
        if (attempt >= retries || !isPassing(error)) throw error;
      }
      await backoff.pause(asked.signal, Math.min(retryAfter || 0, this.#timeout));
    }
  }
}

/** Whether the same request may have another answer later. */
const isPassing = (error: unknown): error is NotReachable | Refused =>
  error instanceof NotReachable || (error instanceof Refused && error.passing);

function accepted(answer: Answer): Answer {
  if (answer.status >= 200 && answer.status < 300) return answer;
  let body: unknown;
  try {
    body = JSON.parse(answer.text);
  } catch {
    // Whoever answers so is not the recorder; its status says enough.
  }
  throw new Refused(answer.status, typeof body === 'object' && body !== null ? { ...body } : {});
}
