/**
 * The listening side of the API: TCP ports and unix sockets, and the limits on connections and time.
 *
 * It has a server of Node for each address; the limit on connections is common to all. It listens from `ApiServer.listen`
 * until `close`. While it closes it takes no new connections, cuts the idle ones, ends each of the others with the response of its request in flight, and cuts what is left at the deadline. Node
 * enforces the limits on time by a regular sweep over the connections. What the sweep or the HTTP parser refuses never
 * reaches the application: `refuseConnection` responds.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { SECOND } from '../../clock.ts';
import type { BindAddress, InheritedSocket } from '../../config.ts';
import { bindTo } from './bind.ts';
import { Connections } from './connections.ts';
import type { ApiDependencies, ApiLogger } from '../dependencies.ts';
import { carriesToken } from '../middleware/authentication.ts';
import { namesKey, proveResponse } from '../middleware/proof.ts';
import { Turnstile } from './turnstile.ts';
import { UnparsedRequests } from './unparsed-requests.ts';
import { UnreadAnswers } from './unread-answers.ts';

/** Responds to a request, and handles its own errors. */
export type Application = (request: IncomingMessage, response: ServerResponse) => Promise<unknown>;

export type ServerDependencies = Pick<ApiDependencies, 'log' | 'clock' | 'access'>;

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

/** What Node gives for a request that takes too long. */
const TOO_SLOW = Object.assign(new Error('nothing was sent'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
/** How many connections may be open beyond the limit, because they are cut and not closed yet. */
const MAX_BEING_CUT = 16;
const DROP_REPORT_INTERVAL = 10 * SECOND;
/** How much later than announced an idle connection is ended: its client may just be sending a request. As Node does. */
const LENIENCE = 1 * SECOND;

/** A server of Node, and where it listens. */
interface Door {
  readonly server: Server;
  readonly address: BindAddress;
}

export class ApiServer {
  readonly #doors: Door[] = [];
  readonly #dependencies: ServerDependencies;
  readonly #limits: Limits;
  readonly #connections: Connections;
  readonly #unparsed: UnparsedRequests;
  readonly #places: number;
  readonly #log: ApiLogger;
  #closing = false;
  #dropped = 0;
  #dropReport: NodeJS.Timeout | undefined;

  /**
   * Serves `application` on the sockets and addresses; resolves when it listens on all of them. Port 0 lets the system
   * choose one. An address at which an inherited socket listens is not bound again.
   * @throws RecorderError `config` when it can't listen on one; then it listens on none
   */
  static async listen(
    application: Application,
    at: readonly (BindAddress | InheritedSocket)[],
    dependencies: ServerDependencies,
    limits = LIMITS,
  ): Promise<ApiServer> {
    const server = new ApiServer(application, dependencies, limits);
    try {
      for (const one of at.filter(({ kind }) => kind === 'inherited')) await server.#open(one);
      for (const one of at) if (one.kind !== 'inherited' && !server.#listensAt(one)) await server.#open(one);
    } catch (error) {
      await server.close(0);
      throw error;
    }
    return server;
  }

  private constructor(application: Application, dependencies: ServerDependencies, limits: Limits) {
    const { log, clock, access } = dependencies;
    this.#dependencies = dependencies;
    this.#limits = limits;
    this.#log = log;
    this.#unparsed = new UnparsedRequests(log, clock);
    this.#connections = new Connections({
      places: limits.connections,
      clock,
      turnstile: new Turnstile(clock),
      unread: new UnreadAnswers(clock),
      isTrusted: (request) => carriesToken(request, access),
      knowsKey: (challenge) => namesKey(challenge, access),
      handle: ({ request, response }) => application(request, response),
      refuse: ({ response }) => this.#unparsed.refuseForNow(response),
      refuseArrival: (socket) => this.#unparsed.refuseConnectionForNow(socket),
      refuseSilent: (socket) => {
        if (this.#closing) socket.destroy();
        else this.#unparsed.refuseConnection(TOO_SLOW, socket);
      },
      onAnswered: this.#afterResponse,
      onCut: this.#countDropped,
    });
    this.#places = limits.connections;
  }

  async #open(at: BindAddress | InheritedSocket): Promise<void> {
    const server = this.#makeServer();
    const address = await bindTo(server, at);
    this.#doors.push({ server, address });
    const socketPath = address.kind === 'unix' ? address.path : undefined;
    server.on('request', (request, response: ServerResponse & { _keepAliveTimeout?: number }) => {
      // What the response says of it (`Keep-Alive: timeout=60`): see `#makeServer`. There is no public way.
      response._keepAliveTimeout = this.#limits.idleTimeout;
      proveResponse(request, response, this.#dependencies.access, socketPath);
      if (this.#closing) response.shouldKeepAlive = false;
      this.#connections.take({ request, response });
    });
  }

  #listensAt(address: BindAddress): boolean {
    return this.addresses.some((one) => isDeepStrictEqual(one, address));
  }

  #makeServer(): Server {
    const limits = this.#limits;
    const server = createServer({
      headersTimeout: limits.headersTimeout,
      requestTimeout: limits.requestTimeout,
      // A connection between two requests is idle as any other: `server.timeout` ends it. With a time-out of its own, Node
      // would set the timer of the socket twice for each request.
      keepAliveTimeout: 0,
      connectionsCheckingInterval: limits.sweepInterval,
      maxHeaderSize: limits.headerBytes,
      // `hostGuard` responds when Host is missing: it knows whether one is needed.
      requireHostHeader: false,
    });
    // A connection that is cut counts until it is closed.
    server.maxConnections = limits.connections + MAX_BEING_CUT;
    server.timeout = limits.idleTimeout + LENIENCE;
    this.#allowForLateness(server);
    // Connections go on to Node's own listener one by one.
    const [serve] = server.listeners('connection');
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => this.#connections.add(socket, () => serve?.call(server, socket)));
    server.on('checkExpectation', (_request, response) => this.#unparsed.refuseExpectation(response));
    server.on('clientError', (error, socket) => this.#unparsed.refuseConnection(error, socket));
    server.on('drop', this.#countDropped);
    return server;
  }

  /** Where it listens, with the ports that the system chose. */
  get addresses(): readonly BindAddress[] {
    return this.#doors.map(({ address }) => address);
  }

  /** The first of `addresses`. */
  get address(): BindAddress {
    const [door] = this.#doors;
    if (door === undefined) throw new Error('the server is not listening');
    return door.address;
  }

  /** Closes as described above; resolves when the last connection is closed, after `grace` milliseconds at most. */
  async close(grace: number): Promise<void> {
    this.#closing = true;
    const closed = this.#doors.map(({ server }) => new Promise<void>((resolve) => server.close(() => resolve())));
    this.#connections.closeSilent();
    const deadline = setTimeout(() => {
      this.#connections.closeWaiting();
      this.#doors.forEach(({ server }) => server.closeAllConnections());
    }, grace);
    await Promise.all(closed);
    clearTimeout(deadline);
    this.#connections.close();
    this.#unparsed.close();
    if (this.#dropReport !== undefined) this.#reportDropped();
  }

  /**
   * When this process is late, as in a flood of requests, clients that sent in time get more time: if a sweep runs late,
   * the time-outs grow by the delay. This timer runs before the server's own sweep, because timers with the same interval
   * run in the order of their creation, and the server creates its own when it begins to listen.
   */
  #allowForLateness(server: Server): void {
    const { clock } = this.#dependencies;
    const { sweepInterval, headersTimeout, requestTimeout } = this.#limits;
    let due = clock.monotonic() + sweepInterval;
    const sweep = setInterval(() => {
      const now = clock.monotonic();
      const late = Math.max(0, now - due);
      server.headersTimeout = headersTimeout + late;
      server.requestTimeout = requestTimeout + late;
      due = now + sweepInterval;
      this.#connections.sweep(headersTimeout + late);
    }, sweepInterval).unref();
    server.once('close', () => clearInterval(sweep));
  }

  readonly #afterResponse = (request: IncomingMessage): void => {
    // A body that is too long is not read to its end. Reading on lets its client finish sending, within the request's
    // time: it then sees the response instead of a reset connection, and can send its next request.
    if (!request.complete) request.resume();
    if (this.#closing) this.#doors.forEach(({ server }) => server.closeIdleConnections());
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
