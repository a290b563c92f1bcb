/**
 * The listening side of the API: a TCP port or a unix socket, and the limits on connections and time.
 *
 * A server listens from `ApiServer.listen` until `close`. While it closes it takes no new connections, cuts the idle
 * ones, ends each of the others with the response of its request in flight, and cuts what is left at the deadline. Node
 * enforces the limits on time by a regular sweep over the connections. What the sweep or the HTTP parser refuses never
 * reaches the application: `refuseConnection` responds.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { SECOND } from '../../clock.ts';
import type { BindAddress } from '../../config.ts';
import { bindTo } from './bind.ts';
import { Connections } from './connections.ts';
import type { ApiDependencies, ApiLogger } from '../dependencies.ts';
import { carriesToken } from '../middleware/authentication.ts';
import { Turnstile } from './turnstile.ts';
import { UnparsedRequests } from './unparsed-requests.ts';
import { UnreadAnswers } from './unread-answers.ts';

/** Responds to a request, and handles its own errors. */
export type Application = (request: IncomingMessage, response: ServerResponse) => Promise<unknown>;

export type ServerDependencies = Pick<ApiDependencies, 'log' | 'clock' | 'token'>;

export interface Limits {
  /** Milliseconds from a request's first byte, or its connection, to the end of its headers. */
  readonly headersTimeout: number;
  /** Milliseconds from a request's first byte to its last. */
  readonly requestTimeout: number;
  /** Milliseconds that a connection may be idle: between two requests, or while it does not read its response. */
  readonly idleTimeout: number;
  /** Milliseconds between two sweeps that enforce the first two. */
  readonly sweepInterval: number;
  /** Connections at the same time; a further one takes the place of a less useful one, or is closed at once. */
  readonly connections: number;
  /** Bytes of a request's headers, including its first line. */
  readonly headerBytes: number;
}

export const LIMITS: Limits = {
  headersTimeout: 5 * SECOND,
  requestTimeout: 10 * SECOND,
  idleTimeout: 60 * SECOND,
  sweepInterval: 1 * SECOND,
  connections: 256,
  headerBytes: 16 * 1024,
};

/** How many connections may be open beyond the limit, because they are cut and not closed yet. */
const MAX_BEING_CUT = 16;
const DROP_REPORT_INTERVAL = 10 * SECOND;

export class ApiServer {
  readonly #server: Server;
  readonly #connections: Connections;
  readonly #places: number;
  readonly #log: ApiLogger;
  #closing = false;
  #dropped = 0;
  #dropReport: NodeJS.Timeout | undefined;

  /**
   * Serves `application` on the address; resolves when it listens. Port 0 lets the system choose one.
   * @throws RecorderError `config` when it can't listen there
   */
  static async listen(
    application: Application,
    bind: BindAddress,
    dependencies: ServerDependencies,
    limits = LIMITS,
  ): Promise<ApiServer> {
    const server = new ApiServer(application, dependencies, limits);
    await bindTo(server.#server, bind);
    return server;
  }

  private constructor(application: Application, { log, clock, token }: ServerDependencies, limits: Limits) {
    this.#log = log;
    const unparsed = new UnparsedRequests(log, clock);
    this.#connections = new Connections({
      places: limits.connections,
      clock,
      turnstile: new Turnstile(clock),
      unread: new UnreadAnswers(clock),
      isTrusted: (request) => carriesToken(request, token),
      handle: ({ request, response }) => application(request, response),
      refuse: ({ response }) => unparsed.refuseForNow(response),
      onAnswered: this.#afterResponse,
      onCut: this.#countDropped,
    });
    this.#places = limits.connections;
    this.#server = createServer({
      headersTimeout: limits.headersTimeout,
      requestTimeout: limits.requestTimeout,
      keepAliveTimeout: limits.idleTimeout,
      connectionsCheckingInterval: limits.sweepInterval,
      maxHeaderSize: limits.headerBytes,
      // `hostGuard` responds when Host is missing: it knows whether one is needed.
      requireHostHeader: false,
    });
    // A connection that is cut counts until it is closed.
    this.#server.maxConnections = limits.connections + MAX_BEING_CUT;
    this.#server.timeout = limits.idleTimeout;
    this.#allowForLateness(clock, limits);
    this.#server.on('connection', (socket) => this.#connections.add(socket));
    this.#server.on('request', (request, response) => {
      if (this.#closing) response.shouldKeepAlive = false;
      this.#connections.take({ request, response });
    });
    this.#server.on('checkExpectation', (_request, response) => unparsed.refuseExpectation(response));
    this.#server.on('clientError', (error, socket) => unparsed.refuseConnection(error, socket));
    this.#server.once('close', () => unparsed.close());
    this.#server.on('drop', this.#countDropped);
  }

  /** Where it listens, with the port that the system chose. */
  get address(): BindAddress {
    const address = this.#server.address();
    if (address === null) throw new Error('the server is not listening');
    if (typeof address === 'string') return { kind: 'unix', path: address };
    return { kind: 'tcp', host: address.address, port: address.port };
  }

  /** Closes as described above; resolves when the last connection is closed, after `grace` milliseconds at most. */
  async close(grace: number): Promise<void> {
    this.#closing = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const deadline = setTimeout(() => this.#server.closeAllConnections(), grace);
    await closed;
    clearTimeout(deadline);
    if (this.#dropReport !== undefined) this.#reportDropped();
  }

  /**
   * When this process is late, as in a flood of requests, clients that sent in time get more time: if a sweep runs late,
   * the time-outs grow by the delay. This timer runs before the server's own sweep, because timers with the same interval
   * run in the order of their creation, and the server creates its own when it begins to listen.
   */
  #allowForLateness(
    clock: ServerDependencies['clock'],
    { sweepInterval, headersTimeout, requestTimeout }: Limits,
  ): void {
    let due = clock.monotonic() + sweepInterval;
    const sweep = setInterval(() => {
      const now = clock.monotonic();
      const late = Math.max(0, now - due);
      this.#server.headersTimeout = headersTimeout + late;
      this.#server.requestTimeout = requestTimeout + late;
      due = now + sweepInterval;
      this.#connections.sweep();
    }, sweepInterval).unref();
    this.#server.once('close', () => {
      clearInterval(sweep);
      this.#connections.close();
    });
  }

  readonly #afterResponse = (request: IncomingMessage): void => {
    // A body that is too long is not read to its end. Reading on lets its client finish sending, within the request's
    // time: it then sees the response instead of a reset connection, and can send its next request.
    if (!request.complete) request.resume();
    if (this.#closing) this.#server.closeIdleConnections();
  };

  /** One line now and then, not one for each connection of a flood. */
  readonly #countDropped = (): void => {
    this.#dropped++;
    this.#dropReport ??= setTimeout(() => this.#reportDropped(), DROP_REPORT_INTERVAL).unref();
  };

  #reportDropped(): void {
    this.#log.warn({ dropped: this.#dropped, limit: this.#places }, 'connections turned away');
    clearTimeout(this.#dropReport);
    this.#dropReport = undefined;
    this.#dropped = 0;
  }
}
