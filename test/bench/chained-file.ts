import { closeSync, openSync, renameSync, writeFileSync } from 'node:fs';
import type { ChainHash } from '../../src/audit/chain-hash.ts';
import { writeCheckpoint } from '../../src/audit/checkpoint.ts';
import { chainEntry, EMPTY_HEAD, type Head } from '../../src/audit/entry.ts';
import { sealedPath } from '../../src/audit/segments.ts';
import type { Draft } from '../../src/domain/entries.ts';

const WRITE_BYTES = 1024 * 1024;

/** An audit log that is written in one go, in segments like the service's, with nothing synced before its end. */
export class ChainedFile {
  readonly #path: string;
  readonly #hash: ChainHash;
  readonly #segmentBytes: number;
  #file: number;
  #head: Head = EMPTY_HEAD;
  /** `seq` of the first entry in the present segment. */
  #first = 1;
  #unwritten = '';
  #segment = 0;
  #bytes = 0;

  /**
   * Creates the file. Throws when there is one already.
   * @param segmentBytes the size at which a segment is sealed, give or take a megabyte
   */
  constructor(path: string, hash: ChainHash, segmentBytes: number) {
    this.#path = path;
    this.#hash = hash;
    this.#segmentBytes = segmentBytes;
    this.#file = createFile(path);
  }

  append(draft: Draft): void {
    if (this.#segment >= this.#segmentBytes) this.#seal();
    const { entry, line } = chainEntry(draft, this.#head, this.#hash);
    this.#head = { entries: entry.data.seq, hash: entry.entry_hash };
    this.#unwritten += line;
    if (this.#unwritten.length >= WRITE_BYTES) this.#write();
  }

  /** Writes what is left, and the checkpoint. `bytes` is the size of all segments. */
  async close(): Promise<Head & { readonly bytes: number }> {
    this.#write();
    closeSync(this.#file);
    await writeCheckpoint(this.#path, this.#head, this.#hash);
    return { ...this.#head, bytes: this.#bytes };
  }

  #write(): void {
    const bytes = Buffer.from(this.#unwritten);
    writeFileSync(this.#file, bytes);
    this.#segment += bytes.length;
    this.#bytes += bytes.length;
    this.#unwritten = '';
  }

  #seal(): void {
    this.#write();
    closeSync(this.#file);
    renameSync(this.#path, sealedPath(this.#path, this.#first));
    this.#file = createFile(this.#path);
    this.#first = this.#head.entries + 1;
    this.#segment = 0;
  }
}

const createFile = (path: string): number => openSync(path, 'wx', 0o640);
