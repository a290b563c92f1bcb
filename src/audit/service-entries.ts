/**
 * Entries about the service itself (it started, the log was repaired), which must reach the log sooner or later. While
 * the log refuses entries they wait here, in order.
 */
import type { AuditLog } from './log.ts';
import type { Draft } from '../domain/entries.ts';

export class ServiceEntries {
  readonly #log: Pick<AuditLog, 'append'>;
  readonly #waiting: (readonly Draft[])[] = [];
  #appending = Promise.resolve();

  constructor(log: Pick<AuditLog, 'append'>) {
    this.#log = log;
  }

  /** Appends entries together, now or at the first `retry` after the log takes entries again. Never rejects. */
  record(...drafts: readonly Draft[]): Promise<void> {
    this.#waiting.push(drafts);
    return this.retry();
  }

  /** Appends the entries that wait, until one is refused. Never rejects. */
  retry(): Promise<void> {
    // Each after the one before, so that an entry is seen which is recorded as the one before ends.
    this.#appending = this.#appending.then(() => this.#appendAll());
    return this.#appending;
  }

  async #appendAll(): Promise<void> {
    try {
      for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
        await this.#log.append(next);
        this.#waiting.shift();
      }
    } catch {
      // Refused: it stays first and is appended at the next retry.
    }
  }
}
