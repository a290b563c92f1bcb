/**
 * Sums over many machines, kept until an entry is stored again; those that take long are kept for a multiple of that time,
 * though entries have come since. So many who look at the same statistics cost what one does.
 */
import { sql } from 'kysely';
import type { Clock } from '../../clock.ts';
import type { FleetDatabase } from '../database.ts';

interface Kept {
  readonly advanced: string;
  readonly until: number;
  readonly value: unknown;
}

/** What took so many milliseconds is kept this many times as long. What takes less than `CHEAP` is not. */
const KEPT_FOR = 20;
const CHEAP = 10;
const MOST_KEPT = 256;

export class KeptSums {
  readonly #db: FleetDatabase;
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();
  readonly #running = new Map<string, Promise<unknown>>();

  constructor(db: FleetDatabase, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /**
   * What `sum` gives, or gave a moment ago.
   * @param key what is summed up, of which machines
   */
  async of<Value>(key: string, sum: () => Promise<Value>): Promise<Value> {
    const known = this.#kept.get(key);
    if (known !== undefined && this.#clock.monotonic() < known.until) return known.value as Value;
    const running = this.#running.get(key);
    if (running !== undefined) return running as Promise<Value>;
    const made = this.#make(key, known, sum).finally(() => this.#running.delete(key));
    this.#running.set(key, made);
    return made;
  }

  async #make<Value>(key: string, known: Kept | undefined, sum: () => Promise<Value>): Promise<Value> {
    const advanced = await this.#advanced();
    if (known?.advanced === advanced) return known.value as Value;
    const begun = this.#clock.monotonic();
    const value = await sum();
    const now = this.#clock.monotonic();
    const cost = now - begun < CHEAP ? 0 : now - begun;
    if (this.#kept.size >= MOST_KEPT) this.#kept.clear();
    this.#kept.set(key, { advanced, until: now + cost * KEPT_FOR, value });
    return value;
  }

  /** A word that changes with each entry that is stored. */
  async #advanced(): Promise<string> {
    const { rows } = await sql<{ word: string | null }>`
      SELECT concat((SELECT max(advanced_at) FROM logs), ' ', (SELECT sum(built + ordinal) FROM logs)) AS word`.execute(
      this.#db,
    );
    return rows[0]?.word ?? '';
  }
}

/** The key of some machines. @param machines undefined for all */
export const keyOfMachines = (machines: readonly string[] | undefined): string =>
  machines === undefined ? '*' : JSON.stringify(machines);
