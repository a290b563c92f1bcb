/**
 * Seals the audit keys of machines before they go to the database, with a key that is derived from the fleet's own. Whoever
 * reads the database can't forge entries with them.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { RecorderError } from '../errors.ts';
import type { Signer } from '../signed-note.ts';

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Keys that are kept of one machine: its log may go on under another one. */
const MOST_KEYS = 4;

export class Seal {
  readonly #key: Buffer;

  constructor({ privateKey }: Pick<Signer, 'privateKey'>) {
    const secret = privateKey.export({ type: 'pkcs8', format: 'der' });
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'incident-fleet/audit-keys/v1', KEY_BYTES));
  }

  /** Adds a key before those that are sealed already. */
  add(sealed: string | null, key: Buffer): string {
    const others = sealed === null ? [] : this.open(sealed).filter((one) => !one.equals(key));
    const text = JSON.stringify([key, ...others].slice(0, MOST_KEYS).map((one) => one.toString('base64')));
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce);
    const parts = [nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()];
    return Buffer.concat(parts).toString('base64');
  }

  /** The keys, the newest first. @throws RecorderError `config` when another fleet's key has sealed them */
  open(sealed: string): readonly Buffer[] {
    const bytes = Buffer.from(sealed, 'base64');
    const decipher = createDecipheriv(ALGORITHM, this.#key, bytes.subarray(0, NONCE_BYTES));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    try {
      const text = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
      return (JSON.parse(text) as readonly string[]).map((one) => Buffer.from(one, 'base64'));
    } catch (cause) {
      throw new RecorderError('config', 'the audit key of a machine was sealed with another key of the fleet', {
        cause,
      });
    }
  }
}
