/** The archive: a directory beside the log, to which sealed segments are moved. From there they may go anywhere. */
import { mkdir, open, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncDirectoryOf } from './durable-file.ts';
import type { Entry } from './entry.ts';
import { type Line, readLines } from './lines.ts';
import type { SegmentRange } from './log-entries.ts';
import type { SealedSegment } from './segments.ts';

/** What there is to say of a segment, and `timestamp` of its last entry. */
export interface SegmentDescription {
  readonly range: SegmentRange;
  readonly lastTimestamp: string;
}

/** Reads the first and the last entry of a sealed segment; the chain between them is verified elsewhere. */
export async function describeSegment({ path }: SealedSegment): Promise<SegmentDescription> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    let firstLine: Line | undefined;
    let lastLine: Line | undefined;
    for await (const lines of readLines(file, 0, size)) {
      firstLine ??= lines[0];
      lastLine = lines.at(-1);
    }
    if (firstLine === undefined || lastLine === undefined) throw new Error(`${path} is empty`);
    const [first, last] = [entryIn(firstLine), entryIn(lastLine)];
    const range: SegmentRange = {
      file: basename(path),
      first_seq: first.data.seq,
      last_seq: last.data.seq,
      bytes: size,
      prev_hash: first.prev_hash,
      last_hash: last.entry_hash,
    };
    return { range, lastTimestamp: last.timestamp };
  } finally {
    await file.close();
  }
}

/** Moves a segment to the archive of its log, durably; gives its new path. */
export async function moveToArchive({ path }: SealedSegment): Promise<string> {
  const archived = join(dirname(path), 'archive', basename(path));
  await mkdir(dirname(archived), { recursive: true, mode: 0o750 });
  await rename(path, archived);
  await syncDirectoryOf(archived);
  await syncDirectoryOf(path);
  return archived;
}

const entryIn = ({ bytes }: Line): Entry => JSON.parse(bytes.toString('utf8')) as Entry;
