/** How many answers are kept. When there are more, all are dropped. */
const MOST = 1000;

/**
 * Remembers a statechart's answers. An answer depends on the situation and the event only, and few of these occur often:
 * a replay of the log asks the chart a few dozen times instead of millions.
 */
export class Memo<Answer> {
  readonly #known = new Map<string, Answer>();

  /** The answer to the question that `key` stands for; calls `ask` when it is not known. */
  to(key: string, ask: () => Answer): Answer {
    const known = this.#known.get(key);
    if (known !== undefined || this.#known.has(key)) return known as Answer;
    if (this.#known.size >= MOST) this.#known.clear();
    const answer = ask();
    this.#known.set(key, answer);
    return answer;
  }
}
