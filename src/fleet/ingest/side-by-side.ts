/** Lets this thread and the database work at the same time. */

/** PostgreSQL, appendix A: an earlier statement of the transaction has failed. */
const IN_FAILED_TRANSACTION = '25P02';

/**
 * Carries out statements of one transaction, one after the other. Each is made while those before it are carried out: it may
 * use nothing of what they do. All have ended when this does: one that came after the end of the transaction would be carried
 * out outside of it.
 * @throws the error of the first that failed by itself
 */
export async function sideBySide(statements: readonly (() => Promise<unknown>)[]): Promise<void> {
  const started: Promise<unknown>[] = [];
  for (const make of statements) {
    const statement = make();
    // Somebody looks at it below.
    statement.catch(() => undefined);
    started.push(statement);
    // It is sent before this thread makes the next one.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const errors = (await Promise.allSettled(started))
    .filter((result) => result.status === 'rejected')
    .map(({ reason }) => reason as Error & { readonly code?: unknown });
  const [first] = errors.filter(({ code }) => code !== IN_FAILED_TRANSACTION);
  if (errors.length > 0) throw first ?? errors[0]!;
}

/** Lets a few do their work at once, in the order in which they came. */
export class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(free: number) {
    this.#free = free;
  }

  async take<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
