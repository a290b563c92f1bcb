/**
 * `<log>.damage`: a note that damage was found while the service ran. The next start then reads the whole log, instead of
 * what is new in it, so that damage does not go away by a restart.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Damage } from './verify-chain.ts';

const markerPath = (logPath: string): string => `${logPath}.damage`;

/** How much of a marker is read, in characters. */
const LONGEST = 1024;

/** Leaves the note. Without room there is none: the verification in the background finds the damage again. */
export function markDamage(logPath: string, { file, line, reason }: Damage): void {
  try {
    writeFileSync(markerPath(logPath), `${file}, line ${line}: ${reason}\n`, { mode: 0o640, flag: 'wx' });
  } catch {
    // There is one already, or no room.
  }
}

/** The note that an earlier run has left. */
export function markedDamage(logPath: string): string | undefined {
  try {
    return readFileSync(markerPath(logPath), 'utf8').slice(0, LONGEST).trim();
  } catch {
    return undefined;
  }
}

/** Removes the note, when the whole log was verified. */
export const unmarkDamage = (logPath: string): void => rmSync(markerPath(logPath), { force: true });
