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
  post<Result>(handle: () => Promise<Result>): Promise<Result> {
    if (this.#waiting >= MAX_WAITING) {
      const message = 'too many requests wait for this incident; try again';
      return Promise.reject(new RecorderError('overloaded', message));
    }
    this.#waiting += 1;
    const before = this.#last;
    const turn = before === undefined ? begun(handle) : before.then(handle, handle);
    this.#last = turn;
    // First of all that wait for it: whoever sees the result sees the mailbox without the message.
    turn.then(this.#handled, this.#handled);
    return turn;
  }

  readonly #handled = (): void => {
    this.#waiting -= 1;
    if (this.#waiting > 0) return;
    this.#last = undefined;
    this.#onEmpty();
  };
}

/** What `handle` returns; rejects with what it throws. */
function begun<Result>(handle: () => Promise<Result>): Promise<Result> {
  try {
    return handle();
  } catch (error) {
    return Promise.reject(error);
  }
}
