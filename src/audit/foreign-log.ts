/** Recognises a file at the log's path that is the log of another program, before anything is written. */
import { existsSync } from 'node:fs';
import { open } from '../async-files.ts';
import { looksClaimed } from '../domain/predecessor.ts';
import { RecorderError } from '../errors.ts';
import { checkpointPath } from './checkpoint.ts';
import { MAX_ENTRY_BYTES } from './entry.ts';
import { identityPath } from './identity.ts';
import { readLines } from './lines.ts';
import { findSealed } from './segments.ts';

/** The members of each of our entries. */
const OURS = ['timestamp', 'event', 'data', 'prev_hash', 'entry_hash', 'algorithm'];

/**
 * Refuses a file whose first line is a JSON object, and none that this recorder writes. A log that has a checkpoint, an
 * identity or segments is ours, whatever somebody did to its first line: that is damage, which recovery finds.
 * @param beside the path of the log in the directory of its checkpoint
 * @throws RecorderError `config` that says what to do; the file is not changed
 */
export async function requireOwnLog(path: string, beside: string): Promise<void> {
  if (!existsSync(path) || existsSync(checkpointPath(beside)) || existsSync(identityPath(beside))) return;
  if ((await findSealed(path)).length > 0) return;
  const first = await firstLine(path);
  if (typeof first !== 'object' || first === null || OURS.every((name) => Object.hasOwn(first, name))) return;
  const moveAway = `move it away (mv ${path} ${path}.before) and start`;
  const message = looksClaimed(first)
    ? `AUDIT_LOG_PATH: ${path} is the log of the recorder that was here before: ${moveAway}; then take its incidents ` +
      `over: incident-recorder import ${path}.before`
    : `AUDIT_LOG_PATH: ${path} is the log of another program: ${moveAway}, or name another path. (The log of the ` +
      "appliance's recorder before this one is taken over with: incident-recorder import FILE)";
  throw new RecorderError('config', message);
}

/** The first line, parsed; undefined when it is not JSON. */
async function firstLine(path: string): Promise<unknown> {
  const file = await open(path, 'r');
  try {
    for await (const [line] of readLines(file, 0, Math.min(MAX_ENTRY_BYTES, (await file.stat()).size)))
      return JSON.parse(line?.bytes.toString() ?? '');
  } catch {
    return undefined;
  } finally {
    await file.close();
  }
  return undefined;
}
