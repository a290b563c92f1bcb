/**
 * Refuses a log that a newer version of the recorder has written: this one would take for damage what it does not know, and
 * could cut it off the end. `service.started` says who writes, and in which format (`LOG_FORMAT`).
 */
import { type FileHandle, open } from '../async-files.ts';
import { basename } from 'node:path';
import { RecorderError } from '../errors.ts';
import { LOG_FORMAT, readEntry } from '../domain/entries.ts';
import { VERSION } from '../version.ts';
import type { ChainHash } from './chain-hash.ts';
import { EntryFault, NewerEntry, parseGenuine } from './entry.ts';
import { readLines } from './lines.ts';
import type { Damage } from './verify-chain.ts';

const STARTED = Buffer.from('"event":"service.started"');
/** How far that is from the beginning of its line: the timestamp comes first, and has one length. */
const BEFORE_EVENT = '{"timestamp":"2026-11-22T07:12:00.123Z",'.length;
/** How much is searched at a time, and at most: in bytes. */
const WINDOW = 1024 * 1024;
const MOST_SEARCHED = 1024 * 1024 * 1024;

interface File {
  readonly path: string;
}

/**
 * Looks for the latest `service.started`.
 * @param files of the log, oldest first
 * @throws RecorderError `config` when it is of a newer version
 */
export async function requireKnownFormat(files: readonly File[], hash: ChainHash): Promise<void> {
  const started = await lastStart(files, hash);
  if (started?.fault !== undefined) throw refusal(started.file, started.fault, started.version);
}

/** The error for damage that is none: an entry that is as a newer version wrote it. */
export async function refuseNewer(
  files: readonly File[],
  hash: ChainHash,
  { file, line, reason }: Damage,
): Promise<RecorderError> {
  const started = await lastStart(files, hash);
  return refusal(`${file}, line ${line}`, reason, started?.version);
}

function refusal(place: string, reason: string, version: string | undefined): RecorderError {
  const by = version === undefined || version === VERSION ? 'a newer version' : `version ${version}`;
  return new RecorderError(
    'config',
    `the audit log was written by ${by} of incident-recorder (${place}: ${reason}); this is version ${VERSION}, which ` +
      `knows log format ${LOG_FORMAT}, and it leaves the log as it is: start the newer version`,
  );
}

interface Start {
  readonly file: string;
  readonly version: string;
  /** Why this version can't read on from there. */
  readonly fault?: string;
}

async function lastStart(files: readonly File[], hash: ChainHash): Promise<Start | undefined> {
  let left = MOST_SEARCHED;
  for (const { path } of files.toReversed()) {
    const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    if (file === undefined) continue;
    try {
      const { size } = await file.stat();
      const found = await lastStartIn(file, size, Math.max(0, size - left), hash);
      if (found !== undefined) return { ...found, file: basename(path) };
      left -= size;
      if (left <= 0) return undefined;
    } finally {
      await file.close();
    }
  }
  return undefined;
}

async function lastStartIn(
  file: FileHandle,
  size: number,
  from: number,
  hash: ChainHash,
): Promise<Omit<Start, 'file'> | undefined> {
  for (let to = size; to > from;) {
    const window = Buffer.allocUnsafe(Math.min(WINDOW, to - from));
    const begin = to - window.length;
    const { bytesRead } = await file.read(window, 0, window.length, begin);
    const bytes = window.subarray(0, bytesRead);
    for (let at = bytes.lastIndexOf(STARTED); at !== -1; at = at === 0 ? -1 : bytes.lastIndexOf(STARTED, at - 1)) {
      const start = await startAt(file, begin + at - BEFORE_EVENT, size, hash);
      if (start !== undefined) return start;
    }
    // What is searched for may lie across two windows.
    to = begin === from ? from : begin + STARTED.length;
  }
  return undefined;
}

/** The genuine `service.started` in the line that begins at an offset. */
async function startAt(
  file: FileHandle,
  offset: number,
  size: number,
  hash: ChainHash,
): Promise<Omit<Start, 'file'> | undefined> {
  if (offset < 0) return undefined;
  for await (const [line] of readLines(file, offset, size, WINDOW / 16)) {
    const text = line?.bytes.toString('utf8') ?? '';
    try {
      const entry = parseGenuine(text, hash);
      return entry.event === 'service.started' ? { version: entry.data.service_version } : undefined;
    } catch (error) {
      if (!(error instanceof NewerEntry)) {
        if (error instanceof EntryFault) return undefined;
        throw error;
      }
      const { data } = readEntry(text) as { readonly data: { readonly service_version?: unknown } };
      return { version: String(data.service_version), fault: error.message };
    }
  }
  return undefined;
}
