/**
 * Requests to the recorder, over TCP or its unix socket. Connections are kept and used again; one that idles does not
 * keep the process alive.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { readFile } from 'node:fs/promises';
import { NotReachable } from './errors.ts';

// To import it would also load what `WebSocket` and `fetch` are made of, which takes longer than all else here.
const { Agent, request } = process.getBuiltinModule('node:http');

/** Where the recorder listens when nothing else is said. */
const DEFAULT_URL = 'http://127.0.0.1:8515';

/** More than the largest page of a list: what is longer does not come from the recorder. */
const LONGEST_ANSWER = 16 * 1024 * 1024;

export interface ConnectionOptions {
  /** `http://host:port`, or `unix:/path` of its socket. */
  readonly url?: string | undefined;
  /** The file that holds the service token. It is read at each request that needs it: a token may be replaced. */
  readonly tokenPath?: string | undefined;
}

export interface Asked {
  readonly method?: 'GET' | 'POST';
  readonly path: string;
  /** What is sent as JSON; text is taken for JSON already. */
  readonly body?: object | string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether the token goes with it. */
  readonly authorized?: boolean;
  /** Milliseconds until the whole answer has to be there. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export class Connection {
  readonly url: string;
  readonly #target: { readonly socketPath: string } | { readonly host: string; readonly port: number };
  readonly #tokenPath: string | undefined;
  readonly #agent = new Agent({ keepAlive: true });

  /** @throws TypeError for a URL of another form */
  constructor({ url = DEFAULT_URL, tokenPath }: ConnectionOptions = {}) {
    this.url = url;
    this.#target = targetOf(url);
    this.#tokenPath = tokenPath;
  }

  /**
   * Sends a request and gives its answer, whatever its status.
   * @throws NotReachable, the reason of `signal`, and what reading the token's file throws
   */
  async send(asked: Asked): Promise<Answer> {
    const { timeout, signal } = asked;
    const limit = AbortSignal.timeout(timeout);
    const response = await this.open(asked, signal === undefined ? limit : AbortSignal.any([signal, limit]));
    try {
      return { status: response.statusCode ?? 0, headers: response.headers, text: await textOf(response) };
    } catch (error) {
      throw this.#explain(error, asked);
    }
  }

  /** Sends a request and gives the answer as soon as its headers are there. Throws as `send` does. */
  async open(asked: Asked, signal: AbortSignal): Promise<IncomingMessage> {
    const { method = 'GET', path, body } = asked;
    const text = typeof body === 'object' ? JSON.stringify(body) : body;
    const headers: Record<string, string | number> = { host: 'localhost', ...asked.headers };
    if (asked.authorized) headers.authorization = `Bearer ${await this.#token()}`;
    if (text !== undefined) {
      headers['content-type'] = 'application/json';
      headers['content-length'] = Buffer.byteLength(text);
    }
    try {
      return await new Promise<IncomingMessage>((resolve, reject) => {
        request({ ...this.#target, agent: this.#agent, method, path, headers, signal }, resolve)
          .once('error', reject)
          .end(text);
      });
    } catch (error) {
      throw this.#explain(error, asked);
    }
  }

  /** Lets the idle connections go. */
  close(): void {
    this.#agent.destroy();
  }

  async #token(): Promise<string> {
    if (this.#tokenPath === undefined) throw new TypeError('no token: name the file that holds it (tokenPath)');
    return (await readFile(this.#tokenPath, 'utf8')).trim();
  }

  #explain(error: unknown, { timeout, signal }: Asked): unknown {
    if (signal?.aborted) return signal.reason;
    const { code, name, message } = error as NodeJS.ErrnoException;
    const why = name === 'AbortError' || name === 'TimeoutError' ? `no answer within ${timeout} ms` : (code ?? message);
    return new NotReachable(`no recorder at ${this.url} (${why})`, { cause: error });
  }
}

function targetOf(url: string): { readonly socketPath: string } | { readonly host: string; readonly port: number } {
  if (url.startsWith('unix:/')) return { socketPath: url.slice('unix:'.length) };
  const { protocol, hostname, port, pathname, search } = URL.parse(url) ?? {};
  if (protocol !== 'http:' || !hostname || pathname !== '/' || search !== '') {
    throw new TypeError(`the URL of the recorder is http://host:port or unix:/path, not ${JSON.stringify(url)}`);
  }
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80) };
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > LONGEST_ANSWER) throw new Error('the answer is too long to be the recorder’s');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
