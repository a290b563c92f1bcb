/** How many incidents there are of each kind, summed over machines, and how many need attention. */
import { sql } from 'kysely';
import type { IncidentClass, Severity, State } from '../../../machines/vocabulary.ts';
import type { Kind } from '../../query/statistics.ts';
import type { FleetDatabase } from '../database.ts';
import { type KeptSums, keyOfMachines } from './kept-sums.ts';
import { countsOfAll } from '../read-models/left-counts.ts';
import { anyText } from './list-filter.ts';
import { type SilencedColumns, Silencing } from './silencing.ts';

export interface CountedKind extends Kind {
  readonly isDrill: boolean;
}

export interface Totals {
  readonly population: readonly CountedKind[];
  readonly entered: readonly (readonly [string, number])[];
  readonly containments: readonly (readonly [string, number])[];
  readonly resolutions: readonly (readonly [string, number])[];
}

export class FleetTotals {
  readonly #db: FleetDatabase;
  readonly #kept: KeptSums;

  constructor(db: FleetDatabase, kept: KeptSums) {
    this.#db = db;
    this.#kept = kept;
  }

  /** @param machines undefined for all */
  read(machines: readonly string[] | undefined): Promise<Totals> {
    return this.#kept.of(`totals ${keyOfMachines(machines)}`, () => this.#sum(machines));
  }

  /** How many incidents need attention. @param at when silences count: milliseconds since the epoch */
  async attention(machines: readonly string[] | undefined, at: number): Promise<number> {
    const total = await this.#kept.of(`attention ${keyOfMachines(machines)}`, () => attended(this.#db, machines));
    return total === 0 ? 0 : total - (await silenced(this.#db, machines, at));
  }

  async #sum(machines: readonly string[] | undefined): Promise<Totals> {
    const { rows } = await sql<{ kind: string; name: string; count: number }>`
      SELECT s.kind, s.name, sum(s.count)::bigint AS count
      FROM ${countsOfAll(machines === undefined ? sql`true` : sql`s.machine = ${anyText(machines)}`)}
      GROUP BY s.kind, s.name`.execute(this.#db);
    const of = (kind: string): readonly (readonly [string, number])[] =>
      rows.filter((row) => row.kind === kind).map(({ name, count }) => [name, count]);
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

/** How many that need attention are compared with silences. */
const MOST_COMPARED = 5000;

/** How many incidents need attention, apart from silences. */
async function attended(db: FleetDatabase, machines: readonly string[] | undefined): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT count(*) AS count FROM incidents i WHERE i.current AND i.attention ${ofMachines(machines)}`.execute(db);
  return Number(rows[0]?.count);
}

/** How many of them silences match. With very many, not all are looked at. */
async function silenced(db: FleetDatabase, machines: readonly string[] | undefined, at: number): Promise<number> {
  const silencing = await Silencing.read(db, { silenced: true, at }, machines);
  if (!silencing.isByWords) return 0;
  const { rows } = await sql<SilencedColumns>`
    SELECT i.machine, i.log, i.id, i.class, i.source, i.rank FROM incidents i
    WHERE i.current AND i.attention AND ${silencing.conditions[0]} ${ofMachines(machines)}
    LIMIT ${sql.lit(MOST_COMPARED)}`.execute(db);
  return (await silencing.kept(rows, MOST_COMPARED)).length;
}

const ofMachines = (machines: readonly string[] | undefined) =>
  machines === undefined ? sql`` : sql`AND i.machine = ${anyText(machines)}`;
