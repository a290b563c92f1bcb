/** The idempotency keys of reports, for as long as their incidents are on record. */
import type { Idempotency } from '../domain/entries.ts';
import type { Database, Statement } from './database.ts';

export interface ReportedUnder {
  readonly fingerprint: string;
  /** Identifier of the incident. */
  readonly id: string;
}

export class IdempotencyKeys {
  readonly #insert: Statement;
  readonly #find: Statement;

  constructor(database: Database) {
    this.#insert = database.prepare(
      'INSERT INTO idempotency (key, fingerprint, incident) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#find = database.prepare(
      'SELECT fingerprint, id FROM idempotency JOIN incidents ON number = incident WHERE key = ?',
    );
  }

  /** @param incident the place of the incident among all: `seq` of its report */
  add({ key, fingerprint }: Idempotency, incident: number): void {
    this.#insert.run(key, fingerprint, incident);
  }

  find(key: string): ReportedUnder | undefined {
    const row = this.#find.get(key);
    return row === undefined ? undefined : { fingerprint: String(row.fingerprint), id: String(row.id) };
  }
}
