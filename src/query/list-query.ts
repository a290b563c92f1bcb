/** What is asked of the list of incidents: filters, order, and the place to go on from. */
import type { ContainmentStatus, IncidentClass, Resolution, Severity, State } from '../../machines/vocabulary.ts';
import type { SearchTerm } from '../search/search-terms.ts';
import type { SearchWord } from '../search/search-words.ts';

/** What of the list's filters is about attention and silences. */
export interface AttentionFilter {
  /** Whether only incidents that need attention are listed. Those that are silenced do not. */
  readonly needed?: boolean;
  /** Only those that an active silence matches (`true`), or only the others. */
  readonly silenced?: boolean;
  /** The time at which silences are active, in milliseconds since the epoch. */
  readonly at: number;
}

/** What a list may be ordered by. */
export const SORT_KEYS = ['severity', 'created', 'updated', 'class', 'source', 'state', 'assignee'] as const;
export type SortKey = (typeof SORT_KEYS)[number];

/**
 * An order of the list. `severity` is the most severe first, `state` the order of the chart, `created` and `updated` the
 * oldest first, the others that of their names; `-` turns it round. Incidents that nobody works are last either way. Where
 * the values are the same, the newest are first; the same times follow each other as the incidents were recorded.
 */
export type Sort = SortKey | `-${SortKey}`;

export const SORTS: readonly Sort[] = SORT_KEYS.flatMap((key) => [key, `-${key}`] as const);

/** What an incident has of what a list is ordered by: a rank, milliseconds since the epoch, a name; null for nobody. */
export type SortedBy = number | string | null;

/** A place in the list: behind the incident of this severity rank and number, seen from when `head` was the newest. */
export interface UsualPlace {
  readonly rank: number;
  readonly seq: number;
  readonly head: number;
  /** Which log it is a place in; undefined for whatever log is there. */
  readonly log?: string;
  readonly sort?: undefined;
}

/** A place in a list of another order, behind the incident with this value and number. */
interface SortedPlace extends Omit<UsualPlace, 'rank' | 'sort'> {
  readonly sort: Sort;
  readonly key: SortedBy;
}

export type Cursor = UsualPlace | SortedPlace;

/** What to list. An empty list of values stands for all of them. */
export interface ListQuery {
  readonly classes: readonly IncidentClass[];
  readonly states: readonly State[];
  readonly severities: readonly Severity[];
  readonly sources: readonly string[];
  /** Words that all have to occur in id, source, description, notes and people, or in evidence. */
  readonly words?: readonly SearchWord[];
  /** Values that all have to be there. */
  readonly terms?: readonly SearchTerm[];
  /** Whether words may occur in evidence as well: only for a reader who may see evidence. */
  readonly evidence?: boolean;
  /** What they turned out to be; an empty list, or none, for any, also for those of which nobody has said it. */
  readonly resolutions?: readonly Resolution[];
  /** Who has acted on them. */
  readonly by?: readonly string[];
  /** Who works them; null for nobody. */
  readonly assignees?: readonly (string | null)[];
  readonly snoozed?: boolean;
  /** How their containment is. */
  readonly containment?: readonly ContainmentStatus[];
  /** By attention and silences; undefined for whatever needs attention or not, and is silenced or not. */
  readonly attention?: AttentionFilter;
  /** On `created_at`, in milliseconds since the epoch: from `since` on, before `until`. */
  readonly since?: number;
  readonly until?: number;
  /** On `updated_at`: from then on. */
  readonly updatedSince?: number;
  /** `severity` when not given. */
  readonly sort?: Sort;
  readonly limit: number;
  /** How many bytes the page may hold, unless a single item is longer; at most and by default `MAX_PAGE_BYTES` of the list. */
  readonly bytes?: number;
  readonly after?: Cursor;
  /** Whether the details of incidents are left out: see domain/document.ts. */
  readonly isSummary?: boolean;
  /** Whether several incidents without details may come in one text, with commas between. */
  readonly isJoined?: boolean;
  /** Whether incidents of one source that are alike are one item. */
  readonly collapsed?: boolean;
}

/** The members of a query that do not select incidents. */
const NOT_SELECTING = ['evidence', 'limit', 'bytes', 'after', 'collapsed', 'sort', 'isSummary', 'isJoined'];

/** Whether a query selects incidents by these filters only. */
export const hasOnly = (query: ListQuery, filters: readonly string[]): boolean =>
  Object.entries(query).every(
    ([name, value]: [string, unknown]) =>
      filters.includes(name) ||
      NOT_SELECTING.includes(name) ||
      value === undefined ||
      (Array.isArray(value) && value.length === 0),
  );

/** Whether a list of values admits one; an empty list admits all. */
export const admits = <Value>(values: readonly Value[], value: Value): boolean =>
  values.length === 0 || values.includes(value);

/** The place before the first incident of a list in the usual order. */
export const beginningAt = (head: number): UsualPlace => ({ rank: 0, seq: head + 1, head });
