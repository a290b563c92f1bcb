/**
 * Replaces the audit key of a log whose service is stopped.
 *
 * The new file begins with `log.continued`. Behind it each unresolved incident is carried over, with its full state, and
 * each old file is accounted for by a `log.archived` entry: it is what would be left of the log if all its files had been
 * archived at once. It is put together beside the log and read back before anything changes. Then a note is written, and
 * the files change places. From then on a run with the same keys goes on where the last one ended.
 */
import { chownSync, existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { snapshotOf } from '../../machines/decision.ts';
import { ACTIONS } from '../../machines/vocabulary.ts';
import {
  archivedIn,
  type ArchivedEntryData,
  describeSegment,
  moveToArchive,
  requireArchive,
} from '../audit/archive.ts';
import { archivedPath } from '../audit/archived-path.ts';
import { summarizeArchive } from '../audit/archived-ranges.ts';
import type { ChainHash } from '../audit/chain-hash.ts';
import { ClockWatch } from '../audit/clock-watch.ts';
import { checkpointPath, writeCheckpoint } from '../audit/checkpoint.ts';
import {
  continuedData,
  continuedPath,
  readRotation,
  type Rotation,
  rotationPath,
  rotationText,
} from '../audit/continuation.ts';
import { unmarkDamage } from '../audit/damage-marker.ts';
import { chainEntry, type Head, parseGenuine } from '../audit/entry.ts';
import { identityPath, readIdentity, writeIdentity } from '../audit/identity.ts';
import { refuseNewer } from '../audit/log-format.ts';
import type { LinePlace } from '../audit/log-reader.ts';
import { findSealed, sealedPath, type SealedSegment } from '../audit/segments.ts';
import { posturePath } from '../audit/signed-posture.ts';
import { verifyChain } from '../audit/verify-chain.ts';
import { verifyLog } from '../audit/verify.ts';
import { type Clock, timestamp } from '../clock.ts';
import type { ArchivedData, Draft, Entry, StoredEntry } from '../domain/entries.ts';
import { carry } from '../domain/whole-incident.ts';
import { replaceFile, syncDirectoryOf, writeAll } from '../durable-file.ts';
import { RecorderError } from '../errors.ts';
import { databasePath } from '../projections/database.ts';
import { Projections } from '../projections/projections.ts';

/** How much is written, and applied, at a time, in bytes. */
const PIECE = 1024 * 1024;
const COMPACT_AT = 64 * 1024 * 1024;

export interface KeyRotationOptions {
  readonly path: string;
  /** The path of the log in the directory of its checkpoint. */
  readonly beside: string;
  readonly oldHash: ChainHash;
  readonly newHash: ChainHash;
  readonly clock: Clock;
  /** Who replaces the key, and why. */
  readonly by?: string;
  readonly note?: string;
}

export interface KeyRotationOutcome {
  /** The last entry under the old key, and the first under the new one. */
  readonly old_last_seq: number;
  readonly first_seq: number;
  /** How many unresolved incidents were carried over. */
  readonly carried: number;
  /** Where the files of the old log are now. */
  readonly archived: readonly string[];
}

/**
 * Replaces the key, or goes on with that.
 * @throws RecorderError `locked` while the service runs; `damaged_log` when the log does not verify under the old key;
 *   `config` when a newer version has written it; `log_unavailable` when files can't be moved, or something has to be done
 *   first. Until the note is written nothing has changed then; after that another run goes on
 */
export async function rotateKey(options: KeyRotationOptions): Promise<KeyRotationOutcome> {
  const { beside } = options;
  // Its lock keeps the service off the log.
  const lock = new Projections(databasePath(beside));
  try {
    const begun = readRotation(beside);
    return await changePlaces(options, begun ?? (await prepare(options)));
  } finally {
    lock.close();
  }
}

/** Puts the new file together, and writes the note. */
async function prepare(options: KeyRotationOptions): Promise<Rotation> {
  const { path, beside, oldHash } = options;
  if (!existsSync(path)) throw new RecorderError('damaged_log', `${path} is not there`);
  const verified = await verifyLog(path, oldHash, { beside });
  if (verified.damage !== undefined) {
    const { file, line, reason, newer } = verified.damage;
    if (newer) throw await refuseNewer(await oldFiles(path), oldHash, verified.damage);
    throw new RecorderError(
      'damaged_log',
      `the log does not verify under the old key (${file}, line ${line}: ${reason}); start the service once with that key`,
    );
  }
  if (verified.missing.length > 0) throw new RecorderError('damaged_log', 'entries of the log are missing');
  if (verified.checkpoint === undefined) throw new RecorderError('damaged_log', 'the log has no checkpoint');
  await requireArchive({ path, first: 0 });
  const database = databasePath(rotationPath(beside));
  const removeDatabase = (): void => {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${database}${suffix}`, { force: true });
  };
  removeDatabase();
  const projections = new Projections(database);
  try {
    const files = await oldFiles(path);
    let first: Entry | undefined;
    let last: Entry | undefined;
    const replay = await verifyChain(files, oldHash, async (entries) => {
      first ??= entries[0];
      last = entries.at(-1) ?? last;
      apply(projections, entries);
      await projections.compact(COMPACT_AT);
    });
    const logId = first?.data.seq === 1 ? first.entry_hash : readIdentity(beside, oldHash)?.id;
    if (logId === undefined)
      throw new RecorderError('damaged_log', `${identityPath(beside)} does not say which log it is`);
    projections.caughtUp();
    const range = { first: 1, last: replay.head.entries };
    const obstacle = projections.current().immovable(range);
    if (obstacle !== undefined) {
      throw new RecorderError('log_unavailable', `${obstacle}: start the service until that is done`);
    }
    const head = await writeContinued(options, { projections, files, head: replay.head, last, logId });
    await requireReplay(options, head, projections);
    const rotation: Rotation = {
      logId,
      lastSeq: replay.head.entries,
      first: files.at(-1)!.first,
      head,
    };
    await replaceFile(rotationPath(beside), rotationText(rotation));
    ownLike(path, rotationPath(beside));
    return rotation;
  } finally {
    projections.close();
    removeDatabase();
  }
}

function apply(projections: Projections, entries: readonly StoredEntry[]): void {
  projections.catchUp(entries);
  const { fault } = projections;
  if (fault !== undefined) throw fault;
}

/** The files of the log, oldest first. */
async function oldFiles(path: string): Promise<readonly SealedSegment[]> {
  const sealed = await findSealed(path);
  return [...sealed, { path, first: await firstSeqIn(path) }];
}

async function firstSeqIn(path: string): Promise<number> {
  const file = await open(path, 'r');
  try {
    const bytes = Buffer.alloc(256);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    const [, seq] = /"data":\{"seq":(\d+)/.exec(bytes.toString('latin1', 0, bytesRead)) ?? [];
    if (seq === undefined) throw new RecorderError('log_unavailable', `${path} is empty: start the service once`);
    return Number(seq);
  } finally {
    await file.close();
  }
}

interface OldLog {
  readonly projections: Projections;
  readonly files: readonly SealedSegment[];
  readonly head: Head;
  /** The entry at its end. */
  readonly last: Entry | undefined;
  readonly logId: string;
}

/** Writes the file in which the log goes on, and applies it to the projections. @returns its end */
async function writeContinued(options: KeyRotationOptions, old: OldLog): Promise<Head> {
  const { path, oldHash, newHash, clock, by, note } = options;
  const { projections, files, last, logId } = old;
  const staged = continuedPath(path);
  rmSync(staged, { force: true });
  const file = await open(staged, 'wx', 0o640);
  try {
    const writer = new ContinuedFile(file, old.head, newHash, projections);
    const now = (): string => timestamp(clock.now());
    const signed = { ...(by === undefined ? {} : { by }), ...(note === undefined ? {} : { note }) };
    const data = { ...continuedData({ ...old.head, logId }, { oldHash, newHash }), ...signed };
    await writer.append({ timestamp: now(), event: 'log.continued', data });
    // The next start compares the clock with the entries of now: a jump from before would not be found any more.
    const jumped = new ClockWatch(clock).begin(last && { seq: last.data.seq, timestamp: last.timestamp });
    if (jumped !== undefined) await writer.append(jumped);
    for (const id of projections.current().toCarry({ first: 1, last: old.head.entries })) {
      await writer.append(await carriedEntry(id, old, oldHash, now()));
    }
    await writer.flush();
    const recorded: ArchivedEntryData[] = [];
    for (const one of files) recorded.push(...(await archivedIn(one, oldHash)));
    for (const one of files) {
      const { range } = await describeSegment(one, oldHash);
      const named = { ...range, file: basename(one.path === path ? sealedPath(path, one.first) : one.path) };
      const entries = { first: range.first_seq, last: range.last_seq };
      const summary = projections.current().summary(entries);
      const counts = await projections.current().counts(entries, () => Promise.resolve());
      const archived: ArchivedData = { ...named, ...counts, ...summary, earlier: summarizeArchive(recorded) };
      const seq = await writer.append({ timestamp: now(), event: 'log.archived', data: archived });
      await writer.flush();
      recorded.push({ ...archived, seq });
    }
    await file.sync();
    return writer.head;
  } finally {
    await file.close();
    ownLike(path, staged);
  }
}

/** Writes entries that follow a head, and applies them. */
class ContinuedFile {
  readonly #file: FileHandle;
  readonly #hash: ChainHash;
  readonly #projections: Projections;
  head: Head;
  #entries: StoredEntry[] = [];
  #text = '';
  #offset = 0;

  constructor(file: FileHandle, head: Head, hash: ChainHash, projections: Projections) {
    this.#file = file;
    this.head = head;
    this.#hash = hash;
    this.#projections = projections;
  }

  /** @returns the `seq` of the entry */
  async append(draft: Draft): Promise<number> {
    const { entry, line } = chainEntry(draft, this.head, this.#hash);
    const length = Buffer.byteLength(line);
    this.#entries.push({ ...entry, offset: this.#offset, length });
    this.#offset += length;
    this.#text += line;
    this.head = { entries: entry.data.seq, hash: entry.entry_hash };
    if (this.#text.length >= PIECE) await this.flush();
    return entry.data.seq;
  }

  async flush(): Promise<void> {
    await writeAll(this.#file.fd, Buffer.from(this.#text), this.#offset - Buffer.byteLength(this.#text));
    apply(this.#projections, this.#entries);
    await this.#projections.compact(COMPACT_AT);
    this.#text = '';
    this.#entries = [];
  }
}

async function carriedEntry(
  id: string,
  { projections, files }: OldLog,
  oldHash: ChainHash,
  time: string,
): Promise<Draft> {
  const current = projections.current();
  const persisted = current.incident(id);
  const place = current.openingOf(id);
  const entry = place && (await entryAt(files, place, oldHash));
  if (persisted === undefined || (entry?.event !== 'incident.reported' && entry?.event !== 'incident.carried')) {
    throw new RecorderError('damaged_log', `the log does not hold the first entry of ${id}`);
  }
  const { incident, context, seq, decisive } = persisted;
  const record = { incident, snapshot: snapshotOf(incident.state, context), seq, decisive };
  const growing = files.at(-1)!;
  const names = current.seqsOf(id).map((one) => {
    const holder = files.findLast(({ first }) => first <= one) ?? growing;
    return basename(holder === growing ? sealedPath(growing.path, growing.first) : holder.path);
  });
  const archived = [...new Set(names)];
  const earlier = { note: `earlier entries are in the archive: ${archived.join(', ')}`, files: archived };
  const { report, rule } = entry.data;
  // Hashes of requests and of repeated values are made with the key: under another they can't be compared.
  return carry(record, { report, rule, requests: [], repeats: [], earlier }, time);
}

async function entryAt(files: readonly SealedSegment[], place: LinePlace, hash: ChainHash): Promise<Entry | undefined> {
  const holder = files.findLast(({ first }) => first <= place.seq);
  if (holder === undefined) return undefined;
  const file = await open(holder.path, 'r');
  try {
    const bytes = Buffer.alloc(place.length);
    await file.read(bytes, 0, place.length, place.offset);
    return parseGenuine(bytes.toString('utf8', 0, place.length - 1), hash);
  } finally {
    await file.close();
  }
}

/** Reads the new file as the service will, and holds that it comes to the same record. @throws RecorderError */
async function requireReplay(
  { path, beside, newHash }: KeyRotationOptions,
  head: Head,
  made: Projections,
): Promise<void> {
  const database = databasePath(`${rotationPath(beside)}.check`);
  const remove = (): void => {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${database}${suffix}`, { force: true });
  };
  remove();
  const projections = new Projections(database);
  try {
    const replay = await verifyChain([{ path: continuedPath(path) }], newHash, async (entries) => {
      apply(projections, entries);
      await projections.compact(COMPACT_AT);
    });
    const isWhole = replay.damage === undefined && replay.missing.length === 0 && replay.head.hash === head.hash;
    const [one, other] = [made, projections].map(({ statistics, posture }) =>
      JSON.stringify([statistics.read(), ACTIONS.map((action) => posture.of(action).holders)]),
    );
    if (isWhole && one === other) return;
    const why = replay.damage?.reason ?? `it leads to ${other}, the old one to ${one}`;
    throw new RecorderError('internal', `the new log is not what the old one is: ${why}; nothing was changed`);
  } finally {
    projections.close();
    remove();
  }
}

/** Lets the new file take the place of the old ones. Each step can be done again. */
async function changePlaces(options: KeyRotationOptions, rotation: Rotation): Promise<KeyRotationOutcome> {
  const { path, beside, newHash } = options;
  const { lastSeq, first, head, logId } = rotation;
  const staged = continuedPath(path);
  if (existsSync(staged)) {
    const sealed = sealedPath(path, first);
    if (existsSync(path)) {
      if (existsSync(sealed)) throw new RecorderError('log_unavailable', `${sealed} is there already: move it away`);
      renameSync(path, sealed);
    }
    await syncDirectoryOf(path);
    renameSync(staged, path);
    await syncDirectoryOf(path);
  }
  await requireEnd(path, newHash, head);
  await writeCheckpoint(beside, head, newHash);
  ownLike(path, checkpointPath(beside));
  await writeIdentity(beside, logId, newHash);
  ownLike(path, identityPath(beside));
  rmSync(posturePath(beside), { force: true });
  unmarkDamage(beside);
  const archived: string[] = [];
  for (const one of await findSealed(path)) {
    if (one.first > lastSeq) continue;
    await moveToArchive(one);
  }
  const directory = dirname(archivedPath(path));
  ownLike(dirname(path), directory);
  archived.push(...(await findSealed(archivedPath(path))).filter((one) => one.first <= lastSeq).map((one) => one.path));
  // It was made from the old files; the lock on it ends with this process.
  const database = databasePath(beside);
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${database}${suffix}`, { force: true });
  rmSync(rotationPath(beside));
  await syncDirectoryOf(beside);
  const carried = await countCarried(path, newHash);
  return { old_last_seq: lastSeq, first_seq: lastSeq + 1, carried, archived };
}

/** @throws RecorderError `damaged_log` unless the file at the log's path is the new one, and whole */
async function requireEnd(path: string, hash: ChainHash, head: Head): Promise<void> {
  const { head: found, damage } = await verifyChain([{ path }], hash, () => {});
  if (damage === undefined && found.hash === head.hash) return;
  const why = damage === undefined ? `it ends with entry ${found.entries}, not ${head.entries}` : damage.reason;
  throw new RecorderError('damaged_log', `${path} is not the log under the new key: ${why}; run it with the same keys`);
}

async function countCarried(path: string, hash: ChainHash): Promise<number> {
  let carried = 0;
  await verifyChain([{ path }], hash, (entries) => {
    for (const { event } of entries) if (event === 'incident.carried') carried += 1;
  });
  return carried;
}

/** Gives a file to the owner of another: the service has to read it, and root may run this. */
function ownLike(path: string, other: string): void {
  if (process.geteuid?.() !== 0) return;
  const model = statSync(existsSync(path) ? path : dirname(path));
  if (existsSync(other)) chownSync(other, model.uid, model.gid);
}
