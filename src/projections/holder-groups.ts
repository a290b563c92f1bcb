/**
 * Who holds each action, by class and source: counted in memory, because a posture is read at each change and thousands
 * may hold an action. The first read counts the rows; from then on each entry changes the counts.
 */
import { type ContainmentAction, type IncidentClass, SEVERITIES, type Severity } from '../../machines/vocabulary.ts';
import type { Incident } from '../domain/incident.ts';
import type { Database, Statement } from './database.ts';

/** The holders of an action of one class and source. */
export interface HolderGroup {
  readonly class: IncidentClass;
  readonly source: string;
  /** How many they are, and the worst of their severities. */
  readonly count: number;
  readonly severity: Severity;
  /** When the oldest of those that are named was reported: RFC 3339. */
  readonly first?: string;
  /** The oldest of them, as far as they are named, and how many more there are. */
  readonly ids: readonly string[];
  readonly more: number;
}

/** How much is given of the groups. */
export interface GroupBounds {
  /** How many groups at most, how many of them with identifiers, and how many identifiers of each. */
  readonly groups: number;
  readonly named: number;
  readonly ids: number;
}

/** The states of incidents that hold actions. */
const HOLDING = ['contained', 'acknowledged'] as const;
/** How many incidents of one class, source, state and severity are looked at for those that hold the action. */
const MOST_LOOKED_AT = 1000;

/** How many of a group have each severity. */
interface Counts {
  readonly class: IncidentClass;
  readonly source: string;
  readonly ranks: number[];
}

export class HolderGroups {
  readonly #rows: Statement;
  readonly #ids: Statement;
  /** Undefined until somebody reads them. */
  readonly #of = new Map<ContainmentAction, Map<string, Counts>>();

  /** @param released the status of the rows that hold nothing any more */
  constructor(database: Database, released: string) {
    this.#rows = database.prepare(`
      SELECT class, source, rank, count(*) AS count FROM deliveries JOIN incidents ON number = incident
      WHERE action = ? AND status <> '${released}' GROUP BY class, source, rank`);
    this.#ids = database.prepare(`
      SELECT number, id, created_at FROM (
        SELECT number, id, created_at FROM incidents INDEXED BY incidents_by_source
        WHERE source = ?2 AND state = ?3 AND class = ?4 AND rank = ?5 ORDER BY number LIMIT ${MOST_LOOKED_AT}
      )
      WHERE EXISTS (
        SELECT 1 FROM deliveries WHERE action = ?1 AND incident = number AND status <> '${released}'
      )
      LIMIT ?6`);
  }

  /** The holders of an action, the worst severity first, then the most; and how many groups there are in all. */
  read(
    action: ContainmentAction,
    bounds: GroupBounds,
  ): { readonly groups: readonly HolderGroup[]; readonly all: number } {
    const known = this.#of.get(action) ?? this.#count(action);
    const sorted = [...known.values()].toSorted(
      (one, other) => worst(one) - worst(other) || sizeOf(other) - sizeOf(one) || (keyOf(one) < keyOf(other) ? -1 : 1),
    );
    const groups = sorted.slice(0, bounds.groups).map((group, place) => {
      const named = place < bounds.named ? this.#named(action, group, bounds.ids) : [];
      const count = sizeOf(group);
      return {
        class: group.class,
        source: group.source,
        count,
        severity: SEVERITIES[worst(group)]!,
        ...(named[0] === undefined ? {} : { first: named[0].first }),
        ids: named.map(({ id }) => id),
        more: count - named.length,
      };
    });
    return { groups, all: known.size };
  }

  /** Counts an incident in, or out (-1), that holds an action with this severity. */
  add(action: ContainmentAction, incident: Incident, severity: Severity, by: 1 | -1): void {
    const known = this.#of.get(action);
    if (known === undefined) return;
    const key = keyOf(incident);
    const group = known.get(key) ?? begun(incident);
    const rank = SEVERITIES.indexOf(severity);
    group.ranks[rank] = (group.ranks[rank] ?? 0) + by;
    if (sizeOf(group) === 0) known.delete(key);
    else known.set(key, group);
  }

  /** Forgets the counts: the table may hold something else. */
  forget(): void {
    this.#of.clear();
  }

  #count(action: ContainmentAction): Map<string, Counts> {
    const known = new Map<string, Counts>();
    for (const { class: ofClass, source, rank, count } of this.#rows.all(action)) {
      const kind = { class: ofClass as IncidentClass, source: String(source) };
      const group = known.get(keyOf(kind)) ?? begun(kind);
      group.ranks[Number(rank)] = Number(count);
      known.set(keyOf(kind), group);
    }
    this.#of.set(action, known);
    return known;
  }

  /** The oldest of a group. */
  #named(
    action: ContainmentAction,
    group: Counts,
    most: number,
  ): readonly { readonly id: string; readonly first: string }[] {
    return HOLDING.flatMap((state) =>
      group.ranks.flatMap((count, rank) =>
        count === 0 ? [] : this.#ids.all(action, group.source, state, group.class, rank, most),
      ),
    )
      .toSorted((one, other) => Number(one.number) - Number(other.number))
      .slice(0, most)
      .map(({ id, created_at }) => ({ id: String(id), first: new Date(Number(created_at)).toISOString() }));
  }
}

type Kind = Pick<Counts, 'class' | 'source'>;

const keyOf = ({ class: ofClass, source }: Kind): string => `${ofClass} ${source}`;

const begun = ({ class: ofClass, source }: Kind): Counts => ({
  class: ofClass,
  source,
  ranks: SEVERITIES.map(() => 0),
});

const worst = ({ ranks }: Counts): number => ranks.findIndex((count) => count !== 0);

const sizeOf = ({ ranks }: Counts): number => ranks.reduce((sum, count) => sum + count, 0);
