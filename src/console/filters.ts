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

/** What a list can be sorted by, as the API names it; `-` before it for the other direction. */
export const SORTS = ['severity', 'state', 'class', 'source', 'assignee', 'created', 'updated'] as const;
export type SortName = (typeof SORTS)[number];
export type Sort = SortName | `-${SortName}`;

/** How containment stands, as a filter. */
export const CONTAINMENTS = ['delivering', 'overdue', 'degraded', 'confirmed'] as const;
export type ContainmentFilter = (typeof CONTAINMENTS)[number];

/** The incidents of nobody, as an assignee. */
export const NOBODY = 'none';

/** Empty lists admit everything. */
export interface Filters {
  readonly classes: readonly IncidentClass[];
  readonly states: readonly State[];
  readonly severities: readonly Severity[];
  readonly sources: readonly string[];
  /** At the fleet: the machines, and the labels that they have, as `site=berlin`. */
  readonly machines?: readonly string[] | undefined;
  readonly labels?: readonly string[] | undefined;
  /** Words to look for in description, source and id, and terms like `evidence.ip:203.0.113.7`. */
  readonly words: string;
  /** Only what needs attention. */
  readonly attention?: true | undefined;
  /** Who works it; `none` for nobody. */
  readonly assignee?: string | undefined;
  /** Who has anything to do with it. */
  readonly by?: string | undefined;
  readonly snoozed?: true | undefined;
  readonly silenced?: boolean | undefined;
  readonly containment?: ContainmentFilter | undefined;
  /** The containment action that they hold, as the console applies it: the API can't filter by it. */
  readonly holds?: ContainmentAction | undefined;
  readonly last?: Span | undefined;
  /** RFC 3339; from `since` on, before `until`. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly sort?: Sort | undefined;
  /** Whether a burst is one row; when it is not said, the view decides. */
  readonly grouped?: boolean | undefined;
}

export const NO_FILTERS: Filters = { classes: [], states: [], severities: [], sources: [], words: '' };

/** What needs attention: where an operator begins. */
export const ATTENTION = 'attention=true';

/** Reads the query of an address, and ignores what it does not know. */
export const readFilters = (query: string): Filters => {
  const given = new URLSearchParams(query);
  const among = <Word extends string>(name: string, words: readonly Word[]): readonly Word[] =>
    words.filter((word) => given.getAll(name).includes(word));
  const one = <Word extends string>(name: string, words: readonly Word[]): Word | undefined =>
    words.find((word) => word === given.get(name));
  const text = (name: string): string | undefined => given.get(name)?.trim() || undefined;
  const time = (name: string): string | undefined => {
    const milliseconds = Date.parse(given.get(name) ?? '');
    return Number.isNaN(milliseconds) ? undefined : new Date(milliseconds).toISOString();
  };
  const last = given.get('last');
  const since = time('since');
  const until = time('until');
  const holds = one('holds', ACTIONS);
  const containment = one('containment', CONTAINMENTS);
  const assignee = text('assignee');
  const by = text('by');
  const silenced = one('silenced', ['true', 'false']);
  const sort = one('sort', [...SORTS, ...SORTS.map((name) => `-${name}` as const)]);
  const group = one('group', ['on', 'off']);
  const machines = given.getAll('machine').filter((name) => name !== '');
  const labels = labelsOf(given);
  return {
    classes: among('class', CLASSES),
    states: among('state', STATES),
    severities: among('severity', SEVERITIES),
    sources: given.getAll('source').filter((source) => source !== ''),
    words: given.get('q') ?? '',
    ...(machines.length > 0 && { machines }),
    ...(labels.length > 0 && { labels }),
    ...(given.get('attention') === 'true' && { attention: true as const }),
    ...(assignee !== undefined && { assignee }),
    ...(by !== undefined && { by }),
    ...(given.get('snoozed') === 'true' && { snoozed: true as const }),
    ...(silenced !== undefined && { silenced: silenced === 'true' }),
    ...(containment !== undefined && { containment }),
    ...(holds !== undefined && { holds }),
    ...(last !== null && last in SPANS && { last: last as Span }),
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
    ...(sort !== undefined && { sort }),
    ...(group !== undefined && { grouped: group === 'on' }),
  };
};

const LABEL = 'label.';

/** The labels of a query: `label.stage=test`, and `site=berlin`, which has a parameter of its own. */
const labelsOf = (given: URLSearchParams): readonly string[] =>
  [...given].flatMap(([name, value]) => {
    const label = name === 'site' ? name : name.startsWith(LABEL) ? name.slice(LABEL.length) : '';
    return label === '' || value === '' ? [] : `${label}=${value}`;
  });

/** Adds the machines and labels of filters to the query of a request. */
export const addScope = (query: URLSearchParams, { machines = [], labels = [] }: Scope): void => {
  for (const machine of machines) query.append('machine', machine);
  for (const label of labels) {
    const [name, value] = partsOfLabel(label);
    query.append(name === 'site' ? name : `${LABEL}${name}`, value);
  }
};

/** Which machines something is about; nothing for all. */
export type Scope = Pick<Filters, 'machines' | 'labels'>;

/** `site=berlin` in its two parts. */
export const partsOfLabel = (label: string): readonly [string, string] => {
  const at = label.indexOf('=');
  return at === -1 ? [label, ''] : [label.slice(0, at), label.slice(at + 1)];
};

/** The query that `readFilters` reads back. */
export const writeFilters = (filters: Filters): string => {
  const query = common(filters);
  if (filters.holds !== undefined) query.set('holds', filters.holds);
  if (filters.last !== undefined) query.set('last', filters.last);
  if (filters.since !== undefined) query.set('since', filters.since);
  if (filters.until !== undefined) query.set('until', filters.until);
  if (filters.sort !== undefined) query.set('sort', filters.sort);
  if (filters.grouped !== undefined) query.set('group', filters.grouped ? 'on' : 'off');
  return query.toString();
};

/** The parameters for the API's list; `now` in milliseconds. */
export const apiQuery = (filters: Filters, now: number): URLSearchParams => {
  const query = common(filters);
  const since = sinceOf(filters, now);
  if (since !== undefined) query.set('since', new Date(since).toISOString());
  if (filters.until !== undefined) query.set('until', filters.until);
  if (filters.sort !== undefined) query.set('sort', filters.sort);
  return query;
};

/** Filters in the body of a command. */
export type BulkFilter = Readonly<Record<string, readonly string[]>>;

/** The filter for a command on many incidents; undefined for one that the API lacks, and for what selects everything. */
export const bulkFilterOf = (filters: Filters, now: number): BulkFilter | undefined => {
  if (filters.holds !== undefined) return undefined;
  const query = apiQuery({ ...filters, sort: undefined }, now);
  const names = [...new Set(query.keys())];
  return names.length === 0 ? undefined : Object.fromEntries(names.map((name) => [name, query.getAll(name)]));
};

/** The parameters for a service that knows no more than class, state, severity, source, time and words: the rest is applied here. */
export const oldApiQuery = (filters: Filters, now: number): URLSearchParams => {
  const { classes, severities, sources, words, states, last, since, until } = filters;
  const isMoving = filters.attention === true || filters.snoozed === true;
  const shown = states.length === 0 && isMoving ? STATES.filter((state) => state !== 'resolved') : states;
  return apiQuery({ classes, severities, sources, words, states: shown, last, since, until }, now);
};

const common = (filters: Filters): URLSearchParams => {
  const { classes, states, severities, sources, words, attention, assignee, by, snoozed, silenced, containment } =
    filters;
  const query = new URLSearchParams();
  if (attention) query.set('attention', 'true');
  for (const state of states) query.append('state', state);
  for (const severity of severities) query.append('severity', severity);
  for (const incidentClass of classes) query.append('class', incidentClass);
  for (const source of sources) query.append('source', source);
  if (assignee !== undefined) query.set('assignee', assignee);
  if (by !== undefined) query.set('by', by);
  if (snoozed) query.set('snoozed', 'true');
  if (silenced !== undefined) query.set('silenced', String(silenced));
  if (containment !== undefined) query.set('containment', containment);
  if (words.trim() !== '') query.set('q', words.trim());
  addScope(query, filters);
  return query;
};

const sinceOf = ({ last, since }: Filters, now: number): number | undefined => {
  if (last !== undefined) return now - SPANS[last];
  return since === undefined ? undefined : Date.parse(since);
};

/** Whether bursts are one row each. */
export const isGrouped = ({ grouped, attention, snoozed, assignee }: Filters): boolean =>
  grouped ?? (attention === true || snoozed === true || assignee !== undefined);

/** The fields of an incident that filters check. */
export interface Judged {
  readonly class: IncidentClass;
  readonly state: State;
  readonly severity: Severity;
  readonly source: string;
  /** The machine that it is on, at the fleet. */
  readonly machine?: string;
  readonly created_at: string;
  /** The containment actions that it has asked for. */
  readonly actions?: readonly ContainmentAction[];
  /** The status of its containment. */
  readonly containment?: string;
  readonly needs_recovery?: true;
  readonly assignee?: string;
  readonly snoozed_until?: string;
  readonly silenced?: true;
  readonly drill?: true;
}

/** Whether an incident needs attention. */
export const needsAttention = (incident: Judged): boolean => {
  const { state, containment = '', needs_recovery, snoozed_until, silenced, drill } = incident;
  if (drill || silenced || snoozed_until !== undefined) return false;
  if (UNATTENDED_STATES.includes(state)) return true;
  return state === 'acknowledged' && (needs_recovery === true || ['overdue', 'degraded'].includes(containment));
};

/** Whether only the service knows which incidents the filters admit. */
export const asksTheService = ({ words, labels = [] }: Filters): boolean => words !== '' || labels.length > 0;

/** Whether an incident belongs on the list. `words`, `by` and `labels` are not checked: only the service knows. */
export const admits = (filters: Filters, incident: Judged, now: number): boolean => {
  const among = <Word>(words: readonly Word[], word: Word): boolean => words.length === 0 || words.includes(word);
  const { assignee, snoozed, silenced, containment } = filters;
  return (
    among(filters.classes, incident.class) &&
    among(filters.states, incident.state) &&
    among(filters.severities, incident.severity) &&
    among(filters.sources, incident.source) &&
    (incident.machine === undefined || among(filters.machines ?? [], incident.machine)) &&
    (!filters.attention || needsAttention(incident)) &&
    (assignee === undefined || (incident.assignee ?? NOBODY) === assignee) &&
    (!snoozed || incident.snoozed_until !== undefined) &&
    (silenced === undefined || (incident.silenced ?? false) === silenced) &&
    (containment === undefined || incident.containment === containment) &&
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
