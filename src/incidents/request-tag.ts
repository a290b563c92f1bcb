import { hash } from 'node:crypto';
import type { Idempotency, RequestTag } from '../domain/entries.ts';

/**
 * Hides the idempotency keys of reports. Everybody may read the log, and whoever knows a key could use it first: so the
 * log has hashes under a secret. A key belongs to the source that used it.
 */
export class RequestTags {
  readonly #secret: string;

  /** @param secret of a fixed length, known to the recorder alone */
  constructor(secret: string) {
    this.#secret = secret;
  }

  of(source: string, { key, fingerprint }: Idempotency): RequestTag {
    const id = hash('sha256', `${this.#secret}${JSON.stringify([source, key])}`);
    return { id, digest: hash('sha256', `${this.#secret}${id}${fingerprint}`) };
  }
}
