/**
 * Verifying a stretch of the log in the browser, without the service's help.
 *
 * Of a chain that is plain SHA-256 every hash is computed anew from what the entry says, with WebCrypto. The hashes of a
 * chain under a key can't be computed here, as the key is not for browsers: of such a chain it can only be seen that
 * each entry names the hash of the one before and that none is missing. Who could write both log and service could make
 * that look right; `incident-recorder verify` with the key tells.
 */
import { hashedText } from '../../audit/entry.ts';
import type { LoggedLine } from './log-range.ts';

export interface RangeVerdict {
  readonly first: number;
  readonly last: number;
  /** Whether the hashes themselves were computed, or only their linkage looked at. */
  readonly proves: 'hashes' | 'linkage';
  /** The first thing that is wrong; undefined when nothing is. */
  readonly damage?: { readonly seq: number; readonly reason: string };
}

/** Verifies entries that follow each other, of which there is at least one. */
export const verifyRange = async (lines: readonly LoggedLine[]): Promise<RangeVerdict> => {
  const first = lines[0]!.entry;
  const isPlain = lines.every(({ entry }) => entry.algorithm === 'sha256');
  const proves = isPlain && globalThis.crypto?.subtle !== undefined ? 'hashes' : 'linkage';
  let [seq, hash] = [first.data.seq - 1, first.prev_hash];
  const verdict = { first: first.data.seq, proves } as const;
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
