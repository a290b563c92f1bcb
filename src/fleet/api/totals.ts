/**
 * How many incidents there are of each kind, summed over machines, and how many need attention.
 *
 * Sums over many machines are kept until an entry is stored again; with very many, for a moment longer.
 */
import { sql } from 'kysely';
import type { IncidentClass, Severity, State } from '../../../machines/vocabulary.ts';
import type { Clock } from '../../clock.ts';
import type { Kind } from '../../query/statistics.ts';
import type { FleetDatabase } from '../database.ts';
import { anyText } from './list-filter.ts';
import { Silencing } from './silencing.ts';

export interface CountedKind extends Kind {
  readonly isDrill: boolean;
}

export interface Totals {
  readonly population: readonly CountedKind[];
  readonly entered: readonly (readonly [string, number])[];
  readonly containments: readonly (readonly [string, number])[];
  readonly resolutions: readonly (readonly [string, number])[];
}

interface Kept {
  readonly advanced: string;
  readonly at: number;
  readonly until: number;
  readonly totals: Totals;
}

/** Sums that took so many milliseconds are kept this many times as long, though entries have come since. */
const KEPT_FOR = 20;
const MOST_KEPT = 64;

export class FleetTotals {
  readonly #db: FleetDatabase;
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();

  constructor(db: FleetDatabase, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** @param machines undefined for all */
  async read(machines: readonly string[] | undefined): Promise<Totals> {
    const key = machines === undefined ? '*' : JSON.stringify(machines);
    const known = this.#kept.get(key);
    const begun = this.#clock.monotonic();
    if (known !== undefined && begun < known.until) return known.totals;
    const advanced = await this.#advanced();
    if (known?.advanced === advanced) return known.totals;
    const totals = await this.#sum(machines);
    const now = this.#clock.monotonic();
    // A few milliseconds are as good as none.
    const cost = now - begun < CHEAP ? 0 : now - begun;
    if (this.#kept.size >= MOST_KEPT) this.#kept.clear();
    this.#kept.set(key, { advanced, at: begun, until: now + cost * KEPT_FOR, totals });
    return totals;
  }

  /** A word that changes with each entry that is stored. */
  async #advanced(): Promise<string> {
    const { rows } = await sql<{ word: string | null }>`
      SELECT concat((SELECT max(advanced_at) FROM logs), ' ', (SELECT sum(built + ordinal) FROM logs)) AS word`.execute(
      this.#db,
    );
    return rows[0]?.word ?? '';
  }

  async #sum(machines: readonly string[] | undefined): Promise<Totals> {
    const { rows } = await sql<{ kind: string; name: string; count: number }>`
      SELECT s.kind, s.name, sum(s.count)::bigint AS count FROM stats s
      JOIN logs l ON l.machine = s.machine AND l.log = s.log
      WHERE l.active ${machines === undefined ? sql`` : sql`AND s.machine = ${anyText(machines)}`}
      GROUP BY s.kind, s.name`.execute(this.#db);
    const of = (kind: string): readonly (readonly [string, number])[] =>
      rows.filter((row) => row.kind === kind).map(({ name, count }) => [name, Number(count)] as const);
    return {
      population: of('population').map(([name, count]) => {
        const [ofClass, severity, state, drill] = name.split(' ') as [IncidentClass, Severity, State, string];
        return { class: ofClass, severity, state, isDrill: drill === '1', count };
      }),
      entered: of('entered'),
      containments: of('containment'),
      resolutions: of('resolution'),
    };
  }
}

/** In milliseconds. */
const CHEAP = 10;
/** How many that need attention are compared with silences. */
const MOST_COMPARED = 5000;

/** How many incidents need attention. With very many, silences may not be counted out of all. @param at milliseconds */
export async function attentionCount(
  db: FleetDatabase,
  machines: readonly string[] | undefined,
  at: number,
): Promise<number> {
  const scope = machines === undefined ? sql`` : sql`AND i.machine = ${anyText(machines)}`;
  const { rows } = await sql<{ count: number }>`
    SELECT count(*) AS count FROM incidents i WHERE i.current AND i.attention ${scope}`.execute(db);
  const total = Number(rows[0]?.count);
  const silencing = await Silencing.read(db, { silenced: true, at }, machines);
  if (total === 0 || !silencing.isByWords) return total;
  const attended = await sql<{ machine: string; log: string; id: string }>`
    SELECT i.machine, i.log, i.id FROM incidents i
    WHERE i.current AND i.attention AND ${silencing.conditions[0]} ${scope} LIMIT ${MOST_COMPARED}`.execute(db);
  return total - (await silencing.kept(attended.rows, MOST_COMPARED)).length;
}
