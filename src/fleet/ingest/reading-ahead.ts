/**
 * Reads the lines of a batch before its transaction, which then holds its connection, and the machine's row, for a shorter
 * time. The keys are those that the machine had before; the transaction looks whether it still has them.
 */
import { type Keys, MOST_LINES, readReceived, type ReceivedLine } from './received-lines.ts';

/** So much is read at once: a few milliseconds. */
const PART_BYTES = 64 * 1024;
const NEWLINE = 0x0a;
/** As many logs as keys are kept of. */
const MOST_LOGS = 20_000;

export interface UnreadBatch {
  readonly machine: string;
  /** The identity of the log. */
  readonly log: string;
  readonly from: number;
  /** The lines, unpacked. */
  readonly body: Buffer;
}

/** The lines of a batch, and with what they were read. */
export interface LinesRead {
  readonly lines: readonly ReceivedLine[];
  /** As it is after these lines. */
  readonly keys: Keys;
  /** The keys as they are stored. */
  readonly sealed: string | null;
  /** Whether the key was lost before these lines. */
  readonly wasLost: boolean;
}

/** What a log may have that was not seen yet. */
const WITHOUT_KEY = { sealed: null, keys: { hashes: [], isLost: false } };

export class ReadingAhead {
  readonly #known = new Map<string, Pick<LinesRead, 'sealed' | 'keys'>>();

  /** @returns undefined for lines that have a fault: the transaction says which */
  async read(batch: UnreadBatch): Promise<LinesRead | undefined> {
    const { sealed, keys: before } = this.#known.get(keyOf(batch)) ?? WITHOUT_KEY;
    const { hashes, isLost: wasLost } = before;
    const keys = { hashes, isLost: wasLost };
    const lines: ReceivedLine[] = [];
    try {
      for (const part of partsOf(batch.body)) {
        const read = readReceived(part, batch.from + lines.length, keys);
        const last = lines.at(-1);
        if (last !== undefined && read[0]?.entry.prev_hash !== last.entry.entry_hash) return undefined;
        lines.push(...read);
        if (lines.length > MOST_LINES) return undefined;
        // Transactions of others go on.
        await new Promise((resolve) => setImmediate(resolve));
      }
    } catch {
      return undefined;
    }
    return { lines, keys, sealed, wasLost };
  }

  /** Notes with what a batch was read. */
  note(batch: UnreadBatch, sealed: string | null, keys: Keys): void {
    const key = keyOf(batch);
    this.#known.delete(key);
    this.#known.set(key, { sealed, keys: { ...keys } });
    const [oldest] = this.#known.keys();
    if (this.#known.size > MOST_LOGS) this.#known.delete(oldest!);
  }
}

/** Cuts lines into parts of about so many bytes. */
function* partsOf(body: Buffer): Generator<Buffer> {
  for (let from = 0; from < body.length;) {
    const newline = body.indexOf(NEWLINE, Math.min(from + PART_BYTES, body.length - 1));
    const end = newline === -1 ? body.length : newline + 1;
    yield body.subarray(from, end);
    from = end;
  }
}

/** No name of a machine has a space. */
const keyOf = ({ machine, log }: UnreadBatch): string => `${machine} ${log}`;
