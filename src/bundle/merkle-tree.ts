/**
 * Merkle trees as RFC 6962, section 2.1, defines them, with SHA-256. A leaf is the hash of an entry of the log, as bytes.
 *
 * A path of some 20 hashes proves that a leaf is in a tree of a million, in its place, to whoever knows the root.
 */
import { emptyRoot, nodeHash } from '../audit/merkle-hash.ts';

export { leafHash } from '../audit/merkle-hash.ts';

/** A tree over nodes of the same height, in their order. The last may stand for fewer leaves than the others. */
export class MerkleTree {
  /** From the nodes upwards. A node without a sibling is in the next level as it is. */
  readonly #levels: readonly (readonly Uint8Array[])[];

  constructor(nodes: readonly Uint8Array[]) {
    const levels = [nodes];
    for (let level = nodes; level.length > 1; levels.push(level)) {
      const pairs: Uint8Array[] = [];
      for (let at = 0; at < level.length; at += 2)
        pairs.push(at + 1 < level.length ? nodeHash(level[at]!, level[at + 1]!) : level[at]!);
      level = pairs;
    }
    this.#levels = levels;
  }

  get root(): Uint8Array {
    return this.#levels.at(-1)![0] ?? emptyRoot();
  }

  /** What has to be known besides the node at `index` to compute `root`, from the node upwards. */
  pathOf(index: number): readonly Uint8Array[] {
    const path: Uint8Array[] = [];
    let at = index;
    for (const level of this.#levels) {
      const sibling = level[at % 2 === 0 ? at + 1 : at - 1];
      if (sibling !== undefined) path.push(sibling);
      at = Math.floor(at / 2);
    }
    return path;
  }
}

/**
 * The root that a path leads to.
 * @param leaf the leaf's hash
 * @param index of the leaf, from 0
 * @param size how many leaves the tree has
 * @returns undefined when the path has not the length that it must have
 */
export function rootFrom(
  leaf: Uint8Array,
  index: number,
  size: number,
  path: readonly Uint8Array[],
): Uint8Array | undefined {
  if (index >= size || index < 0) return undefined;
  let [at, last] = [index, size - 1];
  let root = leaf;
  for (const sibling of path) {
    if (last === 0) return undefined;
    if (at % 2 === 1 || at === last) {
      root = nodeHash(sibling, root);
      while (at % 2 === 0 && at !== 0) [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
    } else {
      root = nodeHash(root, sibling);
    }
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 ? root : undefined;
}

/**
 * The root of the tree that ends with a leaf, by the leaf's path in a tree that goes on: what is on the left in the path
 * is all of the smaller tree (RFC 6962, section 2.1.2).
 * @param index of the leaf, from 0
 * @param size how many leaves the tree has that goes on
 */
export function rootUpTo(leaf: Uint8Array, index: number, size: number, path: readonly Uint8Array[]): Uint8Array {
  let [at, last] = [index, size - 1];
  let root = leaf;
  for (const sibling of path) {
    if (at % 2 === 1 || at === last) {
      root = nodeHash(sibling, root);
      while (at % 2 === 0 && at !== 0) [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
    }
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return root;
}
