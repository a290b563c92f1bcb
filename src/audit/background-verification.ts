/**
 * Verifies, while the service is up, what recovery has not read: the log from its first entry on.
 *
 * It goes in slices of a millisecond or a few and rests after each for several times as long, so that requests hardly
 * notice. Files may be sealed or archived meanwhile; before damage is believed, the log is looked at once more with its
 * files as they are then.
 */
import { existsSync } from 'node:fs';
import { setTimeout as rest } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { ChainHash } from './chain-hash.ts';
import type { AuditLog } from './log.ts';
import { sealedPath } from './segments.ts';
import { type Walked, walkFiles } from './walk.ts';

const SLICE_BYTES = 16 * 1024;
/** How long to rest after a slice, as a multiple of what the slice took. */
const REST = 4;
/** Slices are so short that the rest is taken once in a while, in milliseconds. */
const SHORTEST_REST = 5;

export interface BackgroundParts {
  readonly path: string;
  readonly hash: ChainHash;
  readonly clock: Clock;
  readonly log: Pick<AuditLog, 'sealed'>;
  /** The `seq` of the first entry, and the size in bytes, of the file at `path` when it was recovered. */
  readonly first: number;
  readonly size: number;
  /** Ends the work: it rejects with the signal's reason. */
  readonly signal: AbortSignal;
}

/** Walks through the log as it was when it was recovered. */
export async function verifyInBackground(parts: BackgroundParts): Promise<Walked> {
  const walked = await walkSlowly(parts).catch((error: unknown) => {
    parts.signal.throwIfAborted();
    // A file that was moved away in the meantime; anything else shows itself again.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return walkSlowly(parts);
  });
  return walked.damage === undefined ? walked : walkSlowly(parts);
}

function walkSlowly({ path, hash, clock, log, first, size, signal }: BackgroundParts): Promise<Walked> {
  const sealedSince = sealedPath(path, first);
  const last = existsSync(sealedSince) ? sealedSince : path;
  const before = log.sealed.filter((segment) => segment.first < first);
  let owed = 0;
  let began = clock.monotonic();
  const onEntries = async (): Promise<void> => {
    owed += REST * (clock.monotonic() - began);
    if (owed >= SHORTEST_REST) {
      await rest(owed, undefined, { signal, ref: false });
      owed = 0;
    } else {
      await new Promise(setImmediate);
      signal.throwIfAborted();
    }
    began = clock.monotonic();
  };
  return walkFiles([...before, { path: last, to: size }], hash, onEntries, SLICE_BYTES);
}
