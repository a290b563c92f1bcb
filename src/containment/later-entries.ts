import type { EntryLine } from '../audit/entry-line.ts';
import { LogCursor } from '../audit/log-cursor.ts';
import type { ReadableLog } from '../audit/log.ts';
import { RecorderError } from '../errors.ts';

/** How many pages of the log one search reads; the next goes on there. */
const MOST_PAGES = 64;
/** How many entries are remembered as taken before their turn. With more, the oldest is sent again. */
const MOST_AHEAD = 1000;

/** The entries behind the one that a webhook does not take. They show whether its receiver is up. */
export class LaterEntries {
  readonly #log: ReadableLog;
  readonly #isWanted: (line: EntryLine) => boolean;
  readonly #ahead = new Set<number>();
  /** Behind which entry the next search begins. */
  #lookedAt = 0;

  constructor(log: ReadableLog, isWanted: (line: EntryLine) => boolean) {
    this.#log = log;
    this.#isWanted = isWanted;
  }

  /**
   * The next of the entries behind `head` that the webhook wants and has not taken; after the last of them, the first
   * again. Undefined when there is none.
   */
  async next(head: number): Promise<EntryLine | undefined> {
    const cursor = new LogCursor(this.#log, Math.max(head, this.#lookedAt));
    for (let pages = 0; pages < MOST_PAGES; pages++) {
      const page = await cursor.next();
      const found = page.find((line) => !this.#ahead.has(line.seq) && this.#isWanted(line));
      this.#lookedAt = found?.seq ?? cursor.position;
      if (found !== undefined) return found;
      if (page.length > 0) continue;
      this.#lookedAt = 0;
      break;
    }
    return undefined;
  }

  /** Remembers that an entry was taken before its turn. */
  took(seq: number): void {
    for (const oldest of this.#ahead) {
      if (this.#ahead.size < MOST_AHEAD) break;
      this.#ahead.delete(oldest);
    }
    this.#ahead.add(seq);
  }

  /** Whether an entry, whose turn it is, was taken before. */
  passes(seq: number): boolean {
    return this.#ahead.delete(seq);
  }
}

/** The line of an entry; undefined when it is not in the log any more. */
export async function lineOf(log: ReadableLog, seq: number): Promise<EntryLine | undefined> {
  try {
    return (await new LogCursor(log, seq - 1).next())[0];
  } catch (error) {
    if (error instanceof RecorderError && error.code === 'gone') return undefined;
    throw error;
  }
}
