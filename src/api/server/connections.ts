/**
 * The connections of the server: what keeps one client from taking what all of them need.
 *
 * A connection that asks and asks without waiting for answers is cut: HTTP lets it send as many requests as it likes, and
 * each costs memory until it is answered. When all places are taken, the connection that has rested the longest gives
 * way to the one that comes: clients keep connections open for later, and whoever is cut while it rests opens another.
 * Where none rests, the one that comes is cut.
 */
import type { Socket } from 'node:net';

/** Requests that one connection may have under way; clients that send one at a time have one. */
const MOST_UNANSWERED = 16;

export class Connections {
  readonly #places: number;
  readonly #onCut: () => void;
  /** How many requests of each are unanswered. In the order in which they came or were answered last. */
  readonly #unanswered = new Map<Socket, number>();

  /**
   * @param places how many connections there may be at the same time
   * @param onCut told of each that is cut
   */
  constructor(places: number, onCut: () => void) {
    this.#places = places;
    this.#onCut = onCut;
  }

  /** Takes a connection in. */
  add(socket: Socket): void {
    this.#unanswered.set(socket, 0);
    socket.once('close', () => this.#unanswered.delete(socket));
    if (this.#unanswered.size > this.#places) this.#cutOneThatRests();
  }

  /** A request has come; false when it is one too many, and the connection is cut for that. */
  begin(socket: Socket): boolean {
    if (socket.destroyed) return false;
    const unanswered = (this.#unanswered.get(socket) ?? 0) + 1;
    if (unanswered > MOST_UNANSWERED) {
      this.#cut(socket);
      return false;
    }
    this.#unanswered.set(socket, unanswered);
    return true;
  }

  /** A request has been answered. */
  end(socket: Socket): void {
    const unanswered = this.#unanswered.get(socket);
    if (unanswered === undefined) return;
    if (unanswered === 1) this.#unanswered.delete(socket);
    this.#unanswered.set(socket, unanswered - 1);
  }

  #cutOneThatRests(): void {
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
