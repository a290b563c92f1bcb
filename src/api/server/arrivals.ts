/**
 * New connections, before the HTTP server reads from them.
 *
 * The first bytes show whether a connection carries the service token. One that does goes on to the HTTP server at
 * once; a stranger's waits for its turn first. A client that asks the recorder to prove itself has not sent the token
 * yet: a few such connections a second need not wait either, so that clients with the token are served among strangers.
 * A connection that leaves before its turn costs no parser, no request and no response, so many can come and go at
 * little cost. What they have sent stays in their buffers, all of which are limited together.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type Clock, SECOND } from '../../clock.ts';
import { CHALLENGE_HEADER } from '../../proof.ts';
import type { Account, Turnstile } from './turnstile.ts';

/** How many bytes the waiting connections may have sent. */
const MAX_BYTES = 4 * 1024 * 1024;
/** How many connections that begin with a challenge go on at once, in each second. */
const MAX_CHALLENGES = 10;
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
  /** Whether a challenge names a key that this recorder knows. */
  readonly knowsKey: (challenge: string) => boolean;
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
  /** How many challenges went on in the second that began at `#since`. */
  #challenges = 0;
  #since = -Infinity;

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
    const head = headIn(bytes);
    if (this.#options.isTrusted({ headers: { authorization: headerIn(head, 'authorization') } })) {
      arrival.trusted = true;
      goOn();
      return;
    }
    const take = (): void => {
      arrival.hasTurn = true;
      goOn();
    };
    if (this.#admitsChallenge(headerIn(head, CHALLENGE_HEADER))) {
      take();
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
    this.#options.turnstile.enter({ account: arrival.account, gone: () => socket.destroyed, take, refuse });
  }

  #admitsChallenge(challenge: string | undefined): boolean {
    if (challenge === undefined || !this.#options.knowsKey(challenge)) return false;
    const now = this.#options.clock.monotonic();
    if (now - this.#since >= SECOND) {
      this.#since = now;
      this.#challenges = 0;
    }
    return ++this.#challenges <= MAX_CHALLENGES;
  }

  #remove(socket: Socket): void {
    this.#silent.delete(socket);
    this.#bytes -= this.#waiting.get(socket) ?? 0;
    this.#waiting.delete(socket);
  }
}

const ignore = (): void => {};

/** The first head in the bytes, without its end; empty when that has not come. */
const headIn = (bytes: Buffer): string => {
  const text = bytes.toString('latin1', 0, LONGEST_HEAD);
  return text.slice(0, Math.max(0, text.indexOf('\r\n\r\n')));
};

/** The value of a header, whose name is in lower case; undefined when it is not there. */
const headerIn = (head: string, name: string): string | undefined => {
  const line = `\r\n${name}:`;
  const at = head.toLowerCase().indexOf(line);
  if (at === -1) return undefined;
  const begin = at + line.length;
  const end = head.indexOf('\r\n', begin);
  return head.slice(begin, end === -1 ? undefined : end).trim();
};
