/**
 * The root of a Merkle tree that grows (RFC 6962, section 2.1), without its leaves.
 *
 * Kept are the roots of the complete subtrees, one for each binary digit 1 of the size, the largest first: at most 53.
 */
import { emptyRoot, leafHash, nodeHash } from './merkle-hash.ts';

/** A range as JSON: how many leaves there are, and the roots in lower-case hex, the largest subtree first. */
export interface WrittenRange {
  readonly size: number;
  readonly hashes: readonly string[];
}

const HASH = /^[0-9a-f]{64}$/;

export class CompactRange {
  #size: number;
  readonly #hashes: Buffer[];

  private constructor(size: number, hashes: Buffer[]) {
    this.#size = size;
    this.#hashes = hashes;
  }

  /** The range without leaves. */
  static empty(): CompactRange {
    return new CompactRange(0, []);
  }

  /** The range that `toJSON` has written; undefined for anything else. */
  static read({ size, hashes }: WrittenRange): CompactRange | undefined {
    const fits = Number.isSafeInteger(size) && size >= 0 && Array.isArray(hashes) && hashes.length === onesIn(size);
    if (!fits || !hashes.every((hash) => typeof hash === 'string' && HASH.test(hash))) return undefined;
    return new CompactRange(
      size,
      hashes.map((hash) => Buffer.from(hash, 'hex')),
    );
  }

  /** How many leaves there are. */
  get size(): number {
    return this.#size;
  }

  /** @param data of the next leaf: for an entry of the log, the 32 bytes of its hash */
  append(data: Uint8Array): void {
    let hash = leafHash(data);
    for (let size = this.#size; size % 2 === 1; size = Math.floor(size / 2)) hash = nodeHash(this.#hashes.pop()!, hash);
    this.#hashes.push(hash);
    this.#size += 1;
  }

  root(): Buffer {
    const [last, ...others] = this.#hashes.toReversed();
    return last === undefined ? emptyRoot() : others.reduce((root, left) => nodeHash(left, root), last);
  }

  toJSON(): WrittenRange {
    return { size: this.#size, hashes: this.#hashes.map((hash) => hash.toString('hex')) };
  }
}

/** How many binary digits of a whole number are 1. */
function onesIn(size: number): number {
  let ones = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) ones += rest % 2;
  return ones;
}
