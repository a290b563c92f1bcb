import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { STATES } from '../../../machines/vocabulary.ts';
import type { IncidentEntry } from '../../domain/entries.ts';
import type { Incident } from '../../domain/incident.ts';
import { spelled } from '../format.ts';
import { Chart } from './chart.tsx';
import type { ChartPart } from './drawing.ts';
import { loadWhereabouts, partsVisited, type WhereaboutsOf } from './path.ts';

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
  const current = inner === undefined ? state : `${state}.${inner}`;
  const visited = path === undefined ? new Set<string>() : partsVisited(path);
  const possible: ReadonlySet<string> = (isNow && path?.possible) || new Set();
  const actions = actionsOf(entries, incident);
  const classOf = (part: ChartPart): string => {
    switch (part.kind) {
      case 'state':
        return part.id === current
          ? 'current'
          : current.startsWith(`${part.id}.`)
            ? 'around'
            : visited.has(part.id)
              ? 'visited'
              : '';
      case 'transition':
        return [
          ...(part.ids.some((id) => path?.taken.has(id)) ? ['taken'] : []),
          ...(part.ids.some((id) => possible.has(id)) ? ['possible'] : []),
        ].join(' ');
      case 'action':
        return actions === undefined || actions.has(part.action) ? '' : 'aside';
    }
  };
  const wordsOf = (ids: readonly string[]): string =>
    [
      ...(ids.some((id) => path?.taken.has(id)) ? ['taken'] : []),
      ...(ids.some((id) => possible.has(id)) ? ['possible now'] : []),
    ].join(', ');
  const where = inner === undefined ? spelled(state) : `${spelled(state)}, ${inner}`;
  // An incident that the policy contains was open for no time at all.
  const states = new Set([STATES[0], state, ...entries.map(({ data }) => data.state)]);
  return (
    <figure class="chart-figure">
      <Chart
        machine="incident"
        label={`Statechart: ${where}. It came by ${STATES.filter((name) => states.has(name)).join(', ')}.`}
        current={current}
        classOf={classOf}
        wordsOf={wordsOf}
      />
      <figcaption class="chart-legend">
        <span class="current">{where}</span>
        <span class="taken">path taken</span>
        {possible.size > 0 && <span class="possible">possible now</span>}
      </figcaption>
    </figure>
  );
};

/** The actions that its rule names, and those that it holds; undefined when its report is not among the entries. */
const actionsOf = (entries: readonly IncidentEntry[], incident: Incident): ReadonlySet<string> | undefined => {
  const rules = entries.flatMap(({ data }) => ('rule' in data && data.rule !== undefined ? [data.rule.actions] : []));
  if (rules.length === 0) return undefined;
  return new Set([...rules.flat(), ...(incident.containment_actions ?? [])]);
};
