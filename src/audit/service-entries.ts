/**
 * Facts about the service itself (it started, the log was repaired) that must reach the log sooner or later: they wait
 * here, in their order, while the log takes nothing.
 */
import type { AuditLog } from './log.ts';
import type { Draft } from '../domain/entries.ts';

export class ServiceEntries {
  readonly #log: Pick<AuditLog, 'append'>;
  readonly #waiting: Draft[] = [];
  #telling: Promise<void> | undefined;

  constructor(log: Pick<AuditLog, 'append'>) {
    this.#log = log;
  }

  /** Tells the log now, or as soon as `retry` finds that it takes entries again. */
  announce(draft: Draft): Promise<void> {
    this.#waiting.push(draft);
    return this.retry();
  }

  /** Tells what waits. Resolves when that is done or has to wait again; never rejects. */
  retry(): Promise<void> {
    this.#telling ??= this.#tell().finally(() => {
      this.#telling = undefined;
    });
    return this.#telling;
  }

  async #tell(): Promise<void> {
    try {
      for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
        await this.#log.append([next]);
        this.#waiting.shift();
      }
    } catch {
      // Refused: it stays in front and is told at the next retry.
    }
  }
}
