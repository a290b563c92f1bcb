/** Runs work under the same key one after the other, in the order in which it came; other keys do not wait. */
export class KeyedLock {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs `work` when all earlier work under `key` is done. @returns what `work` returns; rejects as it does */
  async run<Result>(key: string, work: () => Promise<Result>): Promise<Result> {
    const before = this.#last.get(key);
    const turn = before === undefined ? work() : before.then(work, work);
    this.#last.set(key, turn);
    try {
      return await turn;
    } finally {
      if (this.#last.get(key) === turn) this.#last.delete(key);
    }
  }

  /**
   * Runs `work` when all earlier work under any of these keys is done. It queues for all of them at once, so that two
   * which share keys never wait for each other.
   * @returns what `work` returns; rejects as it does
   */
  async runAll<Result>(keys: ReadonlySet<string>, work: () => Promise<Result>): Promise<Result> {
    const before = [...keys].flatMap((key) => this.#last.get(key) ?? []);
    const turn = before.length === 0 ? work() : Promise.allSettled(before).then(work);
    for (const key of keys) this.#last.set(key, turn);
    try {
      return await turn;
    } finally {
      for (const key of keys) if (this.#last.get(key) === turn) this.#last.delete(key);
    }
  }
}
