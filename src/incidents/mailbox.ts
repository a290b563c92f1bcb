import { RecorderError } from '../errors.ts';

/** The most messages that may wait for one incident: as many as all connections together can send at once. */
const MAX_WAITING = 4096;

/** The mailbox of one actor: its messages are handled one at a time, in the order in which they came. */
export class Mailbox {
  readonly #onEmpty: () => void;
  #last: Promise<unknown> | undefined;
  #waiting = 0;

  /** @param onEmpty called when the last message is handled */
  constructor(onEmpty: () => void) {
    this.#onEmpty = onEmpty;
  }

  get isEmpty(): boolean {
    return this.#waiting === 0;
  }

  /**
   * Handles a message when all before it are handled.
   * @returns what `handle` returns; rejects as it does
   * @throws RecorderError `overloaded` when too many wait
   */
  async post<Result>(handle: () => Promise<Result>): Promise<Result> {
    if (this.#waiting >= MAX_WAITING) {
      throw new RecorderError('overloaded', 'too many requests wait for this incident; try again');
    }
    this.#waiting += 1;
    try {
      const before = this.#last;
      const turn = before === undefined ? handle() : before.then(handle, handle);
      this.#last = turn;
      return await turn;
    } finally {
      this.#waiting -= 1;
      if (this.#waiting === 0) {
        this.#last = undefined;
        this.#onEmpty();
      }
    }
  }
}
