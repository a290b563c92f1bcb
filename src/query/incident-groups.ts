/** Incidents in groups: what a group says, how incidents are counted into groups, and the order of these. Pure. */
import {
  type ContainmentStatus,
  type IncidentClass,
  SEVERITIES,
  type Severity,
  type State,
  STATES,
} from '../../machines/vocabulary.ts';
import { beginningOf } from '../domain/beginning.ts';
import type { ListQuery } from './list-query.ts';

/** What groups can be made by. */
export const GROUP_MEMBERS = ['class', 'source', 'severity', 'state', 'assignee'] as const;
export type GroupMember = (typeof GROUP_MEMBERS)[number];

/** What the incidents of a group have in common, as far as they are grouped by it. */
type Shared = {
  readonly class?: IncidentClass;
  readonly source?: string;
  readonly state?: State;
  /** Null: nobody's. */
  readonly assignee?: string | null;
};

export interface IncidentGroup extends Shared {
  readonly count: number;
  /** When the first and the last of them were created: RFC 3339. */
  readonly first: string;
  readonly last: string;
  /** The worst. */
  readonly severity: Severity;
  /** How many are in each state; states without any are left out. */
  readonly states: Readonly<Partial<Record<State, number>>>;
  /** The identifier of the newest. */
  readonly newest: string;
  /** Of the newest; of a long one the beginning. */
  readonly description: string;
  /** How many unresolved ones are whose. */
  readonly assignees?: Readonly<Record<string, number>>;
  /** How far the containment of the unresolved ones is. */
  readonly containment?: Containment;
  /** How many unresolved ones were looked at for assignees and containment, when there are more. */
  readonly looked_at?: number;
}

/** How many incidents have which status of containment; `broken` needs somebody: it has failed, or was lost. */
export interface Containment {
  readonly overdue: number;
  readonly broken: number;
  readonly delivering: number;
  readonly confirmed: number;
}

const MEMBER_OF = {
  overdue: 'overdue',
  degraded: 'broken',
  delivering: 'delivering',
  confirmed: 'confirmed',
} as const satisfies Record<ContainmentStatus, keyof Containment>;

export interface GroupsQuery {
  /** Which incidents; its `limit` and `after` do not matter. */
  readonly filter: ListQuery;
  readonly by: readonly GroupMember[];
  /** How many groups, after so many. */
  readonly limit: number;
  readonly skip: number;
  /** The newest incident that counts; the newest on record when not given. */
  readonly head?: number;
  /** Whether assignees and containment are left out. */
  readonly isBare?: boolean;
  /** Whether drills are left out. */
  readonly withoutDrills?: boolean;
}

export interface GroupsPage {
  /** The group with the worst severity first, then the one with the newest incident. */
  readonly groups: readonly IncidentGroup[];
  /** How many incidents the filters select, and in how many groups. */
  readonly incidents: number;
  readonly total: number;
  /** Whether all of them were counted; otherwise there are more. */
  readonly isComplete: boolean;
  /** The newest incident that counts. */
  readonly head: number;
}

/** What is looked at of an incident to group it. */
export interface Grouped {
  readonly class: IncidentClass;
  readonly source: string;
  readonly state: State;
  /** Of its severity: the most severe is 0. */
  readonly rank: number;
  /** Whose it is; null for nobody's. */
  readonly assignee: string | null;
  /** How far its containment is; null when none was asked for. */
  readonly containment: ContainmentStatus | null;
}

/** How many groups are kept: sources name themselves, so there may be as many as incidents. */
const MOST_GROUPS = 10_000;
/** How many characters of a description are shown: there may be a thousand groups on a page. */
export const LONGEST_DESCRIPTION = 500;
/** How many names a group has as its assignees. */
const MOST_ASSIGNEES = 20;
/** One that is being counted. `first` and `last` are numbers of incidents. */
export interface Group {
  readonly shared: Shared;
  readonly rankBy: number | undefined;
  count: number;
  first: number;
  last: number;
  rank: number;
  readonly states: Map<State, number>;
  details: Details | undefined;
}

export class Details {
  readonly assignees = new Map<string, number>();
  readonly containment = { overdue: 0, broken: 0, delivering: 0, confirmed: 0 };
  looked = 0;

  add({ assignee, containment }: Pick<Grouped, 'assignee' | 'containment'>): void {
    this.looked += 1;
    if (containment !== null) this.containment[MEMBER_OF[containment]] += 1;
    if (assignee === null) return;
    const count = this.assignees.get(assignee) ?? 0;
    if (count > 0 || this.assignees.size < MOST_ASSIGNEES) this.assignees.set(assignee, count + 1);
  }
}

export const unresolvedOf = ({ count, states }: Group): number => count - (states.get('resolved') ?? 0);

/** What was counted so far. */
export class GroupCounts {
  readonly #by: readonly GroupMember[];
  readonly #groups = new Map<string, Group>();
  incidents = 0;
  /** Whether there are more groups than are kept. */
  isFull = false;

  constructor(by: readonly GroupMember[]) {
    this.#by = by;
  }

  get size(): number {
    return this.#groups.size;
  }

  /** @returns the group; undefined when there are too many */
  add(
    some: Pick<Grouped, 'class' | 'source' | 'state' | 'rank' | 'assignee'> & Pick<Group, 'count' | 'first' | 'last'>,
  ): Group | undefined {
    const { state, rank, count, first, last } = some;
    this.incidents += count;
    const key = JSON.stringify(this.#by.map((member) => (member === 'severity' ? rank : some[member])));
    let group = this.#groups.get(key);
    if (group === undefined) {
      if (this.#groups.size >= MOST_GROUPS) {
        this.isFull = true;
        return undefined;
      }
      const shared: Shared = Object.fromEntries(
        this.#by.filter((member) => member !== 'severity').map((member) => [member, some[member]]),
      );
      const rankBy = this.#by.includes('severity') ? rank : undefined;
      group = { shared, rankBy, count: 0, first, last, rank, states: new Map(), details: undefined };
      this.#groups.set(key, group);
    }
    group.count += count;
    group.first = Math.min(group.first, first);
    group.last = Math.max(group.last, last);
    group.rank = Math.min(group.rank, rank);
    group.states.set(state, (group.states.get(state) ?? 0) + count);
    return group;
  }

  inOrder(): readonly Group[] {
    return [...this.#groups.values()].toSorted((one, other) => one.rank - other.rank || other.last - one.last);
  }
}

/**
 * A group as it is shown.
 * @param timeOf RFC 3339 of when the incident with this number was created
 * @param newest the newest incident of the group
 */
export function shownGroup(
  { shared, count, first, last, rank, states, details }: Group,
  timeOf: (number: number) => string,
  newest: { readonly id: string; readonly description: string },
): IncidentGroup {
  const unresolved = count - (states.get('resolved') ?? 0);
  return {
    ...shared,
    count,
    first: timeOf(first),
    last: timeOf(last),
    severity: SEVERITIES[rank]!,
    states: Object.fromEntries(STATES.flatMap((state) => (states.has(state) ? [[state, states.get(state)]] : []))),
    newest: newest.id,
    description: beginningOf(newest.description, LONGEST_DESCRIPTION),
    ...(details !== undefined && {
      assignees: Object.fromEntries(details.assignees),
      containment: details.containment,
      ...(details.looked < unresolved && { looked_at: details.looked }),
    }),
  };
}

/** What the statistics say of a group. */
export const statisticsOfGroup = ({
  newest: _newest,
  description: _description,
  assignees: _assignees,
  containment: _containment,
  looked_at: _lookedAt,
  ...counts
}: IncidentGroup): Partial<IncidentGroup> => counts;
