/** Where the last handover of a person has ended: the sequence number of an entry, in a file of theirs. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from './exit.ts';

const directory = (): string =>
  join(process.env.XDG_STATE_HOME || join(homedir(), '.local/state'), 'incident-recorder');
const pathOf = (): string => join(directory(), 'handover');

/** The place; undefined when there is none yet. @throws UsageError when the file holds something else */
export function placeKept(): string | undefined {
  let text: string;
  try {
    text = readFileSync(pathOf(), 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UsageError(`${pathOf()} can't be read: ${(error as Error).message}`);
  }
  if (/^\d{1,15}$/.test(text)) return text;
  throw new UsageError(`${pathOf()} holds no sequence number; remove it, or use --since`);
}

/** Keeps the place for the next time. @throws UsageError when that is not possible */
export function keepPlace(seq: number): void {
  try {
    mkdirSync(directory(), { recursive: true, mode: 0o700 });
    writeFileSync(`${pathOf()}.new`, `${seq}\n`, { mode: 0o600 });
    renameSync(`${pathOf()}.new`, pathOf());
  } catch (error) {
    throw new UsageError(`the place can't be kept: ${(error as Error).message}`);
  }
}
