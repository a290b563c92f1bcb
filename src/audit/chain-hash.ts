/**
 * The hash that chains the audit log: HMAC-SHA256 under the audit key, or plain SHA-256 when there is none. A plain
 * chain shows accidents. It does not show a forger: whoever can write the file can compute the hashes again.
 */
import { createHash, createHmac, createSecretKey } from 'node:crypto';

export interface ChainHash {
  readonly algorithm: 'hmac-sha256' | 'sha256';
  /** Whether there is a key, so that the chain proves that the recorder wrote it. */
  readonly keyed: boolean;
  /** Hashes the text's UTF-8 bytes; returns lower-case hex. */
  digest(text: string): string;
  /** The same for a text in ASCII, which need not be encoded. */
  digestAscii(text: string): string;
  /** For messages: what to do about an entry whose algorithm is the other one. */
  hint(algorithm: string): string;
  /** For messages: what a hash that does not match may mean, besides an edit. */
  readonly otherKey: string;
}

/** The chain's hash with `key`, or plain SHA-256 without one. */
export function chainHash(key: Uint8Array | undefined): ChainHash {
  if (key === undefined) {
    return {
      algorithm: 'sha256',
      keyed: false,
      digest: (text) => createHash('sha256').update(text).digest('hex'),
      digestAscii: (text) => createHash('sha256').update(text, 'latin1').digest('hex'),
      hint: () => 'give the audit key (AUDIT_HMAC_KEY_PATH)',
      otherKey: 'damaged',
    };
  }
  // Given bytes, createHmac makes a key object for each hash, which costs six times as much as the hash.
  const secret = createSecretKey(key);
  return {
    algorithm: 'hmac-sha256',
    keyed: true,
    digest: (text) => createHmac('sha256', secret).update(text).digest('hex'),
    digestAscii: (text) => createHmac('sha256', secret).update(text, 'latin1').digest('hex'),
    hint: () => 'the log was begun without a key: begin a new log to use one',
    otherKey: 'made with another key',
  };
}
