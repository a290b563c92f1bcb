/**
 * What silences leave out of a list of the fleet. Each machine has silences of its own, and few at a time, so those that are
 * active are compared with the incidents of their machines one by one, by the recorder's own rule.
 */
import { sql } from 'kysely';
import { type IncidentClass, SEVERITIES } from '../../../machines/vocabulary.ts';
import type { Incident } from '../../domain/incident.ts';
import { silenceState } from '../../domain/silence.ts';
import type { SilenceOnRecord } from '../../domain/silence-terms.ts';
import type { AttentionFilter } from '../../query/list-query.ts';
import { admits, silencesMatching } from '../../query/silence-match.ts';
import type { FleetDatabase } from '../database.ts';
import { documentsOf, type IncidentKey } from './documents.ts';
import { silencesOf } from '../read-models/silences.ts';
import { anyText, type Condition } from './list-filter.ts';

/** How many incidents are compared in one go. */
const COMPARED_AT_ONCE = 256;

/** What of an incident silences look at first. */
export interface SilencedColumns extends IncidentKey {
  readonly class: string;
  readonly source: string;
  readonly rank: number;
}

/** The filter of one list by attention and silences. */
export class Silencing {
  readonly #db: FleetDatabase;
  readonly #silenced: boolean;
  readonly #active: ReadonlyMap<string, readonly SilenceOnRecord[]>;
  /** Whether nothing can be admitted: what is silenced needs no attention. */
  readonly isNothing: boolean;

  private constructor(
    db: FleetDatabase,
    { needed = false, silenced }: AttentionFilter,
    active: ReadonlyMap<string, readonly SilenceOnRecord[]>,
  ) {
    this.#db = db;
    this.#silenced = silenced === true;
    this.#active = active;
    this.isNothing = silenced === true && (needed || active.size === 0);
  }

  /** @param machines those that the list is about; undefined for all */
  static async read(
    db: FleetDatabase,
    filter: AttentionFilter,
    machines: readonly string[] | undefined,
  ): Promise<Silencing> {
    const active = new Map<string, SilenceOnRecord[]>();
    for (const { machine, silence } of await silencesOf(db, machines)) {
      if (silenceState(silence, filter.at) !== 'active') continue;
      active.set(machine, [...(active.get(machine) ?? []), silence]);
    }
    return new Silencing(db, filter, active);
  }

  /** What SQL may leave out before. */
  get conditions(): readonly Condition[] {
    return this.#silenced ? [sql`i.machine = ${anyText([...this.#active.keys()])}`] : [];
  }

  /** Whether incidents are compared one by one. */
  get isByWords(): boolean {
    return this.#active.size > 0;
  }

  /** The first `most` of some incidents that silences do not leave out, in their order. */
  async kept<Row extends SilencedColumns>(rows: readonly Row[], most: number): Promise<readonly Row[]> {
    if (!this.isByWords) return this.#silenced ? [] : rows.slice(0, most);
    const kept: Row[] = [];
    for (let at = 0; at < rows.length && kept.length < most; at += COMPARED_AT_ONCE) {
      const some = rows.slice(at, at + COMPARED_AT_ONCE);
      const matched = new Set<string>();
      const doubtful: Row[] = [];
      for (const row of some) {
        const silences = this.#matchingColumns(row);
        if (silences.some(({ q }) => q === undefined)) matched.add(keyOf(row));
        else if (silences.length > 0) doubtful.push(row);
      }
      for (const { document, ...row } of await documentsOf<IncidentKey>(this.#db, doubtful)) {
        if (this.isSilenced(row.machine, JSON.parse(document) as Incident)) matched.add(keyOf(row));
      }
      kept.push(...some.filter((row) => matched.has(keyOf(row)) === this.#silenced));
    }
    return kept.slice(0, most);
  }

  /** The active silences of its machine that match an incident, apart from words: for these its text is read. */
  #matchingColumns({ machine, class: ofClass, source, rank }: SilencedColumns): readonly SilenceOnRecord[] {
    const silences = this.#active.get(machine) ?? [];
    const columns = { class: ofClass as IncidentClass, source, severity: SEVERITIES[rank]! };
    return silences.filter((silence) => admits(silence, columns));
  }

  /** Whether an active silence of its machine matches an incident. */
  isSilenced(machine: string, incident: Incident): boolean {
    return silencesMatching(incident, this.#active.get(machine) ?? []).length > 0;
  }
}

const keyOf = ({ machine, log, id }: IncidentKey): string => `${machine} ${log} ${id}`;
