/** The requests by which reports were sent, for as long as their incidents are on record. */
import type { Idempotency, RequestTag } from '../domain/entries.ts';
import type { Database, Statement } from './database.ts';

export interface ReportedUnder {
  /** Whether the request had the same body. */
  readonly isSame: boolean;
  /** Identifier of the incident. */
  readonly id: string;
}

/** Old entries have the key itself, and this tells it from a hash. */
const OLD = 'key ';

export class IdempotencyKeys {
  readonly #insert: Statement;
  readonly #find: Statement;
  /** Whether there are old entries. */
  #hasOld: boolean;

  constructor(database: Database) {
    this.#insert = database.prepare(
      'INSERT INTO idempotency (key, fingerprint, incident) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#find = database.prepare(
      'SELECT fingerprint, id, source FROM idempotency JOIN incidents ON number = incident WHERE key = ?',
    );
    const old = database.prepare(`SELECT 1 FROM idempotency WHERE key >= '${OLD}' AND key < 'key!' LIMIT 1`).get();
    this.#hasOld = old !== undefined;
  }

  /** @param incident the place of the incident among all: `seq` of its report */
  add(request: RequestTag | Idempotency, incident: number): void {
    if ('id' in request) {
      this.#insert.run(request.id, request.digest, incident);
      return;
    }
    this.#hasOld = true;
    this.#insert.run(`${OLD}${request.key}`, request.fingerprint, incident);
  }

  /**
   * What was reported by a request, or by its source under its key in an old entry.
   * @param owner whose the key is: those of old entries belong to nobody in particular
   */
  find(
    { id, digest }: RequestTag,
    source: string,
    { key, fingerprint }: Idempotency,
    owner: string,
  ): ReportedUnder | undefined {
    const row = this.#find.get(id);
    if (row !== undefined) return { isSame: row.fingerprint === digest, id: String(row.id) };
    const old = this.#hasOld && owner === '' ? this.#find.get(`${OLD}${key}`) : undefined;
    if (old?.source !== source) return undefined;
    return { isSame: old.fingerprint === fingerprint, id: String(old.id) };
  }
}
