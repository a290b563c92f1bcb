/**
 * The hash that chains the audit log: HMAC-SHA256 under the audit key, or plain SHA-256 when there is none. A plain
 * chain shows accidents; it does not show somebody who can write the file and hash it anew.
 */
import { createHash, createHmac, createSecretKey } from 'node:crypto';

export interface ChainHash {
  readonly algorithm: 'hmac-sha256' | 'sha256';
  /** Whether the chain proves who wrote it. */
  readonly keyed: boolean;
  /** Lower-case hex over the text's UTF-8 bytes. */
  digest(text: string): string;
  /** What to do about an entry that was made with `algorithm` instead. */
  hint(algorithm: string): string;
  /** How a wrong key shows itself, for messages. */
  readonly otherKey: string;
}

/** The chain's hash under `key`, or without one. */
export function chainHash(key: Uint8Array | undefined): ChainHash {
  if (key === undefined) {
    return {
      algorithm: 'sha256',
      keyed: false,
      digest: (text) => createHash('sha256').update(text).digest('hex'),
      hint: () => 'give the audit key (AUDIT_HMAC_KEY_PATH)',
      otherKey: 'spoilt',
    };
  }
  // A key given as bytes is made into a key object at each hash, which costs six times the hash itself.
  const secret = createSecretKey(key);
  return {
    algorithm: 'hmac-sha256',
    keyed: true,
    digest: (text) => createHmac('sha256', secret).update(text).digest('hex'),
    hint: () => 'the log was begun without a key: begin a new log to use one',
    otherKey: 'made with another key',
  };
}
