/**
 * New connections, before the HTTP server reads from them.
 *
 * The first bytes show whether a connection carries the service token. One that does goes on to the HTTP server at once;
 * a stranger's waits for its turn first. A connection that leaves before that costs no parser, no request and no response,
 * so many can come and go at little cost. What they have sent stays in their buffers, all of which are limited together.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../clock.ts';
import type { Account, Turnstile } from './turnstile.ts';

/** How many bytes the waiting connections may have sent. */
const MAX_BYTES = 4 * 1024 * 1024;
/** How much of the first bytes may be headers. */
const LONGEST_HEAD = 16 * 1024;

/** What is kept of a new connection. */
export interface Arrival {
  readonly account: Account;
  readonly since: number;
  trusted: boolean;
  asked: boolean;
  hasTurn: boolean;
}

export interface ArrivalsOptions {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly turnstile: Turnstile;
  readonly isTrusted: (request: Pick<IncomingMessage, 'headers'>) => boolean;
  /** Responds that there is no time now, and closes the connection. */
  readonly refuseArrival: (socket: Socket) => void;
  /** Responds that nothing has come in time, and closes the connection. */
  readonly refuseSilent: (socket: Socket) => void;
}

export class Arrivals {
  readonly #options: ArrivalsOptions;
  readonly #silent = new Map<Socket, Arrival>();
  /** With the bytes that each had sent when it was looked at. */
  readonly #waiting = new Map<Socket, number>();
  #bytes = 0;

  constructor(options: ArrivalsOptions) {
    this.#options = options;
  }

  /** Takes a new connection; `serve` hands it to the HTTP server. */
  add(socket: Socket, arrival: Arrival, serve: () => void): void {
    this.#silent.set(socket, arrival);
    socket.on('error', ignore).once('close', () => this.#remove(socket));
    socket.once('end', () => {
      if (this.#silent.has(socket)) socket.destroy();
    });
    const look = (): void => {
      const bytes = socket.read() as Buffer | null;
      // At the end of what the client sends there is nothing.
      if (bytes === null) return;
      socket.off('readable', look).unshift(bytes);
      this.#silent.delete(socket);
      this.#take(socket, arrival, bytes, serve);
    };
    socket.on('readable', look);
  }

  /** Whether a connection has sent something and waits for its turn. */
  waits(socket: Socket): boolean {
    return this.#waiting.has(socket);
  }

  /** Refuses the connections that have sent nothing for so many milliseconds. */
  sweep(silence: number): void {
    const before = this.#options.clock.monotonic() - silence;
    for (const [socket, { since }] of this.#silent) {
      if (since > before) break;
      this.#silent.delete(socket);
      this.#options.refuseSilent(socket);
    }
    let bytes = 0;
    for (const socket of this.#waiting.keys()) {
      // They may have sent more since they were looked at.
      bytes += socket.readableLength;
      if (bytes > MAX_BYTES) socket.destroy();
    }
  }

  /** Closes all of them. */
  close(): void {
    for (const socket of [...this.#silent.keys(), ...this.#waiting.keys()]) socket.destroy();
  }

  #take(socket: Socket, arrival: Arrival, bytes: Buffer, serve: () => void): void {
    arrival.asked = true;
    const goOn = (): void => {
      this.#remove(socket);
      serve();
      socket.resume();
    };
    if (this.#options.isTrusted({ headers: { authorization: authorizationIn(bytes) } })) {
      arrival.trusted = true;
      goOn();
      return;
    }
    const refuse = (): void => {
      this.#remove(socket);
      if (!socket.destroyed) this.#options.refuseArrival(socket);
    };
    if (this.#bytes + bytes.length > MAX_BYTES) {
      refuse();
      return;
    }
    this.#waiting.set(socket, bytes.length);
    this.#bytes += bytes.length;
    const take = (): void => {
      arrival.hasTurn = true;
      goOn();
    };
    this.#options.turnstile.enter({ account: arrival.account, gone: () => socket.destroyed, take, refuse });
  }

  #remove(socket: Socket): void {
    this.#silent.delete(socket);
    this.#bytes -= this.#waiting.get(socket) ?? 0;
    this.#waiting.delete(socket);
  }
}

const ignore = (): void => {};

const NAME = '\r\nauthorization:';

/** The `Authorization` header in the first bytes of a connection; undefined when it is not there. */
const authorizationIn = (bytes: Buffer): string | undefined => {
  const text = bytes.toString('latin1', 0, LONGEST_HEAD);
  const end = text.indexOf('\r\n\r\n');
  const at = text.toLowerCase().indexOf(NAME);
  if (at === -1 || end === -1 || at > end) return undefined;
  const begin = at + NAME.length;
  return text.slice(begin, text.indexOf('\r\n', begin)).trim();
};
