/**
 * Entries of several incidents that are one append: all of them are written, or none.
 *
 * The actors that take part handle no other message until it is over (`IncidentActor.join`, `openWith`). Their decisions
 * see what the entries before them in the same append make of the incident.
 */
import type { AuditLog } from '../audit/log.ts';
import type { IncidentDraft, StoredEntry } from '../domain/entries.ts';

export class SharedAppend {
  readonly #log: Pick<AuditLog, 'append'>;
  readonly #drafts: IncidentDraft[] = [];
  readonly #onRefused: (() => void)[] = [];
  readonly #over = Promise.withResolvers<void>();

  constructor(log: Pick<AuditLog, 'append'>) {
    this.#log = log;
  }

  /** Resolves when the entries are on disk, or refused. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /**
   * Adds entries of one incident.
   * @param onRefused called when none of the entries is written
   */
  add(drafts: readonly IncidentDraft[], onRefused: () => void): void {
    for (const draft of drafts) this.#drafts.push(draft);
    this.#onRefused.push(onRefused);
  }

  /**
   * Appends what was added.
   * @returns the entries, when they are on disk
   * @throws RecorderError like `AuditLog.append`; nothing was appended then
   */
  async write(): Promise<readonly StoredEntry[]> {
    const entries = this.#drafts.length === 0 ? [] : await this.#log.append(this.#drafts);
    this.#onRefused.length = 0;
    return entries;
  }

  /** Lets the actors go on. To be called when it is written, or will not be: then what was added is refused. */
  end(): void {
    for (const onRefused of this.#onRefused.splice(0)) onRefused();
    this.#over.resolve();
  }
}
