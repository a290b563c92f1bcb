import { closeSync, openSync, writeFileSync } from 'node:fs';
import type { ChainHash } from '../../src/audit/chain-hash.ts';
import { writeCheckpoint } from '../../src/audit/checkpoint.ts';
import { chainEntry, type Draft, EMPTY_HEAD, type Head } from '../../src/audit/entry.ts';

const WRITE_BYTES = 1024 * 1024;

/** An audit log that is written in one go, with nothing synced before its end. */
export class ChainedFile {
  readonly #path: string;
  readonly #hash: ChainHash;
  readonly #file: number;
  #head: Head = EMPTY_HEAD;
  #unwritten = '';
  #bytes = 0;

  /** Creates the file. Throws when there is one already. */
  constructor(path: string, hash: ChainHash) {
    this.#path = path;
    this.#hash = hash;
    this.#file = openSync(path, 'wx', 0o640);
  }

  append(draft: Draft): void {
    const { entry, line } = chainEntry(draft, this.#head, this.#hash);
    this.#head = { entries: entry.data.seq, hash: entry.entry_hash };
    this.#unwritten += line;
    if (this.#unwritten.length >= WRITE_BYTES) this.#write();
  }

  /** Writes what is left, and the checkpoint. */
  async close(): Promise<Head & { readonly bytes: number }> {
    this.#write();
    closeSync(this.#file);
    await writeCheckpoint(this.#path, this.#head, this.#hash);
    return { ...this.#head, bytes: this.#bytes };
  }

  #write(): void {
    const bytes = Buffer.from(this.#unwritten);
    writeFileSync(this.#file, bytes);
    this.#bytes += bytes.length;
    this.#unwritten = '';
  }
}
