/**
 * `<log>.damage`: a note that damage was found while the service ran. The next start then reads the whole log, instead of
 * what is new in it, so that damage does not go away by a restart.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { readSmallFile } from './small-file.ts';
import type { Damage } from './verify-chain.ts';

const markerPath = (logPath: string): string => `${logPath}.damage`;

/** Leaves the note. Without room there is none: the verification in the background finds the damage again. */
export function markDamage(logPath: string, { file, line, reason }: Damage): void {
  try {
    writeFileSync(markerPath(logPath), `${file}, line ${line}: ${reason}\n`, { mode: 0o640, flag: 'wx' });
  } catch {
    // There is one already, or no room.
  }
}

/** The note that an earlier run has left. What somebody else has put there counts as one, but nothing of it is shown. */
export function markedDamage(logPath: string): string | undefined {
  const path = markerPath(logPath);
  const text = readSmallFile(path);
  if (text === undefined) return undefined;
  // What the recorder writes: the reason is its own, and is shown to everybody.
  const note = /^([^\p{C}]{1,256}, line \d+: [^\p{C}]{1,1024})\n$/u.exec(text);
  return note?.[1] ?? `${basename(path)} is not spelt as the recorder writes it`;
}

/** Removes the note, when the whole log was verified. */
export const unmarkDamage = (logPath: string): void => rmSync(markerPath(logPath), { force: true });
