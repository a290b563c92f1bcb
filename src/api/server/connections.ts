/**
 * The connections of the server, limited so that one client can't take what all of them need.
 *
 * A new connection goes on to the HTTP server at once when its first bytes carry the service token. All others wait for
 * their first turn (`Arrivals`): so a storm of connections costs little, and no trusted one waits behind it.
 *
 * A connection belongs to a stranger until a request on it carries the service token. Requests on a trusted connection are
 * handled at once. Requests of strangers wait for their turn (`Turnstile`), one of each connection at a time; meanwhile
 * the server reads no more from it. What a stranger has sent beyond that (HTTP allows requests without waiting for
 * responses) is kept as far as all strangers together have room for it; then the connection is closed behind a refusal.
 *
 * When all places are taken, a new connection takes the place of the least useful one: one that does not read its
 * response, else the stranger's that has been idle the longest, else the stranger's that has waited the longest, else the
 * trusted one that has been idle the longest. A trusted one that has a request in flight never gives way; when there are
 * only such, the new one is cut.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Clock, SECOND } from '../../clock.ts';
import { Arrivals } from './arrivals.ts';
import { type Peer, setPeer } from './peer.ts';
import type { Account, Turnstile } from './turnstile.ts';
import type { UnreadAnswers } from './unread-answers.ts';

/** Requests that one connection may have in flight; most clients have one. */
const MAX_UNANSWERED = 16;
/** Requests that all strangers may have sent beyond the first of each connection: each keeps some KiB. */
const MAX_AHEAD = 64;
/** How long a stranger who was refused is not read, in milliseconds: to refuse costs time as well. As `Retry-After` says. */
const REST = 5 * SECOND;

/** How long a connection counts as new: its first request may be on the way, and carry the token. */
const NEW = 1 * SECOND;

/** A request and its response. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export interface ConnectionsOptions {
  /** How many connections may be open at the same time. */
  readonly places: number;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly turnstile: Turnstile;
  readonly unread: UnreadAnswers;
  /** Whether a request carries the service token. */
  readonly isTrusted: (request: Pick<IncomingMessage, 'headers'>) => boolean;
  /** Whether a challenge (`Recorder-Challenge`) names a key that this recorder knows. */
  readonly knowsKey: (challenge: string) => boolean;
  readonly handle: (exchange: Exchange) => Promise<unknown>;
  /** Responds that there is no room for a request now. */
  readonly refuse: (exchange: Exchange) => void;
  /** Responds the same on a connection of which no request was read, and closes it. */
  readonly refuseArrival: (socket: Socket) => void;
  /** Responds that no request has come in time, and closes the connection. */
  readonly refuseSilent: (socket: Socket) => void;
  /** Called when a request is answered, or its client has left. */
  readonly onAnswered: (request: IncomingMessage) => void;
  /** Called for each connection that is cut. */
  readonly onCut: () => void;
}

class Connection implements Peer {
  readonly socket: Socket;
  readonly account: Account = {};
  readonly #turnstile: Turnstile;
  trusted = false;
  unanswered = 0;
  /** Whether a request has come. */
  asked = false;
  /** Whether the turn in which it went on to the HTTP server is also that of its first request. */
  hasTurn = false;
  readonly since: number;
  /** The stranger's requests that are not handled yet, oldest first. */
  readonly ahead: Exchange[] = [];
  /** Whether one of the stranger's requests waits for its turn or is handled. */
  busy = false;
  /** Whether the stranger has sent too much ahead: nothing more is taken from it. */
  full = false;
  rest: NodeJS.Timeout | undefined;

  constructor(socket: Socket, turnstile: Turnstile, since: number) {
    this.socket = socket;
    this.since = since;
    this.#turnstile = turnstile;
  }

  turn(): Promise<void> {
    if (this.trusted || this.socket.destroyed) return Promise.resolve();
    const { account, socket } = this;
    return new Promise((resolve) => {
      const leave = (): void => resolve();
      socket.once('close', leave);
      const take = (): void => {
        socket.off('close', leave);
        resolve();
      };
      this.#turnstile.enter({ account, gone: () => socket.destroyed, take, refuse: () => socket.destroy() });
    });
  }
}

export class Connections {
  readonly #options: ConnectionsOptions;
  /** In the order of their opening or last response. */
  readonly #open = new Map<Socket, Connection>();
  readonly #arrivals: Arrivals;
  #ahead = 0;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.#arrivals = new Arrivals(options);
  }

  /**
   * Adds a new connection.
   * @param serve hands it to the HTTP server
   */
  add(socket: Socket, serve: () => void): void {
    const { turnstile, clock } = this.#options;
    const connection = new Connection(socket, turnstile, clock.monotonic());
    setPeer(socket, connection);
    this.#open.set(socket, connection);
    turnstile.arrive();
    socket.once('close', () => this.#remove(connection));
    if (this.#open.size > this.#options.places) this.#cut(this.#leastUseful() ?? connection);
    if (!socket.destroyed) this.#arrivals.add(socket, connection, serve);
  }

  /** Takes a new request: handles it, keeps it for its turn, or cuts its connection. */
  take(exchange: Exchange): void {
    const connection = this.#open.get(exchange.request.socket);
    if (connection === undefined || connection.full || connection.socket.destroyed) {
      stopReading(exchange.request.socket);
      return;
    }
    connection.unanswered++;
    connection.asked = true;
    if (connection.unanswered > MAX_UNANSWERED) {
      this.#cut(connection);
      return;
    }
    const { isTrusted } = this.#options;
    if (exchange.request.headers.authorization !== undefined && (connection.trusted || isTrusted(exchange.request))) {
      this.#handleTrusted(connection, exchange);
    } else if (connection.trusted) {
      this.#handleNow(connection, exchange);
    } else {
      this.#keep(connection, exchange);
    }
  }

  /**
   * Ends the time of those who send nothing or do not read, and the wait of those who wait too long.
   * @param silence how long a connection may send nothing at first, in milliseconds
   */
  sweep(silence: number): void {
    this.#arrivals.sweep(silence);
    this.#options.turnstile.sweep();
    this.#options.unread.sweep();
  }

  /** Closes the new connections that have sent nothing yet. */
  closeSilent(): void {
    this.#arrivals.sweep(-Infinity);
  }

  /** Closes the connections that wait for their first turn. */
  closeWaiting(): void {
    this.#arrivals.close();
  }

  close(): void {
    for (const { rest } of this.#open.values()) clearTimeout(rest);
    this.#options.turnstile.close();
  }

  #handleTrusted(connection: Connection, exchange: Exchange): void {
    connection.trusted = true;
    const { method } = exchange.request;
    // A stream or a long poll may be in flight for ever.
    const isShort = method !== 'GET' && method !== 'HEAD';
    if (isShort) this.#options.turnstile.begin();
    this.#handleNow(connection, exchange, isShort);
  }

  #handleNow(connection: Connection, exchange: Exchange, holdsStrangers = false): void {
    exchange.response.on('close', () => {
      if (holdsStrangers) this.#options.turnstile.end();
      this.#answered(connection, exchange);
    });
    void this.#options.handle(exchange);
  }

  #keep(connection: Connection, exchange: Exchange): void {
    if (!connection.busy) {
      connection.busy = true;
      connection.socket.pause();
      this.#queue(connection, exchange);
      return;
    }
    connection.ahead.push(exchange);
    this.#ahead++;
    // The last one is kept to be refused, in its turn: the client then sees that the connection ends, and why.
    if (this.#ahead > MAX_AHEAD || this.#options.turnstile.crowded) {
      connection.full = true;
      stopReading(connection.socket);
    }
  }

  #queue(connection: Connection, exchange: Exchange): void {
    const { turnstile, unread } = this.#options;
    const { account, socket } = connection;
    exchange.response.on('close', () => {
      unread.delete(socket);
      this.#answered(connection, exchange);
      this.#proceed(connection);
    });
    const gone = (): boolean => exchange.response.closed || socket.destroyed;
    const take = (): void => {
      void this.#options.handle(exchange).then(() => {
        if (exchange.response.writableEnded && !exchange.response.closed) unread.add(socket);
      });
    };
    const refuse = (): void => {
      if (!gone()) this.#refuse(connection, exchange);
    };
    if (connection.hasTurn) {
      connection.hasTurn = false;
      take();
    } else turnstile.enter({ account, gone, take, refuse });
  }

  /** Goes on to the stranger's next request. */
  #proceed(connection: Connection): void {
    const next = connection.ahead.shift();
    if (next === undefined) {
      connection.busy = false;
      // At the end of a response Node reads on by itself.
      if (connection.rest === undefined) connection.socket.resume();
      else connection.socket.pause();
      return;
    }
    this.#ahead--;
    if (connection.full && connection.ahead.length === 0) {
      next.response.shouldKeepAlive = false;
      this.#options.refuse(next);
    } else this.#queue(connection, next);
  }

  #refuse(connection: Connection, exchange: Exchange): void {
    connection.rest ??= setTimeout(() => {
      connection.rest = undefined;
      if (!connection.busy) connection.socket.resume();
    }, REST).unref();
    this.#options.refuse(exchange);
  }

  /** An idle connection moves to the end of the order. */
  #answered(connection: Connection, { request }: Exchange): void {
    connection.unanswered--;
    this.#options.onAnswered(request);
    if (connection.unanswered > 0 || !this.#open.delete(connection.socket)) return;
    this.#open.set(connection.socket, connection);
  }

  #leastUseful(): Connection | undefined {
    const unread = this.#options.unread.oldest;
    const stalled = unread && this.#open.get(unread);
    if (stalled !== undefined) return stalled;
    let stranger: Connection | undefined;
    let resting: Connection | undefined;
    let idle: Connection | undefined;
    let left = this.#open.size;
    for (const connection of this.#open.values()) {
      // The last one is the one that needs a place.
      if (--left === 0) break;
      const { trusted, unanswered } = connection;
      const waits = unanswered > 0 || this.#arrivals.waits(connection.socket);
      if (trusted && !waits) idle ??= connection;
      else if (!trusted && waits) stranger ??= connection;
      else if (!trusted) resting ??= connection;
    }
    const isNew = resting !== undefined && !resting.asked && resting.since > this.#options.clock.monotonic() - NEW;
    return (isNew ? (stranger ?? resting) : (resting ?? stranger)) ?? idle;
  }

  #cut(connection: Connection): void {
    this.#remove(connection);
    connection.socket.destroy();
    stopReading(connection.socket);
    this.#options.onCut();
  }

  #remove(connection: Connection): void {
    if (!this.#open.delete(connection.socket)) return;
    clearTimeout(connection.rest);
    this.#ahead -= connection.ahead.splice(0).length;
    this.#options.unread.delete(connection.socket);
  }
}

/**
 * Makes the parser stop in the middle of what has arrived, which may be a thousand requests: each would cost time and
 * memory although nobody handles it. There is no public way: the parser stops when it hears that another protocol
 * begins.
 */
export const stopReading = (socket: Socket & { parser?: { onIncoming: unknown } | null }): void => {
  if (socket.parser) socket.parser.onIncoming = anotherProtocol;
};

const anotherProtocol = (): number => 2;
