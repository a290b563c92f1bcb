/**
 * The connections of the server, limited so that one client can't take what all of them need.
 *
 * HTTP lets a client send any number of requests without waiting for responses, and each costs memory until its
 * response. A connection with too many is cut. When all places are taken, a new connection takes the place of the one
 * that has been idle the longest: clients keep connections open for later use, and open another when one is cut. When
 * none is idle, the new one is cut.
 */
import type { Socket } from 'node:net';

/** Requests that one connection may have in flight; most clients have one. */
const MAX_UNANSWERED = 16;

export class Connections {
  readonly #places: number;
  readonly #onCut: () => void;
  /** How many requests of each are unanswered; in the order of their opening or last response. */
  readonly #unanswered = new Map<Socket, number>();

  /**
   * @param places how many connections may be open at the same time
   * @param onCut called for each that is cut
   */
  constructor(places: number, onCut: () => void) {
    this.#places = places;
    this.#onCut = onCut;
  }

  /** Adds a new connection. */
  add(socket: Socket): void {
    this.#unanswered.set(socket, 0);
    socket.once('close', () => this.#unanswered.delete(socket));
    if (this.#unanswered.size > this.#places) this.#cutLongestIdle();
  }

  /** Counts a new request. Returns false when the request must not be handled: its connection is cut. */
  begin(socket: Socket): boolean {
    if (socket.destroyed) return false;
    const unanswered = (this.#unanswered.get(socket) ?? 0) + 1;
    if (unanswered > MAX_UNANSWERED) {
      this.#cut(socket);
      return false;
    }
    this.#unanswered.set(socket, unanswered);
    return true;
  }

  /** Counts a response. */
  end(socket: Socket): void {
    const unanswered = this.#unanswered.get(socket);
    if (unanswered === undefined) return;
    // An idle connection moves to the end of the order.
    if (unanswered === 1) this.#unanswered.delete(socket);
    this.#unanswered.set(socket, unanswered - 1);
  }

  #cutLongestIdle(): void {
    for (const [socket, unanswered] of this.#unanswered) {
      if (unanswered > 0) continue;
      this.#cut(socket);
      return;
    }
  }

  #cut(socket: Socket): void {
    this.#unanswered.delete(socket);
    socket.destroy();
    this.#onCut();
  }
}
