/** The most answers that are kept; then it starts from empty. */
const MAX_ANSWERS = 1000;

/**
 * The answers of a pure function, kept by a key that holds all that they depend on.
 *
 * A statechart's answer depends on the situation and the event only, and few of these occur often: a replay of the log
 * asks the chart some dozen times instead of millions. What else could be asked twice is not worth a memo.
 */
export class Memo<Answer> {
  readonly #known = new Map<string, Answer>();

  /** The answer for `key`; `ask` is called when it is not known. */
  to(key: string, ask: () => Answer): Answer {
    const known = this.#known.get(key);
    if (known !== undefined || this.#known.has(key)) return known as Answer;
    if (this.#known.size >= MAX_ANSWERS) this.#known.clear();
    const answer = ask();
    this.#known.set(key, answer);
    return answer;
  }
}
