/**
 * The Merkle tree over the entries of the log that are on this machine, up to one of them.
 *
 * The hashes are read from the files of the log. Of each 1,024 entries, whose subtree is complete, the root is kept in
 * memory, and where they begin: 1 MiB of that stands for 10 million entries. So the whole log is read for the first
 * bundle, and only its end for the others.
 */
import type { FileHandle } from '../async-files.ts';
import { hashesIn } from '../audit/entry-line.ts';
import { readLines } from '../audit/lines.ts';
import { notAsWritten, openLogFile, type Turn } from '../audit/log-reader.ts';
import type { ReadableLog } from '../audit/log.ts';
import { RecorderError } from '../errors.ts';
import { leafHash, MerkleTree } from './merkle-tree.ts';

/** How many leaves a tile has: a power of two. */
const TILE = 1024;

/** A complete subtree of `TILE` entries. */
interface Tile {
  readonly root: Uint8Array;
  /** The hash of its last entry, lower-case hex. */
  readonly lastHash: string;
  /** Where its first entry is: the number of the first entry of the file, and the offset in it, in bytes. */
  readonly begin: Place;
}

interface Place {
  readonly file: number;
  readonly offset: number;
}

/** An entry in the tree. */
export interface Included {
  readonly seq: number;
  /** Lower-case hex. */
  readonly entry_hash: string;
  readonly path: readonly string[];
}

export interface TreeHead {
  /** The entries from `first` on, `size` of them. */
  readonly first: number;
  readonly size: number;
  /** Lower-case hex. */
  readonly root: string;
}

export interface PlacedEntries {
  readonly tree: TreeHead;
  readonly entries: readonly Included[];
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export class LogTree {
  readonly #log: ReadableLog;
  #first = 0;
  #tiles: Tile[] = [];
  /** Where the entry behind the tiles begins. */
  #end: Place = { file: 0, offset: 0 };
  /** The last one that was asked for: they are made one after the other, since all of them read and extend the tiles. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(log: ReadableLog) {
    this.#log = log;
  }

  /**
   * Places entries in the tree that ends with entry `last`. Concurrent calls wait for each other.
   * @param seqs of the entries, ascending
   * @param head hash of entry `last`, lower-case hex
   * @param turn awaited again and again
   * @throws RecorderError `damaged_log` when the hashes do not lead to `head`, `gone` when an entry is not in the log any
   *   more, `overloaded` when a file can't be read
   */
  place(seqs: readonly number[], last: number, head: string, turn: Turn): Promise<PlacedEntries> {
    const placed = this.#turn.then(() => this.#place(seqs, last, head, turn));
    this.#turn = placed.catch(() => {});
    return placed;
  }

  async #place(seqs: readonly number[], last: number, head: string, turn: Turn): Promise<PlacedEntries> {
    const rest = await this.#readUpTo(last, turn);
    if ((rest.at(-1)?.hash ?? this.#tiles.at(-1)?.lastHash) !== head) {
      throw new RecorderError(
        'damaged_log',
        `the lines of the audit log do not lead to entry ${last} as it was written`,
      );
    }
    const first = this.#first;
    const restTree = treeOver(rest);
    const top = new MerkleTree([...this.#tiles.map(({ root }) => root), ...(rest.length === 0 ? [] : [restTree.root])]);
    const entries: Included[] = [];
    let known: { readonly tile: number; readonly leaves: readonly Leaf[]; readonly tree: MerkleTree } | undefined;
    for (const seq of seqs) {
      if (seq < first || seq > last) throw await notAsWritten(this.#log, seq);
      const tile = Math.floor((seq - first) / TILE);
      if (known?.tile !== tile) {
        await turn();
        const leaves = tile < this.#tiles.length ? await this.#read(tile, turn) : rest;
        known = { tile, leaves, tree: leaves === rest ? restTree : treeOver(leaves) };
      }
      const at = (seq - first) % TILE;
      const path = [...known.tree.pathOf(at), ...top.pathOf(tile)];
      entries.push({ seq, entry_hash: known.leaves[at]!.hash, path: path.map(hex) });
    }
    return { tree: { first, size: last - first + 1, root: hex(top.root) }, entries };
  }

  /** Completes the tiles as far as `last`. @returns the leaves behind them, up to `last` */
  async #readUpTo(last: number, turn: Turn): Promise<readonly Leaf[]> {
    const first = [...this.#log.sealed, this.#log.fileOf(Infinity)][0]!.first;
    if (first !== this.#first) {
      this.#first = first;
      this.#tiles = [];
      this.#end = { file: first, offset: 0 };
    }
    // Another bundle may have extended the tiles beyond the head of this one.
    while (this.#tiles.length * TILE > last - first + 1) this.#end = this.#tiles.pop()!.begin;
    let leaves: Leaf[] = [];
    let begin = this.#end;
    for await (const { leaf, next } of this.#leaves(this.#end, last, turn)) {
      leaves.push(leaf);
      if (leaves.length < TILE) continue;
      this.#tiles.push({ root: treeOver(leaves).root, lastHash: leaf.hash, begin });
      this.#end = begin = next;
      leaves = [];
    }
    const reached = first + this.#tiles.length * TILE + leaves.length - 1;
    if (reached !== last) throw await notAsWritten(this.#log, reached + 1);
    return leaves;
  }

  async #read(tile: number, turn: Turn): Promise<readonly Leaf[]> {
    const { begin, root } = this.#tiles[tile]!;
    const leaves: Leaf[] = [];
    const from = this.#first + tile * TILE;
    for await (const { leaf } of this.#leaves(begin, from + TILE - 1, turn, from)) leaves.push(leaf);
    if (hex(treeOver(leaves).root) === hex(root)) return leaves;
    throw await notAsWritten(this.#log, from);
  }

  /** The leaves of the entries from a place on, up to entry `last`, and where the entry after each begins. */
  async *#leaves(
    begin: Place,
    last: number,
    turn: Turn,
    from = this.#first + this.#tiles.length * TILE,
  ): AsyncGenerator<{ readonly leaf: Leaf; readonly next: Place }, void> {
    let seq = from;
    let before = this.#tiles[Math.floor((from - this.#first) / TILE) - 1]?.lastHash;
    for (let place = begin; seq <= last; place = { file: seq, offset: 0 }) {
      const holder = this.#log.fileOf(seq);
      const file = holder.first === place.file ? await openLogFile(holder.path) : undefined;
      if (file === undefined) return;
      try {
        const began = seq;
        for await (const lines of readLines(file, place.offset, await sizeOf(file))) {
          await turn();
          for (const { bytes, offset, whole } of lines) {
            const { prev, hash } = (whole ? hashesIn(bytes) : undefined) ?? {};
            if (hash === undefined || (before !== undefined && prev !== before)) return;
            before = hash;
            yield {
              leaf: { hash, leaf: leafHash(Buffer.from(hash, 'hex')) },
              next: { file: holder.first, offset: offset + bytes.length + 1 },
            };
            seq += 1;
            if (seq > last) return;
          }
        }
        if (seq === began) return;
      } finally {
        await file.close();
      }
    }
  }
}

interface Leaf {
  /** Of the entry, lower-case hex. */
  readonly hash: string;
  readonly leaf: Buffer;
}

const treeOver = (leaves: readonly Leaf[]): MerkleTree => new MerkleTree(leaves.map(({ leaf }) => leaf));

const sizeOf = async (file: FileHandle): Promise<number> => (await file.stat()).size;
