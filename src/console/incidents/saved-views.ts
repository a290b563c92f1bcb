/** The lists that everybody needs, each with an address and the number of what is in it. */
import { computed } from '@preact/signals';
import { attentionCount } from '../attention.ts';
import { ATTENTION } from '../filters.ts';
import { grouped } from '../format.ts';
import { LiveResource } from '../live-resource.ts';
import { me } from '../me.ts';
import { SECOND } from '../../clock.ts';
import { statistics } from '../statistics.ts';
import { fragmentOf } from '../route.ts';

export interface SavedView {
  readonly name: string;
  readonly query: string;
  readonly fragment: string;
  /** How many rows or incidents, as text; undefined while that is not known. */
  readonly count?: string;
}

/** Counts may be a few seconds late: a burst must not read them for each of its incidents. */
const PAUSE = 4 * SECOND;

interface GroupCount {
  readonly count: number;
}

/** How many incidents a filter matches: the groups of the list, added up. */
const countOf = (query: () => string) =>
  new LiveResource<readonly GroupCount[]>(
    () => `/api/v1/incidents/groups?by=severity&${query()}`,
    ({ event }) => event.startsWith('incident.'),
    PAUSE,
  );

const SNOOZED = 'snoozed=true';
const mineQuery = computed(() => new URLSearchParams({ assignee: me.value ?? 'none' }).toString());

export const mineCount = countOf(() => `${mineQuery.value}&state=open&state=contained&state=acknowledged`);
export const snoozedCount = countOf(() => SNOOZED);
export const silencedCount = countOf(() => 'silenced=true&state=open&state=contained&state=acknowledged');

/** All of it, in words; undefined while it is not known. */
export const sumOf = (groups: readonly GroupCount[] | undefined): number | undefined =>
  groups?.reduce((sum, { count }) => sum + count, 0);

const inWords = (count: number | undefined): string | undefined => (count === undefined ? undefined : grouped(count));

export const savedViews = computed((): readonly SavedView[] => {
  const view = (name: string, query: string, count: string | undefined): SavedView => ({
    name,
    query,
    fragment: fragmentOf({ view: 'incidents', query }),
    ...(count !== undefined && { count }),
  });
  const mine = `${STATES_UNRESOLVED}&${mineQuery.value}`;
  return [
    view('Needs attention', ATTENTION, inWords(attentionCount.value)),
    ...(me.value === undefined ? [] : [view('Mine', mine, inWords(sumOf(mineCount.value.value)))]),
    view('Snoozed', SNOOZED, inWords(sumOf(snoozedCount.value.value))),
    view('All', '', inWords(statistics.value.value?.total_incidents)),
  ];
});

const STATES_UNRESOLVED = 'state=open&state=contained&state=acknowledged';
