/** The fields that a list can be filtered by: the tokens of the filter line, what is suggested, and the sheet follow. */
import { ACTIONS, CLASSES, SEVERITIES, STATES } from '../../../machines/vocabulary.ts';
import { CONTAINMENTS, type Filters, NO_FILTERS, NOBODY, partsOfLabel, SPANS, type Span } from '../filters.ts';
import { knownLabels } from '../of-fleet/known-labels.ts';
import { isFleet } from '../service.ts';
import { momentOf } from '../format.ts';
import { me } from '../me.ts';
import { now } from '../now.ts';
import { statistics } from '../statistics.ts';
import type { IncidentRow } from './incident-row.ts';

/** One filter in force. */
export interface Token {
  readonly field: string;
  readonly relation: string;
  readonly value: string;
  /** The filters without it. */
  readonly without: Filters;
}

/** A value that is suggested, with how many incidents have it, where that is known. */
export interface Suggestion {
  readonly value: string;
  readonly label: string;
  readonly count?: number | undefined;
}

interface Field {
  readonly name: string;
  readonly values: (rows: readonly IncidentRow[]) => readonly Suggestion[];
  readonly isFree?: true;
  readonly add: (filters: Filters, value: string) => Filters;
}

const added = <Word extends string>(words: readonly Word[], all: readonly Word[], word: string): readonly Word[] =>
  all.filter((one) => words.includes(one) || one === word);

/** How many rows are looked at for values to offer. */
const MOST_LOOKED_AT = 2000;
const MOST_OFFERED = 50;

/** The values of the rows on the list, the most frequent first. */
const ofRows = (
  rows: readonly IncidentRow[],
  valueOf: (row: IncidentRow) => string | undefined,
): readonly Suggestion[] => {
  const counts = new Map<string, number>();
  for (const row of rows.slice(0, MOST_LOOKED_AT)) {
    const value = valueOf(row);
    if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const suggestions = [...counts].map(([value, count]) => ({ value, label: value, count }));
  return suggestions.toSorted((one, other) => other.count - one.count).slice(0, MOST_OFFERED);
};

const SPAN_WORDS: Readonly<Record<Span, string>> = { '1h': 'last hour', '24h': 'last 24 hours', '7d': 'last 7 days' };

const FIELDS: readonly Field[] = [
  {
    name: 'severity',
    values: () =>
      SEVERITIES.map((value) => ({ value, label: value, count: statistics.value.peek()?.by_severity[value] })),
    add: (filters, value) => ({ ...filters, severities: added(filters.severities, SEVERITIES, value) }),
  },
  {
    name: 'state',
    values: () => [
      ...STATES.map((value) => ({ value, label: value, count: statistics.value.peek()?.by_state[value] })),
      { value: 'unresolved', label: 'not resolved' },
    ],
    add: (filters, value) => ({
      ...filters,
      states:
        value === 'unresolved' ? STATES.filter((state) => state !== 'resolved') : added(filters.states, STATES, value),
    }),
  },
  {
    name: 'class',
    values: () => CLASSES.map((value) => ({ value, label: value, count: statistics.value.peek()?.by_class[value] })),
    add: (filters, value) => ({ ...filters, classes: added(filters.classes, CLASSES, value) }),
  },
  {
    name: 'source',
    values: (rows) => ofRows(rows, ({ source }) => source),
    isFree: true,
    add: (filters, value) => ({ ...filters, sources: [...new Set([...filters.sources, value])].slice(0, 16) }),
  },
  ...(isFleet
    ? [
        {
          name: 'machine',
          values: (rows: readonly IncidentRow[]) => ofRows(rows, ({ machine }) => machine),
          isFree: true as const,
          add: (filters: Filters, value: string): Filters => ({
            ...filters,
            machines: [...new Set([...(filters.machines ?? []), value])],
          }),
        },
        {
          name: 'label',
          values: () => knownLabels.value.map(({ label, machines }) => ({ value: label, label, count: machines })),
          isFree: true as const,
          add: (filters: Filters, value: string): Filters => ({ ...filters, labels: withLabel(filters, value) }),
        },
      ]
    : []),
  {
    name: 'assignee',
    values: (rows) => [
      ...(me.peek() === undefined ? [] : [{ value: me.peek()!, label: `${me.peek()} (you)` }]),
      { value: NOBODY, label: 'nobody' },
      ...ofRows(rows, ({ assignee }) => assignee).filter(({ value }) => value !== me.peek()),
    ],
    isFree: true,
    add: (filters, value) => ({ ...filters, assignee: value }),
  },
  {
    name: 'by',
    values: () => (me.peek() === undefined ? [] : [{ value: me.peek()!, label: `${me.peek()} (you)` }]),
    isFree: true,
    add: (filters, value) => ({ ...filters, by: value }),
  },
  {
    name: 'containment',
    values: () => CONTAINMENTS.map((value) => ({ value, label: value })),
    add: (filters, value) => ({ ...filters, containment: CONTAINMENTS.find((one) => one === value) }),
  },
  {
    name: 'holds',
    values: () => ACTIONS.map((value) => ({ value, label: value })),
    add: (filters, value) => ({ ...filters, holds: ACTIONS.find((one) => one === value) }),
  },
  {
    name: 'reported',
    values: () => Object.entries(SPAN_WORDS).map(([value, label]) => ({ value, label })),
    add: ({ since: _since, until: _until, ...filters }, value) => ({
      ...filters,
      ...(value in SPANS && { last: value as Span }),
    }),
  },
  {
    name: 'is',
    values: () => [
      { value: 'attention', label: 'needs attention' },
      { value: 'snoozed', label: 'snoozed' },
      { value: 'silenced', label: 'silenced' },
    ],
    add: (filters, value) => ({
      ...filters,
      ...(value === 'attention' && { attention: true as const }),
      ...(value === 'snoozed' && { snoozed: true as const }),
      ...(value === 'silenced' && { silenced: true }),
    }),
  },
];

/** A machine has one value of a label: another one takes its place. What is no label, as one types it, is left out. */
const withLabel = ({ labels = [] }: Filters, label: string): readonly string[] => {
  const [name, value] = partsOfLabel(label);
  if (name === '' || value === '') return labels;
  return [...labels.filter((other) => partsOfLabel(other)[0] !== name), label];
};

const TERM = /(?:^|\s)(evidence\.[^\s:]+:\S+)/g;

/** The terms in a search that name a path of the evidence. */
export const termsOf = (words: string): readonly string[] => [...words.matchAll(TERM)].map(([, term]) => term!);

/** A search without those terms: what stands in the field. */
export const textOf = (words: string): string => words.replaceAll(TERM, ' ').replaceAll(/\s+/g, ' ').trim();

/** A search of the text and terms. */
export const wordsOf = (text: string, terms: readonly string[]): string =>
  [text.trim(), ...terms].filter(Boolean).join(' ');

/** The filters in force, each with what is left without it. */
export const tokensOf = (filters: Filters): readonly Token[] => {
  const { severities, states, classes, sources, words, last, since, until } = filters;
  const token = (field: string, relation: string, value: string, without: Filters): Token => ({
    field,
    relation,
    value,
    without,
  });
  const leave = (...names: readonly (keyof Filters)[]): Filters =>
    Object.fromEntries(
      Object.entries(filters).filter(([name]) => !names.includes(name as keyof Filters)),
    ) as unknown as Filters;
  const terms = termsOf(words);
  return [
    ...(filters.attention ? [token('attention', 'is', 'needed', leave('attention'))] : []),
    ...(filters.snoozed ? [token('snoozed', 'is', 'true', leave('snoozed'))] : []),
    ...(filters.silenced === undefined ? [] : [token('silenced', 'is', String(filters.silenced), leave('silenced'))]),
    ...(states.length === 0 ? [] : [stateToken(filters)]),
    ...(severities.length === 0 ? [] : [severityToken(filters)]),
    ...classes.map((one) =>
      token('class', 'is', one, { ...filters, classes: classes.filter((other) => other !== one) }),
    ),
    ...sources.map((one) =>
      token('source', 'is', one, { ...filters, sources: sources.filter((other) => other !== one) }),
    ),
    ...(filters.machines ?? []).map((one) =>
      token('machine', 'is', one, { ...filters, machines: filters.machines?.filter((other) => other !== one) }),
    ),
    ...(filters.labels ?? []).map((one) =>
      token('label', 'is', one, { ...filters, labels: filters.labels?.filter((other) => other !== one) }),
    ),
    ...(filters.assignee === undefined
      ? []
      : [token('assignee', 'is', filters.assignee === NOBODY ? 'nobody' : filters.assignee, leave('assignee'))]),
    ...(filters.by === undefined ? [] : [token('by', 'is', filters.by, leave('by'))]),
    ...(filters.containment === undefined
      ? []
      : [token('containment', 'is', filters.containment, leave('containment'))]),
    ...(filters.holds === undefined ? [] : [token('holds', 'is', filters.holds, leave('holds'))]),
    ...(last === undefined ? [] : [token('reported', 'in the', SPAN_WORDS[last], leave('last'))]),
    ...(since === undefined
      ? []
      : [token('reported', 'from', momentOf(Date.parse(since), now.peek()), leave('since'))]),
    ...(until === undefined
      ? []
      : [token('reported', 'before', momentOf(Date.parse(until), now.peek()), leave('until'))]),
    ...terms.map((term) => {
      const [path, value] = [term.slice(0, term.indexOf(':')), term.slice(term.indexOf(':') + 1)] as const;
      const others = terms.filter((other) => other !== term);
      return token(path, 'is', value, { ...filters, words: wordsOf(textOf(words), others) });
    }),
  ];
};

/** Several words of one list are one token: `at least high`, `is not resolved`, `is open or contained`. */
const stateToken = (filters: Filters): Token => {
  const { states } = filters;
  const missing = STATES.filter((state) => !states.includes(state));
  const without = { ...filters, states: NO_FILTERS.states };
  if (missing.length === 1) return { field: 'state', relation: 'is not', value: missing[0]!, without };
  return { field: 'state', relation: 'is', value: states.join(' or '), without };
};

const severityToken = (filters: Filters): Token => {
  const { severities } = filters;
  const without = { ...filters, severities: NO_FILTERS.severities };
  const isPrefix =
    severities.length > 1 && SEVERITIES.slice(0, severities.length).every((one) => severities.includes(one));
  if (isPrefix) return { field: 'severity', relation: 'at least', value: SEVERITIES[severities.length - 1]!, without };
  return { field: 'severity', relation: 'is', value: severities.join(' or '), without };
};

/** The words of a filter, as they could be typed: `class:tool_call_burst source:tool-firewall`. */
export const inWords = (filters: Filters): string =>
  [...tokensOf(filters).map(({ field, value }) => `${field}:${value}`), textOf(filters.words)]
    .filter(Boolean)
    .join(' ');

/** What typing suggests: values of the field that is named, else fields, and values that begin like that. */
export interface Offer {
  readonly key: string;
  readonly field: string;
  /** The value; missing when the field is suggested. */
  readonly suggestion?: Suggestion;
}

const MOST_OFFERS = 12;

export const offersFor = (typed: string, rows: readonly IncidentRow[]): readonly Offer[] => {
  const text = typed.trim().toLowerCase();
  const [, named, begun = ''] = /^([a-z]+)\s*:\s*(.*)$/.exec(text) ?? [];
  const field = FIELDS.find(({ name }) => name === named);
  const offer = (name: string, suggestion: Suggestion): Offer => ({
    key: `${name} ${suggestion.value}`,
    field: name,
    suggestion,
  });
  if (field !== undefined) {
    const values = field
      .values(rows)
      .filter(({ label, value }) => label.includes(begun) || value.toLowerCase().includes(begun));
    const free = field.isFree && begun !== '' && !values.some(({ value }) => value.toLowerCase() === begun);
    const own = typed.slice(typed.indexOf(':') + 1).trim();
    return [
      ...(free ? [offer(field.name, { value: own, label: own })] : []),
      ...values.map((one) => offer(field.name, one)),
    ];
  }
  const fields = FIELDS.filter(({ name }) => name.startsWith(text)).map(({ name }): Offer => ({
    key: name,
    field: name,
  }));
  const values =
    text.length < 2
      ? []
      : FIELDS.flatMap(({ name, values: all }) =>
          all(rows)
            .filter(({ label }) => label.toLowerCase().startsWith(text))
            .map((one) => offer(name, one)),
        );
  return [...fields, ...values].slice(0, MOST_OFFERS);
};

export const fieldNamed = (name: string): Field | undefined => FIELDS.find((field) => field.name === name);
