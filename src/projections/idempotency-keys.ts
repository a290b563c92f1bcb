/** The requests by which reports were sent, for as long as their incidents are on record. */
import type { CarriedData, Idempotency, RequestTag } from '../domain/entries.ts';
import { STAYS } from './archived-incidents.ts';
import type { Database, Statement } from './database.ts';

export interface ReportedUnder {
  /** Whether the request had the same body. */
  readonly isSame: boolean;
  /** Identifier of the incident. */
  readonly id: string;
}

/** How many requests of an incident that is carried over are kept: those of a day, with one every 30 seconds. */
const MOST_CARRIED = 3000;

/** Old entries have the key itself, and this tells it from a hash. */
const OLD = 'key ';

export class IdempotencyKeys {
  readonly #insert: Statement;
  readonly #find: Statement;
  readonly #newest: Statement;
  readonly #forget: Statement;
  /** Whether there are old entries. */
  #hasOld: boolean;

  constructor(database: Database) {
    this.#insert = database.prepare(
      // A key of an incident that is leaving is free.
      `INSERT INTO idempotency (key, fingerprint, incident, seq) VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET fingerprint = excluded.fingerprint, incident = excluded.incident, seq = excluded.seq
      WHERE EXISTS (SELECT 1 FROM incidents WHERE number = idempotency.incident AND NOT ${STAYS})`,
    );
    this.#find = database.prepare(
      `SELECT fingerprint, id, source FROM idempotency JOIN incidents ON number = incident WHERE key = ? AND ${STAYS}`,
    );
    this.#newest = database.prepare(`
      SELECT key, fingerprint FROM idempotency WHERE incident = ? ORDER BY seq DESC, key LIMIT ${MOST_CARRIED}`);
    this.#forget = database.prepare('DELETE FROM idempotency WHERE incident = ?');
    const old = database.prepare(`SELECT 1 FROM idempotency WHERE key >= '${OLD}' AND key < 'key!' LIMIT 1`).get();
    this.#hasOld = old !== undefined;
  }

  /**
   * @param incident the place of the incident among all: `seq` of its report
   * @param seq of the entry that was made by the request
   */
  add(request: RequestTag | Idempotency, incident: number, seq: number): void {
    if ('id' in request) {
      this.#insert.run(request.id, request.digest, incident, seq);
      return;
    }
    this.#hasOld = true;
    this.#insert.run(`${OLD}${request.key}`, request.fingerprint, incident, seq);
  }

  /** The newest requests by which an incident was reported, as an entry that carries it over repeats them. */
  newest(incident: number): CarriedData['requests'] {
    return this.#newest.all(incident).map(({ key, fingerprint }) => [String(key), String(fingerprint)]);
  }

  /** Takes what an entry repeats that carries the incident over: others are forgotten. */
  carry(incident: number, { requests, seq }: Pick<CarriedData, 'requests'> & { readonly seq: number }): void {
    this.#forget.run(incident);
    for (const [key, fingerprint] of requests) {
      this.#hasOld ||= key.startsWith(OLD);
      this.#insert.run(key, fingerprint, incident, seq);
    }
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
