/** Which incidents to list: written in the page's address, sent to the API, and applied to a new incident. */
import {
  ACTIONS,
  CLASSES,
  SEVERITIES,
  STATES,
  UNATTENDED_STATES,
  type ContainmentAction,
  type IncidentClass,
  type Severity,
  type State,
} from '../../machines/vocabulary.ts';
import { HOUR } from '../clock.ts';

/** Spans of time that end now, by name. */
export const SPANS = { '1h': HOUR, '24h': 24 * HOUR, '7d': 7 * 24 * HOUR } as const;
export type Span = keyof typeof SPANS;

/** Empty lists admit everything. */
export interface Filters {
  readonly classes: readonly IncidentClass[];
  readonly states: readonly State[];
  readonly severities: readonly Severity[];
  readonly sources: readonly string[];
  /** Words to look for in description, source and id. */
  readonly words: string;
  /** The containment action that they hold, as the console applies it: the API can't filter by it. */
  readonly holds?: ContainmentAction | undefined;
  readonly last?: Span;
  /** RFC 3339; from `since` on, before `until`. */
  readonly since?: string;
  readonly until?: string;
  /** Whether incidents of one source that are alike are one row. */
  readonly collapsed?: boolean;
}

/** The incidents that nobody has taken on yet: where an operator begins. */
export const UNATTENDED = UNATTENDED_STATES.map((state) => `state=${state}`).join('&');

/** Reads the query of an address, and ignores what it does not know. */
export const readFilters = (query: string): Filters => {
  const given = new URLSearchParams(query);
  const among = <Word extends string>(name: string, words: readonly Word[]): readonly Word[] =>
    words.filter((word) => given.getAll(name).includes(word));
  const last = given.get('last');
  const time = (name: string): string | undefined => {
    const milliseconds = Date.parse(given.get(name) ?? '');
    return Number.isNaN(milliseconds) ? undefined : new Date(milliseconds).toISOString();
  };
  const since = time('since');
  const until = time('until');
  const holds = ACTIONS.find((action) => action === given.get('holds'));
  return {
    classes: among('class', CLASSES),
    states: among('state', STATES),
    severities: among('severity', SEVERITIES),
    sources: given.getAll('source').filter((source) => source !== ''),
    words: given.get('q') ?? '',
    ...(holds !== undefined && { holds }),
    ...(last !== null && last in SPANS && { last: last as Span }),
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
    ...(given.get('collapse') === 'source' && { collapsed: true }),
  };
};

/** The query that `readFilters` reads back. */
export const writeFilters = (filters: Filters): string => {
  const query = common(filters);
  if (filters.holds !== undefined) query.set('holds', filters.holds);
  if (filters.last !== undefined) query.set('last', filters.last);
  if (filters.since !== undefined) query.set('since', filters.since);
  if (filters.until !== undefined) query.set('until', filters.until);
  return query.toString();
};

/** The parameters for the API's list; `now` in milliseconds. */
export const apiQuery = (filters: Filters, now: number): URLSearchParams => {
  const query = common(filters);
  // Incidents that are alike otherwise may hold other actions.
  if (filters.holds !== undefined) query.delete('collapse');
  const since = sinceOf(filters, now);
  if (since !== undefined) query.set('since', new Date(since).toISOString());
  if (filters.until !== undefined) query.set('until', filters.until);
  return query;
};

const common = ({ classes, states, severities, sources, words, collapsed }: Filters): URLSearchParams => {
  const query = new URLSearchParams();
  for (const state of states) query.append('state', state);
  for (const severity of severities) query.append('severity', severity);
  for (const incidentClass of classes) query.append('class', incidentClass);
  for (const source of sources) query.append('source', source);
  if (words.trim() !== '') query.set('q', words.trim());
  if (collapsed) query.set('collapse', 'source');
  return query;
};

const sinceOf = ({ last, since }: Filters, now: number): number | undefined => {
  if (last !== undefined) return now - SPANS[last];
  return since === undefined ? undefined : Date.parse(since);
};

/** The fields of an incident that filters check. */
interface Judged {
  readonly class: IncidentClass;
  readonly state: State;
  readonly severity: Severity;
  readonly source: string;
  readonly created_at: string;
  /** The containment actions that it has asked for. */
  readonly actions?: readonly ContainmentAction[];
}

/** Whether an incident belongs on the list. `words` are not checked: only the service can search. */
export const admits = (filters: Filters, incident: Judged, now: number): boolean => {
  const among = <Word>(words: readonly Word[], word: Word): boolean => words.length === 0 || words.includes(word);
  return (
    among(filters.classes, incident.class) &&
    among(filters.states, incident.state) &&
    among(filters.severities, incident.severity) &&
    among(filters.sources, incident.source) &&
    (filters.holds === undefined || holdsAction(incident, filters.holds)) &&
    isWithin(filters, incident.created_at, now)
  );
};

const holdsAction = ({ state, actions = [] }: Judged, action: ContainmentAction): boolean =>
  state !== 'resolved' && actions.includes(action);

const isWithin = (filters: Filters, createdAt: string, now: number): boolean => {
  if (filters.last === undefined && filters.since === undefined && filters.until === undefined) return true;
  const at = Date.parse(createdAt);
  return at >= (sinceOf(filters, now) ?? -Infinity) && (filters.until === undefined || at < Date.parse(filters.until));
};

/** The filters with a word added to one of their lists, or removed if it was there. */
export const toggled = <Name extends 'classes' | 'states' | 'severities'>(
  filters: Filters,
  name: Name,
  word: Filters[Name][number],
): Filters => {
  const words = filters[name] as readonly string[];
  return { ...filters, [name]: words.includes(word) ? words.filter((other) => other !== word) : [...words, word] };
};
