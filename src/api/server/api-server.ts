/**
 * The listening side of the API: a TCP port or a unix socket, and the limits that hold at the door.
 *
 * A server is listening from `ApiServer.listen` until `close`. Closing, it takes no further connections, cuts the idle
 * ones, lets the requests in flight be answered (each connection ends with its answer), and cuts what is left at the
 * deadline. Limits on time are enforced by Node's own sweep over the connections; what it, or the HTTP parser, refuses
 * is answered by `answerRefused`, as the application never sees it.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { SECOND } from '../../clock.ts';
import type { BindAddress } from '../../config.ts';
import { bindTo } from './bind.ts';
import { Connections } from './connections.ts';
import type { ApiParts, Log } from '../dependencies.ts';
import { answerRefused, answerUnmetExpectation } from './unparsed-requests.ts';

/** What answers a request; it sees to its own errors. */
export type Application = (request: IncomingMessage, response: ServerResponse) => Promise<unknown>;

export type ServerParts = Pick<ApiParts, 'log' | 'clock'>;

export interface Limits {
  /** Milliseconds from a request's first byte, or its connection, to the end of its headers. */
  readonly headersTimeout: number;
  /** Milliseconds from a request's first byte to its last. */
  readonly requestTimeout: number;
  /** Milliseconds that a connection may be idle: between two requests, or not taking its answer. */
  readonly idleTimeout: number;
  /** Milliseconds between two sweeps that enforce the first two. */
  readonly sweepInterval: number;
  /** Connections at the same time; a further one takes the place of one that rests, or is closed at once. */
  readonly connections: number;
  /** Bytes of a request's headers, its first line included. */
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

/** How many connections that were cut may not be closed yet. */
const BEING_CUT = 16;
const DROP_REPORT_INTERVAL = 10 * SECOND;

export class ApiServer {
  readonly #server: Server;
  readonly #connections: Connections;
  readonly #places: number;
  readonly #log: Log;
  #closing = false;
  #dropped = 0;
  #dropReport: NodeJS.Timeout | undefined;

  /**
   * Serves `application` on the address, once it listens. Port 0 lets the system choose.
   *
   * Throws RecorderError `config` when the address can't be had.
   */
  static async listen(
    application: Application,
    bind: BindAddress,
    parts: ServerParts,
    limits = LIMITS,
  ): Promise<ApiServer> {
    const server = new ApiServer(application, parts, limits);
    await bindTo(server.#server, bind);
    return server;
  }

  private constructor(application: Application, { log, clock }: ServerParts, limits: Limits) {
    this.#log = log;
    this.#connections = new Connections(limits.connections, this.#countDropped);
    this.#places = limits.connections;
    this.#server = createServer({
      headersTimeout: limits.headersTimeout,
      requestTimeout: limits.requestTimeout,
      keepAliveTimeout: limits.idleTimeout,
      connectionsCheckingInterval: limits.sweepInterval,
      maxHeaderSize: limits.headerBytes,
      // The guard of the host answers where there is no Host: it knows whether one is needed.
      requireHostHeader: false,
    });
    // Those that are cut to make room count until they are closed.
    this.#server.maxConnections = limits.connections + BEING_CUT;
    this.#server.timeout = limits.idleTimeout;
    this.#excuseWhatIsLate(clock, limits);
    this.#server.on('connection', (socket) => this.#connections.add(socket));
    this.#server.on('request', (request, response) => {
      if (this.#prepare(request, response)) void application(request, response);
    });
    this.#server.on('checkExpectation', answerUnmetExpectation);
    this.#server.on('clientError', (error, socket) => answerRefused(error, socket, log));
    this.#server.on('drop', this.#countDropped);
  }

  /** Where it listens, with the port that the system chose. */
  get address(): BindAddress {
    const address = this.#server.address();
    if (address === null) throw new Error('the server is not listening');
    if (typeof address === 'string') return { kind: 'unix', path: address };
    return { kind: 'tcp', host: address.address, port: address.port };
  }

  /** Closes as told above; resolves when the last connection has gone, after `grace` milliseconds at most. */
  async close(grace: number): Promise<void> {
    this.#closing = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const deadline = setTimeout(() => this.#server.closeAllConnections(), grace);
    await closed;
    clearTimeout(deadline);
    if (this.#dropReport !== undefined) this.#reportDropped();
  }

  /**
   * A client is not blamed for what it sent in time and this process came to late, as when a flood of requests has held it
   * up: by as much as a sweep comes late, it allows more time. Of timers with the same interval the first one made is the
   * first to run, and the server makes its own when it begins to listen.
   */
  #excuseWhatIsLate(clock: ServerParts['clock'], { sweepInterval, headersTimeout, requestTimeout }: Limits): void {
    let due = clock.monotonic() + sweepInterval;
    const sweep = setInterval(() => {
      const now = clock.monotonic();
      const late = Math.max(0, now - due);
      this.#server.headersTimeout = headersTimeout + late;
      this.#server.requestTimeout = requestTimeout + late;
      due = now + sweepInterval;
    }, sweepInterval).unref();
    this.#server.once('close', () => clearInterval(sweep));
  }

  /** False when the request is not to be answered, as its connection was cut. */
  #prepare(request: IncomingMessage, response: ServerResponse): boolean {
    if (!this.#connections.begin(request.socket)) return false;
    if (this.#closing) response.shouldKeepAlive = false;
    response.on('close', () => this.#afterAnswer(request));
    return true;
  }

  #afterAnswer(request: IncomingMessage): void {
    this.#connections.end(request.socket);
    // The parser of bodies stops reading one that is too long. Its client may finish sending, within the request's time,
    // so that it gets to the answer instead of a reset connection, and may go on with its next request.
    if (!request.complete) request.resume();
    if (this.#closing) this.#server.closeIdleConnections();
  }

  /** A flood is worth a line now and then, not one for each connection. */
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
