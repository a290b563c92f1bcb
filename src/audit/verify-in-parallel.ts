/**
 * Verifies a log with several processors at once.
 *
 * The log is cut into as many parts as there are processors, each is verified by a worker, and each must begin where the
 * one before it ends. That proves a valid log, and nothing else: when anything is not as it should be, the log is verified
 * again in one pass, which says what is wrong. So the findings are those of the single pass.
 */
import { open, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { areArchived } from './archived-ranges.ts';
import { type ChainHash, chainHash } from './chain-hash.ts';
import { readCheckpoint } from './checkpoint.ts';
import { EMPTY_HEAD, MAX_ENTRY_BYTES } from './entry.ts';
import { NEWLINE } from './lines.ts';
import { type Verification, verifyFiles, type VerifyOptions } from './verify.ts';
import { type Part, type Stretch, type ValidPart, verifyPart } from './verify-part.ts';

/** Below this length, in bytes, workers take longer to start than they save. */
const LEAST = 16 * 1024 * 1024;
/** Each worker takes some 50 MiB. */
const MOST_WORKERS = 8;

/** What does the work of a part: `verifyPart`, here or elsewhere. */
type Verifying = (part: Part, onProgress: (bytes: number) => void) => Promise<ValidPart | undefined>;

export interface ParallelOptions extends Omit<VerifyOptions, 'anchors' | 'older' | 'to'> {
  /** How many parts; by default one for each processor, and one alone without a compiler or for a short log. */
  readonly parts?: number;
  /** Verify the parts in this thread. */
  readonly isHere?: boolean;
}

/**
 * Verifies the files of a log like `verifyFiles`.
 * @param files oldest first
 * @param key the audit key, if the log has one
 * @throws like `verifyFiles`
 */
export async function verifyInParallel(
  files: readonly string[],
  key: Uint8Array | undefined,
  options: ParallelOptions = {},
): Promise<Verification> {
  const hash = chainHash(key);
  const verify: Verifying = options.isHere
    ? (part, onProgress) => verifyPart(part, hash, onProgress)
    : (part, onProgress) => verifyInWorker(part, key, onProgress);
  // What can't be read is found again by the single pass, which says so.
  const valid = await verifyParts(files, hash, verify, options).catch(() => undefined);
  return valid ?? verifyFiles(files, hash, options);
}

/** Undefined unless all of the log is valid. */
async function verifyParts(
  files: readonly string[],
  hash: ChainHash,
  verify: Verifying,
  { beside, anchor, parts, onProgress = () => {} }: ParallelOptions,
): Promise<Verification | undefined> {
  const sizes = await Promise.all(files.map(async (path) => (await stat(path)).size));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  const count = parts ?? (bytes < LEAST ? 1 : workers());
  if (count < 2) return undefined;
  const { head: checkpoint, fault } = readCheckpoint(beside ?? files.at(-1) ?? '', hash);
  if (fault !== undefined) return undefined;
  const noted = [checkpoint, anchor].filter((head) => head !== undefined && head.entries > 0);
  const wanted = noted.map((head) => head!.entries);
  const cut = await stretchesOf(files, sizes, Math.ceil(bytes / count));
  let done = 0;
  const found = await Promise.all(
    cut.map((stretches, at) =>
      verify({ stretches, isFirst: at === 0, wanted }, (more) => {
        done += more;
        onProgress(done);
      }),
    ),
  );
  const valid = found.filter((one) => one !== undefined);
  if (valid.length < found.length || !followEachOther(valid, cut)) return undefined;
  const hashes = new Map(valid.flatMap((part) => [...part.hashes]));
  if (noted.some((head) => hashes.get(head!.entries) !== head!.hash)) return undefined;
  const [head, first, last] = [valid.at(-1)?.head ?? EMPTY_HEAD, firstOf(valid), lastOf(valid)];
  return {
    entries: head.entries,
    hash: head.hash,
    files: files.length,
    bytes,
    missing: [],
    ...(first === undefined || last === undefined ? {} : { first, last }),
    ...(checkpoint === undefined ? {} : { checkpoint: checkpoint.entries }),
  };
}

const firstOf = (parts: readonly ValidPart[]): string | undefined => parts.find(({ first }) => first)?.first;
const lastOf = (parts: readonly ValidPart[]): string | undefined => parts.findLast(({ last }) => last)?.last;

/** Whether each part begins where the one before it ends, but for what was archived. */
function followEachOther(parts: readonly ValidPart[], cut: readonly (readonly Stretch[])[]): boolean {
  const archived = parts.flatMap((part) => part.archived);
  const gaps = parts.flatMap((part) => part.gaps);
  let due = EMPTY_HEAD;
  for (const [at, { start, head }] of parts.entries()) {
    if (start.entries !== due.entries || start.hash !== due.hash) {
      // A file may begin with a later entry.
      if (cut[at]?.[0]?.from !== 0 || start.entries <= due.entries) return false;
      gaps.push({ after: due, before: start });
    }
    due = head;
  }
  return gaps.every(({ after, before }) => areArchived(after, before, archived));
}

/** How many workers are worth their start: one for each processor where code is compiled. */
const workers = (): number =>
  process.execArgv.includes('--jitless') ? 1 : Math.min(availableParallelism(), MOST_WORKERS);

/** Cuts files into parts of about so many bytes, where lines begin. */
async function stretchesOf(
  files: readonly string[],
  sizes: readonly number[],
  bytes: number,
): Promise<readonly (readonly Stretch[])[]> {
  const parts: Stretch[][] = [[]];
  let room = bytes;
  for (const [at, path] of files.entries()) {
    const size = sizes[at]!;
    let from = 0;
    do {
      const to = size - from <= room ? size : await lineBehind(path, from + room, size);
      parts.at(-1)!.push({ path, from, to });
      room -= to - from;
      from = to;
      if (room > 0) continue;
      parts.push([]);
      room = bytes;
    } while (from < size);
  }
  return parts.filter((part) => part.length > 0);
}

/** Where the first line behind an offset begins; the end of the file when none does. */
async function lineBehind(path: string, offset: number, size: number): Promise<number> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_ENTRY_BYTES), 0, MAX_ENTRY_BYTES, offset);
    const at = buffer.subarray(0, bytesRead).indexOf(NEWLINE);
    return at === -1 ? size : Math.min(size, offset + at + 1);
  } finally {
    await file.close();
  }
}

/** The file of the worker; in the build it is beside the other parts of the command line. */
const WORKER = `./verify-worker.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`;

async function verifyInWorker(
  part: Part,
  key: Uint8Array | undefined,
  onProgress: (bytes: number) => void,
): Promise<ValidPart | undefined> {
  const worker = new Worker(new URL(WORKER, import.meta.url), { workerData: { part, key } });
  try {
    return await new Promise((resolve, reject) => {
      worker.on('message', (said: { readonly bytes?: number; readonly valid?: ValidPart }) => {
        if (said.bytes === undefined) resolve(said.valid);
        else onProgress(said.bytes);
      });
      worker.on('error', reject);
      worker.on('exit', () => reject(new Error('the worker has ended')));
    });
  } finally {
    await worker.terminate();
  }
}
