/**
 * Requests to the recorder, over TCP or its unix socket. They go to a recorder that has proved that it knows the token
 * (`ProvingAgent`). Connections are reused. An idle connection does not keep the process alive.
 */
import type { Agent as HttpAgent, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Impostor, NotReachable } from './errors.ts';
import { type Endpoint, type ProvedRequestOptions, ProvingAgent } from './proving-agent.ts';

// An import would also load the implementation of `WebSocket` and `fetch`, which takes longer than everything else
// here.
const { Agent, request: sendPlain } = process.getBuiltinModule('node:http');
/** Only for a fleet: a recorder has no TLS. */
const secureHttp = () => process.getBuiltinModule('node:https');

/** Where the recorder listens by default. */
const DEFAULT_URL = 'http://127.0.0.1:8515';

/** In bytes. More than the largest page of a list: a longer response does not come from the recorder. */
const LONGEST_RESPONSE = 16 * 1024 * 1024;

export interface ConnectionOptions {
  /** `http://host:port`, or `unix:/path` of its socket; of a fleet `https://host:port`. */
  readonly url?: string | undefined;
  /** The file with the service token. It is read for each request that needs the token, because it may be replaced. */
  readonly tokenPath?: string | undefined;
  /**
   * `false`: believe whatever answers, and send it the token. Only for a recorder that is reached through a relay, such as
   * a tunnel, or that is too old to prove itself. By default true, which takes `tokenPath`.
   */
  readonly prove?: boolean | undefined;
  /** Whether `https://host` is taken as well: a fleet, which its certificate proves. A recorder has no TLS. */
  readonly mayBeFleet?: boolean;
  /** A file with certificates (PEM) that the fleet's has to come from, instead of those of the system: then it is a fleet. */
  readonly caPath?: string | undefined;
}

export interface ClientRequest {
  readonly method?: 'GET' | 'POST';
  readonly path: string;
  /** The body: an object to be sent as JSON, JSON text, or bytes whose type `headers` says. */
  readonly body?: object | string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Whether to send the token also to a recorder that has not proved itself. One that has gets it with each request.
   */
  readonly authorized?: boolean;
  /** How long the whole response may take, in milliseconds. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
}

export interface ClientResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export class Connection {
  readonly url: string;
  readonly #endpoint: Endpoint;
  /** Of each request. */
  readonly #host: string;
  readonly #tokenPath: string | undefined;
  readonly #proves: boolean;
  readonly #agent: HttpAgent;

  /** @throws TypeError for a URL of another form; the error of reading `caPath` */
  constructor({ url = DEFAULT_URL, tokenPath, prove = true, mayBeFleet = false, caPath }: ConnectionOptions = {}) {
    this.url = url;
    this.#endpoint = endpointOf(url, mayBeFleet || caPath !== undefined);
    this.#tokenPath = tokenPath;
    const isSecure = 'secure' in this.#endpoint;
    this.#host = isSecure ? new URL(url).host : 'localhost';
    this.#proves = isSecure ? tokenPath !== undefined : prove;
    this.#agent = isSecure
      ? new (secureHttp().Agent)({
          keepAlive: true,
          // An environment that turns the check off for the whole process must not give the token to whoever answers.
          rejectUnauthorized: true,
          ...(caPath === undefined ? {} : { ca: readFileSync(caPath) }),
        })
      : prove
        ? new ProvingAgent({
            url,
            endpoint: this.#endpoint,
            token: () => this.#token(),
            tokenPath: tokenPath ?? '',
          })
        : new Agent({ keepAlive: true });
  }

  /**
   * Sends a request and returns the response, whatever its status.
   * @throws NotReachable, which may be an Impostor; the reason of `signal`; the error of reading the token's file;
   *   TypeError when `tokenPath` is missing
   */
  async send(request: ClientRequest): Promise<ClientResponse> {
    const { timeout, signal } = request;
    const limit = AbortSignal.timeout(timeout);
    const response = await this.open(request, signal === undefined ? limit : AbortSignal.any([signal, limit]));
    try {
      return { status: response.statusCode ?? 0, headers: response.headers, text: await textOf(response) };
    } catch (error) {
      throw this.#explain(error, request);
    }
  }

  /**
   * Sends a request and returns the response when its headers have arrived. A read from a recorder that has not proved
   * itself is sent without the token first, and with it when it is refused for want of it. Throws like `send`.
   */
  async open(request: ClientRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const response = await this.#open(request, signal);
    const isRead = (request.method ?? 'GET') === 'GET' && !request.authorized && !this.#proves;
    if (!isRead || !wantsToken(response) || this.#tokenPath === undefined) return response;
    response.resume();
    return this.#open({ ...request, authorized: true }, signal);
  }

  async #open(request: ClientRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const { method = 'GET', path, body } = request;
    const text = typeof body === 'object' && !Buffer.isBuffer(body) ? JSON.stringify(body) : body;
    const headers: Record<string, string | number> = { host: this.#host, ...request.headers };
    // The agent reads the token too. Here a fault of its file is not taken for one of the connection.
    const token = request.authorized || this.#proves ? await this.#token() : undefined;
    // A recorder keeps room for those that show the token, so reads carry it too where that is safe.
    if (token !== undefined) headers.authorization = `Bearer ${token}`;
    if (text !== undefined) {
      headers['content-type'] ??= 'application/json';
      headers['content-length'] = Buffer.byteLength(text);
    }
    try {
      return await new Promise<IncomingMessage>((resolve, reject) => {
        const wanted: ProvedRequestOptions = { abandoned: signal };
        const sendRequest = 'secure' in this.#endpoint ? secureHttp().request : sendPlain;
        sendRequest({ ...this.#endpoint, ...wanted, agent: this.#agent, method, path, headers, signal }, resolve)
          .once('error', reject)
          .end(text);
      });
    } catch (error) {
      throw this.#explain(error, request);
    }
  }

  /** Closes the idle connections. */
  close(): void {
    this.#agent.destroy();
  }

  async #token(): Promise<string> {
    if (this.#tokenPath === undefined) {
      throw new TypeError(
        'no token, and without it no recorder can prove itself: name the file that holds it (tokenPath)',
      );
    }
    return (await readFile(this.#tokenPath, 'utf8')).trim();
  }

  #explain(error: unknown, { timeout, signal }: ClientRequest): unknown {
    if (signal?.aborted) return signal.reason;
    if (error instanceof Impostor) return error;
    const { code, name, message } = error as NodeJS.ErrnoException;
    const why = name === 'AbortError' || name === 'TimeoutError' ? `no answer within ${timeout} ms` : (code ?? message);
    return new NotReachable(`no recorder at ${this.url} (${why})`, { cause: error });
  }
}

function endpointOf(url: string, mayBeFleet: boolean): Endpoint {
  if (url.startsWith('unix:/')) return { socketPath: url.slice('unix:'.length) };
  const { protocol, hostname, port, pathname, search } = URL.parse(url) ?? {};
  const isSecure = mayBeFleet && protocol === 'https:';
  if ((protocol !== 'http:' && !isSecure) || !hostname || pathname !== '/' || search !== '') {
    throw new TypeError(`the URL of the recorder is http://host:port or unix:/path, not ${JSON.stringify(url)}`);
  }
  const host = hostname.replace(/^\[|\]$/g, '');
  return isSecure ? { host, port: Number(port || 443), secure: true } : { host, port: Number(port || 80) };
}

/** Whether a recorder with `READ_ACCESS=token` has refused a read. */
const wantsToken = ({ statusCode, headers }: IncomingMessage): boolean =>
  statusCode === 403 && headers['www-authenticate'] !== undefined;

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > LONGEST_RESPONSE) throw new Error('the answer is too long to be the recorder’s');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
