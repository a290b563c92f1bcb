/**
 * Verifies a range of the log in the browser, without the service's help.
 *
 * For a chain of plain SHA-256, WebCrypto computes every hash from the contents of the entry. The hashes of a keyed chain
 * can't be computed here, because the key is not for browsers; neither can that of an entry of which something is
 * withheld. Then only the linkage is checked: each entry names the hash of the one before, and none is missing.
 * Somebody who can change both log and service can fake that; only `incident-recorder verify` with the key detects it.
 */
import { hashedText } from '../../audit/entry.ts';
import type { LoggedLine } from './log-range.ts';

export interface RangeVerdict {
  readonly first: number;
  readonly last: number;
  /** Whether the hashes were computed, or only their linkage was checked. */
  readonly proves: 'hashes' | 'linkage';
  /** Whether hashes could not be computed because something is withheld. */
  readonly isWithheld?: boolean;
  /** The first fault; undefined when there is none. */
  readonly damage?: { readonly seq: number; readonly reason: string };
}

/** Verifies consecutive entries, at least one. */
export const verifyRange = async (lines: readonly LoggedLine[]): Promise<RangeVerdict> => {
  const first = lines[0]!.entry;
  const isPlain = lines.every(({ entry }) => entry.algorithm === 'sha256');
  const isWithheld = lines.some(({ entry }) => 'withheld' in entry.data);
  const proves = isPlain && !isWithheld && globalThis.crypto?.subtle !== undefined ? 'hashes' : 'linkage';
  let [seq, hash] = [first.data.seq - 1, first.prev_hash];
  const verdict = { first: first.data.seq, proves, ...(isPlain && isWithheld && { isWithheld }) } as const;
  for (const { entry } of lines) {
    const damaged = (reason: string): RangeVerdict => ({
      ...verdict,
      last: seq,
      damage: { seq: entry.data.seq, reason },
    });
    if (entry.data.seq !== seq + 1) return damaged(`entry ${seq + 1} is missing before it`);
    if (entry.prev_hash !== hash) return damaged('its prev_hash is not the entry_hash of the entry before it');
    if (entry.algorithm !== first.algorithm) return damaged('it is chained in another way than the entries before it');
    if (proves === 'hashes' && (await sha256(hashedText(entry))) !== entry.entry_hash) {
      return damaged('its entry_hash does not match its contents');
    }
    [seq, hash] = [entry.data.seq, entry.entry_hash];
  }
  return { ...verdict, last: seq };
};

const sha256 = async (text: string): Promise<string> => {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return new Uint8Array(digest).reduce((hex, byte) => hex + byte.toString(16).padStart(2, '0'), '');
};
