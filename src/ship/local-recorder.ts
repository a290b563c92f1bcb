/** The recorder on this machine, as the shipper uses it: its log, its health and policy, anchors and commands. */
import type { IncomingMessage } from 'node:http';
import { MINUTE, SECOND } from '../clock.ts';
import { type ClientResponse, Connection, type ConnectionOptions } from '../client/connection.ts';
import { NotReachable, Refused } from '../client/errors.ts';
import { EntriesGone } from './errors.ts';

/** How long the recorder may take to begin an answer, and to end one that refuses, in milliseconds. */
const BEGIN_WITHIN = 30 * SECOND;
/** The longest answer that explains a refusal, in bytes. */
const LONGEST_REFUSAL = 64 * 1024;

/** What the recorder says of its log. */
export interface LogHead {
  /** The identity of the log: the hash of its first entry. */
  readonly log: string;
  /** The sequence number of the last durable entry. */
  readonly entries: number;
  /** That of the first entry that is still there. */
  readonly first: number;
}

/** The end of the log lies before what was asked for. */
export class PastTheEnd extends Error {
  override readonly name = 'PastTheEnd';
  readonly head: LogHead;

  constructor(head: LogHead, from: number) {
    super(`the log ends with entry ${head.entries}, before ${from}`);
    this.head = head;
  }
}

/** An answer of the recorder: its status and the parsed JSON. */
export interface RecorderAnswer {
  readonly status: number;
  readonly body: unknown;
}

export class LocalRecorder {
  readonly #connection: Connection;
  readonly #beginWithin: number;

  /**
   * @param beginWithin how long the recorder may take to begin an answer, in milliseconds
   * @throws TypeError for a URL of another form
   */
  constructor(options: ConnectionOptions, beginWithin = BEGIN_WITHIN) {
    this.#connection = new Connection(options);
    this.#beginWithin = beginWithin;
  }

  /** @throws Refused, NotReachable */
  async head(signal: AbortSignal): Promise<LogHead> {
    const response = await this.#open('/api/v1/log?limit=1', signal);
    const head = headOf(response);
    if (response.statusCode === 200 && head !== undefined) {
      response.destroy();
      return head;
    }
    // Where its beginning is archived, the recorder refuses (410), and says in the body what it has of the log.
    const refusal = await refusalOf(response);
    const said = headIn(refusal);
    if (said === undefined) throw refusal;
    return said;
  }

  /**
   * Opens the raw lines of the log.
   * @param from the sequence number of the first
   * @param follow whether to stay and get those that are written later
   * @throws EntriesGone when the first is not there any more, PastTheEnd when it is not there yet, Refused, NotReachable
   */
  async open(
    from: number,
    follow: boolean,
    signal: AbortSignal,
  ): Promise<{ readonly head: LogHead; readonly body: IncomingMessage }> {
    const path = `/api/v1/log?from=${from}${follow ? '&follow=true' : ''}`;
    let response = await this.#open(path, signal);
    const gone = response.statusCode === 410 ? await refusalOf(response) : undefined;
    // The archive beside the log may still have it. A recorder that does not know this answers 400.
    if (gone !== undefined) response = await this.#open(`${path}&archived=true`, signal);
    const head = headOf(response);
    if (response.statusCode === 200 && head !== undefined) return { head, body: response };
    const refusal = await refusalOf(response);
    const end = refusal.status === 416 ? headIn(refusal) : undefined;
    if (end !== undefined) throw new PastTheEnd(end, from);
    if (gone === undefined || (refusal.status !== 410 && refusal.status !== 400)) throw refusal;
    throw new EntriesGone(gone.message);
  }

  /** `/health`, also of a degraded recorder. @throws Refused, NotReachable */
  async health(signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
    const answer = await this.#read('/health', signal);
    return objectOf(answer.status === 503 ? answer : accepted(answer));
  }

  /** @throws Refused, NotReachable */
  async policy(signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
    return objectOf(accepted(await this.#read('/api/v1/policy', signal)));
  }

  /** Hands the recorder a signed anchor. @throws NotReachable */
  anchor(anchor: string, signal: AbortSignal): Promise<RecorderAnswer> {
    return this.#command('/api/v1/log/anchors', { anchor }, signal);
  }

  /** Hands the recorder a signed command. @throws NotReachable */
  command(command: string, signal: AbortSignal): Promise<RecorderAnswer> {
    return this.#command('/api/v1/fleet/commands', { command }, signal);
  }

  /** Closes the idle connections. */
  close(): void {
    this.#connection.close();
  }

  /** Sends a request whose answer may take for ever once it has begun. */
  async #open(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    const timeout = this.#beginWithin;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error('late')), timeout);
    try {
      const either = AbortSignal.any([signal, late.signal]);
      return await this.#connection.open({ path, authorized: true, timeout, signal }, either);
    } finally {
      clearTimeout(timer);
    }
  }

  #read(path: string, signal: AbortSignal): Promise<ClientResponse> {
    return this.#connection.send({ path, authorized: true, timeout: 30 * SECOND, signal });
  }

  async #command(path: string, body: object, signal: AbortSignal): Promise<RecorderAnswer> {
    const answer = await this.#connection.send({
      method: 'POST',
      path,
      body,
      authorized: true,
      timeout: MINUTE,
      signal,
    });
    return { status: answer.status, body: objectOf(answer) };
  }
}

function headOf({ headers }: IncomingMessage): LogHead | undefined {
  const log = headers['log-id'];
  if (typeof log !== 'string' || log === '') return undefined;
  return { log, entries: Number(headers['log-entries'] ?? 0), first: Number(headers['log-first'] ?? 1) };
}

/** What a refusal says of the log; undefined when it is about something else. */
function headIn({ status, body }: Refused): LogHead | undefined {
  const { log_id: log, last_seq: entries, first_seq: first } = body;
  if ((status !== 410 && status !== 416) || typeof log !== 'string') return undefined;
  return { log, entries: Number(entries), first: Number(first) };
}

async function refusalOf(response: IncomingMessage): Promise<Refused> {
  const chunks: Buffer[] = [];
  let length = 0;
  const timer = setTimeout(
    () => response.destroy(new NotReachable('the recorder’s answer does not end')),
    BEGIN_WITHIN,
  );
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > LONGEST_REFUSAL) break;
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(timer);
  }
  return new Refused(response.statusCode ?? 0, parsed(Buffer.concat(chunks).toString('utf8')));
}

const accepted = (answer: ClientResponse): ClientResponse => {
  if (answer.status >= 200 && answer.status < 300) return answer;
  throw new Refused(answer.status, objectOf(answer));
};

const objectOf = ({ text }: ClientResponse): Readonly<Record<string, unknown>> => parsed(text);

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
