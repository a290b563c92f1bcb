import type { Incident } from '../../domain/incident.ts';
import type { Transition } from '../incident/incident-detail.ts';
import { spelled } from '../format.ts';
import type { ChartPart } from './drawing.ts';
import { Statechart } from './statechart.tsx';
import type { IncidentEntry } from '../../domain/entries.ts';

interface IncidentChartProps {
  /** What has happened, oldest first. */
  readonly entries: readonly IncidentEntry[];
  readonly incident: Incident;
  /** What may happen now; none for a time that is over. */
  readonly transitions: readonly Transition[];
}

/** The incident's statechart with its state, the path that it has taken and the transitions that are possible. */
export const IncidentChart = ({ entries, incident, transitions }: IncidentChartProps) => {
  const { visited, taken } = pathOf(entries);
  const { state } = incident;
  const inner = state === 'contained' ? incident.containment?.status : undefined;
  const current = new Set([state, ...(inner === undefined ? [] : [`${state}.${inner}`])]);
  const possible = new Set(transitions.filter(({ allowed }) => allowed).map(({ event }) => `${state}:${event}`));
  const classOf = ({ kind, id }: ChartPart): string => {
    if (kind === 'transition') return taken.has(id) ? 'taken' : possible.has(id) ? 'possible' : '';
    return current.has(id) ? 'current' : visited.has(id) ? 'visited' : '';
  };
  const where = inner === undefined ? spelled(state) : `${spelled(state)}, ${inner}`;
  return (
    // Where it is wider than the page it scrolls, and then the keyboard must reach it.
    <figure class="chart-figure" tabIndex={0}>
      <Statechart
        machine="incident"
        label={`Statechart: ${where}. It came by ${[...visited].join(', ')}.`}
        classOf={classOf}
      />
      <figcaption class="chart-legend">
        <span class="current">{where}</span>
        <span class="taken">path taken</span>
        {possible.size > 0 && <span class="possible">possible now</span>}
      </figcaption>
    </figure>
  );
};

interface Path {
  readonly visited: ReadonlySet<string>;
  /** The transitions on its way. */
  readonly taken: ReadonlySet<string>;
}

const EVENTS: Readonly<Record<string, string>> = {
  'incident.contained': 'contain',
  'incident.acknowledged': 'acknowledge',
  'incident.resolved': 'resolve',
  'incident.recurred': 'recur',
};

/** How it came to be where it is. One that the policy contained was open for no time at all. */
const pathOf = (entries: readonly IncidentEntry[]): Path => {
  const visited = new Set(['open']);
  const taken = new Set<string>();
  let state = 'open';
  for (const { event, data } of entries) {
    const next = String(data.state);
    const name = EVENTS[event] ?? (next === state ? undefined : 'always');
    if (name !== undefined) taken.add(`${state}:${name}`);
    visited.add(next);
    state = next;
  }
  return { visited, taken };
};
