import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { STATES } from '../../../machines/vocabulary.ts';
import type { IncidentEntry } from '../../domain/entries.ts';
import type { Incident } from '../../domain/incident.ts';
import { spelled } from '../format.ts';
import type { ChartPart } from './drawing.ts';
import { loadWhereabouts, partsVisited, type WhereaboutsOf } from './path.ts';
import { Statechart } from './statechart.tsx';

interface IncidentChartProps {
  /** What has happened, oldest first. */
  readonly entries: readonly IncidentEntry[];
  readonly incident: Incident;
  /** Whether the incident is shown as it is now: only then something is possible. */
  readonly isNow: boolean;
}

/** The incident's statechart with its state, the path that it has taken and the transitions that are possible. */
export const IncidentChart = ({ entries, incident, isNow }: IncidentChartProps) => {
  const whereaboutsOf = useSignal<WhereaboutsOf | undefined>(undefined);
  useEffect(() => {
    // Without the module the chart shows the present state, and no path.
    loadWhereabouts().then(
      (loaded) => (whereaboutsOf.value = loaded),
      () => {},
    );
  }, []);
  const path = useMemo(() => whereaboutsOf.value?.(entries), [whereaboutsOf.value, entries]);
  const { state } = incident;
  const inner = state === 'contained' ? incident.containment?.status : undefined;
  const current = new Set([state, ...(inner === undefined ? [] : [`${state}.${inner}`])]);
  const visited = path === undefined ? new Set<string>() : partsVisited(path);
  const possible: ReadonlySet<string> = (isNow && path?.possible) || new Set();
  const classOf = ({ kind, id }: ChartPart): string => {
    if (kind === 'transition') return path?.taken.has(id) ? 'taken' : possible.has(id) ? 'possible' : '';
    return current.has(id) ? 'current' : visited.has(id) ? 'visited' : '';
  };
  const where = inner === undefined ? spelled(state) : `${spelled(state)}, ${inner}`;
  // An incident that the policy contains was open for no time at all.
  const states = new Set([STATES[0], state, ...entries.map(({ data }) => data.state)]);
  return (
    // Where it is wider than the page it scrolls, and then the keyboard must reach it.
    <figure class="chart-figure" tabIndex={0}>
      <Statechart
        machine="incident"
        label={`Statechart: ${where}. It came by ${STATES.filter((name) => states.has(name)).join(', ')}.`}
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
