import { hash } from 'node:crypto';
import type { Idempotency, RequestTag } from '../domain/entries.ts';

/**
 * Hides the idempotency keys of reports. Everybody may read the log, and whoever knows a key could use it first: so the
 * log has hashes under a secret. A key belongs to the source that used it, and to the principal whose token it had.
 */
export class RequestTags {
  readonly #secret: string;

  /** @param secret of a fixed length, known to the recorder alone */
  constructor(secret: string) {
    this.#secret = secret;
  }

  /** @param owner whose the key is: see `keysOwner` */
  of(source: string, { key, fingerprint }: Idempotency, owner = ''): RequestTag {
    const parts = owner === '' ? [source, key] : [source, key, owner];
    const id = hash('sha256', `${this.#secret}${JSON.stringify(parts)}`);
    return { id, digest: hash('sha256', `${this.#secret}${id}${fingerprint}`) };
  }
}
