/**
 * A Merkle tree of RFC 6962 that grows at its end, of which only the roots of its largest whole subtrees are kept: at most
 * 64 hashes for any number of leaves. A leaf is the hash of an entry, as bytes.
 */
import { createHash, hash } from 'node:crypto';

const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);
const HASH_BYTES = 32;

/** A compact range as it is stored: how many leaves, and the hashes in hex, those of the largest subtrees first. */
export interface StoredRange {
  readonly size: number;
  readonly hashes: readonly string[];
}

export class CompactRange {
  #size: number;
  readonly #hashes: Buffer[];

  private constructor(size: number, hashes: Buffer[]) {
    this.#size = size;
    this.#hashes = hashes;
  }

  static empty(): CompactRange {
    return new CompactRange(0, []);
  }

  /** @throws RangeError when it is not what `toJSON` gives */
  static from({ size, hashes }: StoredRange): CompactRange {
    const bytes = hashes.map((text) => Buffer.from(text, 'hex'));
    if (!Number.isSafeInteger(size) || size < 0 || bytes.length !== ones(size)) throw new RangeError('not a range');
    if (bytes.some(({ length }) => length !== HASH_BYTES)) throw new RangeError('not a hash');
    return new CompactRange(size, bytes);
  }

  /** How many leaves there are. */
  get size(): number {
    return this.#size;
  }

  /** Adds the hash of the next entry: 32 bytes. */
  append(leaf: Uint8Array): void {
    let node = digest(LEAF, leaf);
    // Each one at the end of the number is a subtree as large as the new one.
    for (let size = this.#size; size % 2 === 1; size = Math.floor(size / 2))
      node = digest(NODE, this.#hashes.pop()!, node);
    this.#hashes.push(node);
    this.#size += 1;
  }

  /** The root of the tree: 32 bytes. */
  root(): Buffer {
    if (this.#hashes.length === 0) return createHash('sha256').digest();
    return this.#hashes.reduceRight((right, left) => digest(NODE, left, right));
  }

  toJSON(): StoredRange {
    return { size: this.#size, hashes: this.#hashes.map((node) => node.toString('hex')) };
  }
}

const digest = (...parts: readonly Uint8Array[]): Buffer => hash('sha256', Buffer.concat(parts), 'buffer');

/** How many bits of a number are 1. */
function ones(size: number): number {
  let count = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2;
  return count;
}
