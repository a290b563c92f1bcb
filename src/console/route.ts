/** The view that the page shows, in the fragment of its address: for bookmarks and the back button. */
import { signal } from '@preact/signals';
import { ATTENTION, type Filters, writeFilters } from './filters.ts';
import { keyOfIncident, nameOfIncident } from './incident-key.ts';
import { isFleet } from './service.ts';

const OF_RECORDER = ['incidents', 'posture', 'overview', 'statecharts', 'audit'] as const;
const OF_FLEET = [
  ...(['incidents', 'machines', 'posture', 'campaigns', 'recoveries', 'commands'] as const),
  ...(['overview', 'statecharts', 'audit'] as const),
] as const;
export type View = (typeof OF_RECORDER)[number] | (typeof OF_FLEET)[number];

/** The views of the service. */
export const VIEWS: readonly View[] = isFleet ? OF_FLEET : OF_RECORDER;

export interface Route {
  readonly view: View;
  /** The open incident, by its key; or what else is open in the view. */
  readonly id?: string;
  /** The filters of the list, as a query. */
  readonly query: string;
}

/**
 * Reads a fragment like `#/incidents/INC-20261122-4f2a9c01d3e8?state=open`, at the fleet with the machine of the incident:
 * `#/incidents/INC-20261122-4f2a9c01d3e8;machine=berlin-1?state=open`. Anything unknown leads to the list.
 */
export const readRoute = (fragment: string): Route => {
  const [path = '', query = ''] = fragment.replace(/^#\/?/, '').split('?', 2);
  const [name, id] = path.split('/', 2);
  const view = VIEWS.find((known) => known === name);
  if (view === undefined) return { view: 'incidents', query: ATTENTION };
  return {
    view,
    query,
    ...(id !== undefined && id !== '' && { id: view === 'incidents' ? readKey(id, query) : decoded(id) }),
  };
};

const OF_MACHINE = ';machine=';

/** @param query may name the machine as well, as it does in the API */
const readKey = (text: string, query: string): string => {
  const [id = '', named] = text.split(OF_MACHINE, 2);
  if (!isFleet) return decoded(text);
  const machines = new URLSearchParams(query).getAll('machine');
  const machine = named === undefined ? (machines.length === 1 ? machines[0] : undefined) : decoded(named);
  return keyOfIncident(decoded(id), machine);
};

const writeKey = (key: string): string => {
  const { id, machine } = nameOfIncident(key);
  return `${encodeURIComponent(id)}${machine === undefined ? '' : `${OF_MACHINE}${encodeURIComponent(machine)}`}`;
};

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

/** The fragment that `readRoute` reads back. */
export const fragmentOf = ({ view, id, query }: Route): string => {
  const path = id === undefined ? view : `${view}/${writeKey(id)}`;
  return `#/${path}${query === '' ? '' : `?${query}`}`;
};

/** The fragment of the list under these filters. */
export const listOf = (filters: Filters): string => fragmentOf({ view: 'incidents', query: writeFilters(filters) });

/** The fragment of an incident, next to the present list. */
export const incidentFragment = (id: string): string => {
  const { view, query } = route.peek();
  return fragmentOf({ view: 'incidents', id, query: view === 'incidents' ? query : '' });
};

export const route = signal<Route>({ view: 'incidents', query: ATTENTION });

/** Follows the address, for the life of the page. */
export const followAddress = (): void => {
  addEventListener('hashchange', follow);
  follow();
};

/** The same view stays the same object, so that it is not drawn again. */
const follow = (): void => {
  const next = readRoute(location.hash);
  if (fragmentOf(next) !== fragmentOf(route.peek())) route.value = next;
};

/**
 * Shows another view at once, as a new step in the history or in place of the present one. The browser says later that
 * the address has changed; by then the next key may have come, and it is meant for the new view.
 */
export const goTo = (fragment: string, how: 'step' | 'replace' = 'step'): void => {
  if (how === 'step') location.hash = fragment;
  else history.replaceState(null, '', fragment);
  follow();
};
