/**
 * The Merkle tree over the entries of a history, as `bundle/log-tree.ts` has it of a log in files: each entry's place in it.
 *
 * The hashes are read from the database. Of each 1,024 entries, whose subtree is complete, the root is kept: entries never
 * change. So the whole of a history is read for its first bundle at this process, and little for the others.
 */
import type { Turn } from '../../audit/log-reader.ts';
import type { Included, PlacedEntries } from '../../bundle/log-tree.ts';
import { leafHash, MerkleTree } from '../../bundle/merkle-tree.ts';
import { RecorderError } from '../../errors.ts';
import type { ExportedHistory } from './exported-history.ts';

/** How many leaves a tile has: a power of two. */
const TILE = 1024;
/** How many tiles are read in one query: a MiB of the ends of lines. */
const READ_AT_ONCE = 8;
/** How many roots are kept, of all histories: 64 million entries, some 8 MiB. */
const MOST_KEPT = 65_536;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const treeOver = (hashes: readonly string[]): MerkleTree =>
  new MerkleTree(hashes.map((hash) => leafHash(Buffer.from(hash, 'hex'))));

export class HistoryTrees {
  /** The roots of complete tiles by history, the one that was asked for last at the end. */
  readonly #kept = new Map<string, readonly Uint8Array[]>();

  /**
   * Places entries in the tree over all entries of a history.
   * @param seqs of the entries, ascending
   * @param turn awaited again and again
   * @throws RecorderError `damaged_log` when the database does not have the entries that the fleet has taken; `gone` for
   *   an entry before its first
   */
  async place(history: ExportedHistory, seqs: readonly number[], turn: Turn): Promise<PlacedEntries> {
    const key = `${history.machine}\n${history.row.log}`;
    const kept = this.#kept.get(key);
    this.#kept.delete(key);
    const placed = await placeIn(history, seqs, kept ?? [], turn);
    this.#keep(key, placed.tiles);
    return placed;
  }

  #keep(key: string, tiles: readonly Uint8Array[]): void {
    this.#kept.set(key, tiles);
    let count = [...this.#kept.values()].reduce((sum, { length }) => sum + length, 0);
    for (const [one, { length }] of this.#kept) {
      if (count <= MOST_KEPT) return;
      this.#kept.delete(one);
      count -= length;
    }
  }
}

async function placeIn(
  history: ExportedHistory,
  seqs: readonly number[],
  kept: readonly Uint8Array[],
  turn: Turn,
): Promise<PlacedEntries & { readonly tiles: readonly Uint8Array[] }> {
  const { first, head } = history;
  const size = head.seq - first + 1;
  const count = Math.ceil(size / TILE);
  const tileOf = (seq: number): number => Math.floor((seq - first) / TILE);
  const wanted = Map.groupBy(seqs, tileOf);
  const outside = seqs.find((seq) => seq < first || seq > head.seq);
  if (outside !== undefined) throw new RecorderError('gone', `entry ${outside} is not in the log that the fleet has`);
  const roots: Uint8Array[] = [];
  const inner = new Map<number, { readonly hash: string; readonly path: readonly Uint8Array[] }>();
  let last: string | undefined;
  for (let tile = 0; tile < count;) {
    const known = kept[tile];
    if (known !== undefined && !wanted.has(tile) && tile < count - 1) {
      roots.push(known);
      tile += 1;
      continue;
    }
    let end = tile + 1;
    while (end < count && end - tile < READ_AT_ONCE && (kept[end] === undefined || end === count - 1)) end += 1;
    await turn();
    const hashes = await history.hashes(first + tile * TILE, Math.min(head.seq, first + end * TILE - 1));
    for (let at = 0; tile < end; tile += 1, at += TILE) {
      const leaves = hashes.slice(at, at + TILE);
      const tree = treeOver(leaves);
      roots.push(tree.root);
      for (const seq of wanted.get(tile) ?? []) {
        const index = (seq - first) % TILE;
        inner.set(seq, { hash: leaves[index]!, path: tree.pathOf(index) });
      }
      await turn();
    }
    last = hashes.at(-1);
  }
  const top = new MerkleTree(roots);
  const root = hex(top.root);
  if (last !== head.entry_hash || (history.root !== undefined && history.root !== root)) {
    throw new RecorderError(
      'damaged_log',
      `the entries of ${history.machine} in the database do not lead to entry ${head.seq} as the fleet has taken it`,
    );
  }
  const entries: Included[] = seqs.map((seq) => {
    const { hash, path } = inner.get(seq)!;
    return { seq, entry_hash: hash, path: [...path, ...top.pathOf(tileOf(seq))].map(hex) };
  });
  return { tree: { first, size, root }, entries, tiles: roots.slice(0, Math.floor(size / TILE)) };
}
