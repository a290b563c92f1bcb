/**
 * Brings the projections up to the log when the service starts.
 *
 * Recovery walks the log anyway; the entries that it finds valid are offered here on the way. What was applied before is
 * passed over, provided that the log still says so: where the projections have another hash for an entry than the log,
 * or have entries that the log has not, they belong to another log, are emptied, and the log has to be walked again.
 */
import type { StoredEntry } from '../audit/entry.ts';
import type { Head } from '../audit/entry.ts';
import type { Projections } from './projections.ts';

export class CatchUp {
  readonly #projections: Projections;
  #mustRestart = false;

  constructor(projections: Projections) {
    this.#projections = projections;
  }

  /** Takes the next valid entries of the log. */
  offer(entries: readonly StoredEntry[]): void {
    if (this.#mustRestart) return;
    const { seq, hash } = this.#projections.position;
    const last = entries.find((entry) => entry.data.seq === seq);
    if (last !== undefined && last.entry_hash !== hash) {
      this.#mustRestart = true;
      return;
    }
    this.#projections.apply(entries);
    if (this.#projections.fault !== undefined) throw this.#projections.fault;
  }

  /**
   * Whether the log has to be offered once more from its beginning; the projections are empty then.
   * @param head how far the log is valid
   */
  restart(head: Head): boolean {
    if (!this.#mustRestart && this.#projections.position.seq <= head.entries) return false;
    this.#projections.reset();
    this.#mustRestart = false;
    return true;
  }
}
