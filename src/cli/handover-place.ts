/** Where the last handover of a person has ended: the number of an entry, or a place in the logs of a fleet, in a file of theirs. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from './exit.ts';

const directory = (): string =>
  join(process.env.XDG_STATE_HOME || join(homedir(), '.local/state'), 'incident-recorder');
const pathOf = (file: string): string => join(directory(), file);

/** The file for a recorder, or for some machines of a fleet. @param scope what the machines are named by */
export const fileFor = (fleet: string | undefined, scope: object): string => {
  if (fleet === undefined) return 'handover';
  const digest = createHash('sha256')
    .update(JSON.stringify([fleet, scope]))
    .digest('hex');
  return `handover-${digest.slice(0, 12)}`;
};

/** The place; undefined when there is none yet. @throws UsageError when the file holds something else */
export function placeKept(file: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(pathOf(file), 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UsageError(`${pathOf(file)} can't be read: ${(error as Error).message}`);
  }
  if (/^\d{1,15}[\w.:-]*$/.test(text)) return text;
  throw new UsageError(`${pathOf(file)} holds no sequence number; remove it, or use --since`);
}

/** Keeps the place for the next time. @throws UsageError when that is not possible */
export function keepPlace(file: string, place: number | string): void {
  try {
    mkdirSync(directory(), { recursive: true, mode: 0o700 });
    writeFileSync(`${pathOf(file)}.new`, `${place}\n`, { mode: 0o600 });
    renameSync(`${pathOf(file)}.new`, pathOf(file));
  } catch (error) {
    throw new UsageError(`the place can't be kept: ${(error as Error).message}`);
  }
}
