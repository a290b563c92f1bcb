/** How many answers are kept; then it begins anew. */
const MOST = 1000;

/**
 * What a statechart has answered. An answer depends on nothing but the situation and the event, and there are few of
 * these that occur often: so a replay of the log asks the chart a few dozen times instead of millions.
 */
export class Memo<Answer> {
  readonly #known = new Map<string, Answer>();

  /** The answer to the question that `key` stands for; `ask` is called where it is not known. */
  to(key: string, ask: () => Answer): Answer {
    const known = this.#known.get(key);
    if (known !== undefined || this.#known.has(key)) return known as Answer;
    if (this.#known.size >= MOST) this.#known.clear();
    const answer = ask();
    this.#known.set(key, answer);
    return answer;
  }
}
