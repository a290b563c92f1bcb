/** Verifies a log offline: its chain from the first entry, its checkpoint, and optionally an anchor. */
import { basename, dirname } from 'node:path';
import { archivedPath } from './archived-path.ts';
import type { ChainHash } from './chain-hash.ts';
import { CheckpointComparison, readCheckpoint } from './checkpoint.ts';
import type { Head } from './entry.ts';
import { RecorderError } from '../errors.ts';
import type { StoredEntry } from '../domain/entries.ts';
import { faultOfContinuation, isContinued } from './continuation.ts';
import { findSealed } from './segments.ts';
import type { AnchorsVerified, AnchorVerification } from './verify-anchors.ts';
import { type Damage, describeMissing, type LogFile, type MissingEntries, verifyChain } from './verify-chain.ts';

export interface Verification {
  /** `seq` of the last valid entry. */
  readonly entries: number;
  /** `timestamp` of the first and the last valid entry. */
  readonly first?: string;
  readonly last?: string;
  /** `entry_hash` of the last valid entry. */
  readonly hash: string;
  /** How many files and bytes were read. */
  readonly files: number;
  readonly bytes: number;
  /** How many entries the checkpoint counts; undefined without a checkpoint. */
  readonly checkpoint?: number;
  readonly damage?: Damage;
  /** How the anchors agree with it, where they were asked for. */
  readonly anchors?: AnchorsVerified;
  /** Entries that were lost while the recorder wrote the log, as the log itself says; a copy may still hold them. */
  readonly missing: readonly MissingRange[];
}

/** A range of missing entries, and the name of the file before which they are missing. */
export interface MissingRange {
  readonly file: string;
  readonly first_seq: number;
  readonly last_seq: number;
  readonly reason: string;
}

export interface VerifyOptions {
  /** The path of the log in the directory of its checkpoint; by default that of the last file. */
  readonly beside?: string;
  /** A head of this log that was noted elsewhere. A log rolled back together with its checkpoint no longer holds it. */
  readonly anchor?: Head;
  /** The anchors that it must agree with: those that are recorded, and others. */
  readonly anchors?: AnchorVerification;
  /** What chains the files from before the key was replaced: one for each old key, the oldest first. */
  readonly older?: readonly ChainHash[];
  /** Read only so many bytes of the last file. */
  readonly to?: number;
  /** Called with the number of bytes of valid entries read so far. */
  readonly onProgress?: (bytes: number) => void;
}

/** The files of the log at `path`, oldest first. */
export const filesOf = async (path: string): Promise<readonly string[]> => [
  ...(await findSealed(path)).map((segment) => segment.path),
  path,
];

/** Verifies the log at `path` with its sealed segments. */
export const verifyLog = async (path: string, hash: ChainHash, options?: VerifyOptions): Promise<Verification> =>
  verifyFiles(await filesOf(path), hash, options);

/**
 * Verifies the files of a log. Reads them as a stream, so their size does not matter.
 * @param files oldest first; the checkpoint is the one next to the last, unless `beside` names another place
 * @throws whatever reading the files throws; damage is part of the result
 */
export async function verifyFiles(
  files: readonly string[],
  hash: ChainHash,
  { beside, anchor, anchors, older = [], to, onProgress = () => {} }: VerifyOptions = {},
): Promise<Verification> {
  const active = files.at(-1) ?? '';
  const checkpoint = readCheckpoint(beside ?? active, hash);
  const comparison = new CheckpointComparison(checkpoint);
  let first: string | undefined;
  let last: string | undefined;
  let bytes = 0;
  let anchored: string | undefined;
  const keys = new KeysInTurn(older, hash);
  let discontinued: Damage | undefined;
  const chained = (await keys.filesWith(files)).map((file) =>
    file.path === active && to !== undefined ? { ...file, to } : file,
  );
  const prefix = await verifyChain(chained, hash, (entries) => {
    comparison.take(entries);
    anchors?.take(entries);
    discontinued ??= keys.look(entries);
    first ??= entries[0]?.timestamp;
    last = entries.at(-1)?.timestamp;
    anchored ??= entries.find(({ data }) => data.seq === anchor?.entries)?.entry_hash;
    for (const { length } of entries) bytes += length;
    onProgress(bytes);
  });
  const unaccounted = prefix.missing.find(({ lost }) => !lost);
  const head = unaccounted?.after ?? prefix.head;
  const { end } = prefix;
  const place = {
    file: basename(active),
    line: head.entries - prefix.first + 2,
    offset: end,
    finding: 'log_cut',
  } as const;
  const damage =
    prefix.damage ??
    discontinued ??
    (unaccounted && damageFrom(unaccounted)) ??
    comparison.damageIn(basename(active), prefix) ??
    (anchor === undefined || anchored === anchor.hash
      ? undefined
      : { ...place, reason: anchored === undefined ? anchorMissing(anchor, head) : anchorDiffers(anchor) }) ??
    anchorDamage(anchors?.faultAt(head), place);
  return {
    entries: head.entries,
    hash: head.hash,
    files: files.length,
    bytes,
    missing: prefix.missing.filter(({ lost }) => lost).map(rangeOf),
    ...(anchors === undefined ? {} : { anchors: anchors.result }),
    ...(first === undefined || last === undefined ? {} : { first, last }),
    ...(checkpoint.head === undefined ? {} : { checkpoint: checkpoint.head.entries }),
    ...(damage === undefined ? {} : { damage }),
  };
}

/** Which hash chains each file: a file that begins with `log.continued` has the next key. */
class KeysInTurn {
  readonly #hashes: readonly ChainHash[];
  /** For each `log.continued` in turn whose old log is among the files: its file, and the place of its hash. */
  readonly #turns: { readonly file: string; readonly key: number }[] = [];
  #head: Head | undefined;

  constructor(older: readonly ChainHash[], hash: ChainHash) {
    this.#hashes = [...older, hash];
  }

  /** @throws RecorderError `config` when there are more keys in the files than were given, or fewer */
  async filesWith(files: readonly string[]): Promise<readonly LogFile[]> {
    if (this.#hashes.length === 1) return files.map((path) => ({ path }));
    const begins: boolean[] = [];
    for (const [at, path] of files.entries()) begins.push(at > 0 && (await isContinued(path)));
    let key = this.#hashes.length - 1 - begins.filter(Boolean).length;
    if (key < 0) {
      throw new RecorderError(
        'config',
        `the key was replaced ${begins.filter(Boolean).length} times: name each old key`,
      );
    }
    if (key > 0) {
      const archive = dirname(archivedPath(files.at(-1) ?? ''));
      throw new RecorderError(
        'config',
        `no file of the log is under ${key} of the old keys: put what was archived then into ${archive}, or leave --old-key out`,
      );
    }
    return files.map((path, at) => {
      if (begins[at]) this.#turns.push({ file: basename(path), key: ++key });
      return { path, hash: this.#hashes[key] };
    });
  }

  /** Checks a `log.continued` entry among the next ones. */
  look(entries: readonly StoredEntry[]): Damage | undefined {
    let damage: Damage | undefined;
    for (const entry of entries) {
      const before = this.#head;
      this.#head = { entries: entry.data.seq, hash: entry.entry_hash };
      if (entry.event !== 'log.continued' || before === undefined) continue;
      const turn = this.#turns.shift();
      if (turn === undefined) continue;
      const [oldHash, newHash] = [this.#hashes[turn.key - 1]!, this.#hashes[turn.key]!];
      const reason = faultOfContinuation(entry.data, before, { oldHash, newHash });
      if (reason !== undefined) damage ??= { file: turn.file, line: 1, offset: 0, reason, finding: 'entry_altered' };
    }
    return damage;
  }
}

const damageFrom = (missing: MissingEntries): Damage => ({
  file: missing.file,
  line: 1,
  offset: 0,
  reason: describeMissing(missing),
  finding: 'entries_missing',
});

const rangeOf = (missing: MissingEntries): MissingRange => ({
  file: missing.file,
  first_seq: missing.after.entries + 1,
  last_seq: missing.before.entries,
  reason: describeMissing(missing),
});

const anchorDamage = (reason: string | undefined, place: Omit<Damage, 'reason'>): Damage | undefined =>
  reason === undefined ? undefined : { ...place, reason, finding: 'anchor_mismatch' };

const anchorMissing = (anchor: Head, head: Head): string =>
  anchor.entries > head.entries
    ? `the log ends after entry ${head.entries}, the anchor is entry ${anchor.entries}: the log was rolled back`
    : `the anchor, entry ${anchor.entries}, is not in these files`;

const anchorDiffers = (anchor: Head): string => `entry ${anchor.entries} is another than the anchor's`;
