/**
 * The answers that strangers have been given and do not read.
 *
 * They take memory until they are read. A connection that leaves one unread for too long is cut; when all of them
 * together take too much, those that have waited the longest are cut at once. An event stream is no such answer: it
 * has limits of its own.
 */
import type { Socket } from 'node:net';
import { type Clock, SECOND } from '../../clock.ts';

/** The longest that an answer may be left unread, in milliseconds. */
const DEADLINE = 20 * SECOND;
/** How many bytes may be unread. */
const MAX_BYTES = 6 * 1024 * 1024;
/** An unread answer also holds its connection's buffers, and its request. */
const OVERHEAD = 4 * 1024;

export class UnreadAnswers {
  readonly #clock: Pick<Clock, 'monotonic'>;
  /** Oldest first. */
  readonly #answers = new Map<Socket, { readonly since: number; readonly bytes: number }>();
  #bytes = 0;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** The connection that has left its answer unread the longest. */
  get oldest(): Socket | undefined {
    return this.#answers.keys().next().value;
  }

  /** An answer is written, and waits to be read. */
  add(socket: Socket): void {
    const bytes = socket.writableLength + OVERHEAD;
    this.#answers.set(socket, { since: this.#clock.monotonic(), bytes });
    this.#bytes += bytes;
    for (const other of this.#answers.keys()) {
      if (this.#bytes <= MAX_BYTES || other === socket) return;
      this.#cut(other);
    }
  }

  /** An answer is read, or its connection closed. */
  delete(socket: Socket): void {
    const answer = this.#answers.get(socket);
    if (answer === undefined) return;
    this.#answers.delete(socket);
    this.#bytes -= answer.bytes;
  }

  /** Cuts the connections whose time is over. */
  sweep(): void {
    const before = this.#clock.monotonic() - DEADLINE;
    for (const [socket, { since }] of this.#answers) {
      if (since > before) return;
      this.#cut(socket);
    }
  }

  #cut(socket: Socket): void {
    this.delete(socket);
    socket.destroy();
  }
}
