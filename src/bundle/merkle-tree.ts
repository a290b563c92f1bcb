/**
 * Merkle trees as RFC 6962, section 2.1, defines them, with SHA-256. A leaf is the hash of an entry of the log, as bytes.
 *
 * A path of some 20 hashes proves that a leaf is in a tree of a million, in its place, to whoever knows the root.
 */
import { createHash } from 'node:crypto';

const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);

/** @param data of the leaf */
export const leafHash = (data: Uint8Array): Buffer => createHash('sha256').update(LEAF).update(data).digest();

const nodeHash = (left: Uint8Array, right: Uint8Array): Buffer =>
  createHash('sha256').update(NODE).update(left).update(right).digest();

/** The largest power of two below a number above 1. */
const splitOf = (count: number): number => 2 ** Math.floor(Math.log2(count - 1));

/** The root over nodes of the same height, in their order. The last may stand for fewer leaves than the others. */
export function rootOf(nodes: readonly Uint8Array[]): Uint8Array {
  if (nodes.length === 0) return createHash('sha256').digest();
  if (nodes.length === 1) return nodes[0]!;
  const split = splitOf(nodes.length);
  return nodeHash(rootOf(nodes.slice(0, split)), rootOf(nodes.slice(split)));
}

/** What has to be known besides the node at `index` to compute `rootOf`, from the leaf upwards. */
export function pathOf(index: number, nodes: readonly Uint8Array[]): readonly Uint8Array[] {
  if (nodes.length <= 1) return [];
  const split = splitOf(nodes.length);
  const [left, right] = [nodes.slice(0, split), nodes.slice(split)];
  return index < split ? [...pathOf(index, left), rootOf(right)] : [...pathOf(index - split, right), rootOf(left)];
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
