/**
 * Proves incidents against the log before their actors act, as long as the database is not proved: whoever could write
 * it while the service was stopped may have edited one. An entry that rests on an edited row would stay in the log.
 */
import { RecorderError } from '../errors.ts';

/** How many incidents are remembered as proved: each takes some hundred bytes. */
const MOST_REMEMBERED = 10_000;

export interface WakeProofParts {
  /** Whether no proof is needed: the whole database is proved, or nothing can be written. */
  readonly isNeedless: () => boolean;
  /** What differs from the log; undefined when nothing does. @throws RecorderError when that can't be said now */
  readonly difference: (id: string) => Promise<string | undefined>;
  /** @throws RecorderError `log_unavailable` while the database is behind the log: then it differs without a reason */
  readonly current: () => unknown;
  /** Receives what differs. */
  readonly onDifference: (difference: string) => void;
}

export class WakeProof {
  readonly #parts: WakeProofParts;
  readonly #proved = new Set<string>();

  constructor(parts: WakeProofParts) {
    this.#parts = parts;
  }

  /**
   * Proves an incident that no message is changing.
   * @returns undefined when that is not needed; else rejects with RecorderError `log_unavailable` when it differs
   */
  prove(id: string): Promise<void> | undefined {
    if (this.#parts.isNeedless()) {
      this.#proved.clear();
      return undefined;
    }
    return this.#proved.has(id) ? undefined : this.#prove(id);
  }

  async #prove(id: string): Promise<void> {
    const { difference, onDifference, isNeedless, current } = this.#parts;
    const found = await difference(id).catch(asUnavailable);
    if (isNeedless()) return;
    current();
    if (found !== undefined) {
      onDifference(found);
      throw new RecorderError(
        'log_unavailable',
        'the database was not what the log says, and is being rebuilt; try again',
      );
    }
    // What this process changes from here on needs no proof.
    if (this.#proved.size < MOST_REMEMBERED) this.#proved.add(id);
  }
}

/** Nothing can be decided from entries that can't be read as they were written. */
function asUnavailable(error: unknown): never {
  if (!(error instanceof RecorderError) || error.code !== 'damaged_log') throw error;
  throw new RecorderError('log_unavailable', error.message, { cause: error });
}
