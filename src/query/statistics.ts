/** The statistics of the incidents on record, as they are shown. Pure. */
import {
  CLASSES,
  CONTAINMENT_STATUSES,
  type ContainmentStatus,
  type IncidentClass,
  type Resolution,
  RESOLUTIONS,
  SEVERITIES,
  type Severity,
  type State,
  STATES,
  UNATTENDED_STATES,
} from '../../machines/vocabulary.ts';

/** How many incidents of one kind there are. */
export interface Kind {
  readonly class: IncidentClass;
  readonly severity: Severity;
  readonly state: State;
  readonly count: number;
}

export interface StatisticsReading {
  readonly total_incidents: number;
  /** Open or contained: nobody has acknowledged them yet. */
  readonly open_incidents: number;
  /**
   * How many incidents ever entered that state: that they were contained was asked for, not that it was carried out.
   */
  readonly contained_count: number;
  readonly resolved_count: number;
  /**
   * How far containment is for the incidents on record that asked for it; of resolved ones, how far it was in the end.
   */
  readonly by_containment: Readonly<Record<ContainmentStatus, number>>;
  /** How many of the resolved incidents on record turned out to be what, as far as that was said. */
  readonly by_resolution: Readonly<Record<Resolution, number>>;
  readonly by_class: Readonly<Record<IncidentClass, number>>;
  readonly by_state: Readonly<Record<State, number>>;
  readonly by_severity: Readonly<Record<Severity, number>>;
  readonly open_by_severity: Readonly<Record<Severity, number>>;
}

const isOpen = (state: State): boolean => UNATTENDED_STATES.includes(state);

export const zeros = <Name extends string>(names: readonly Name[]): Record<Name, number> =>
  Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;

/** What is counted, by name. */
export interface StatisticsCounts {
  readonly population: Iterable<Kind>;
  readonly entered: Iterable<readonly [state: string, count: number]>;
  readonly containments: Iterable<readonly [status: string, count: number]>;
  readonly resolutions: Iterable<readonly [resolution: string, count: number]>;
}

/** The statistics as the API shows them. */
export function statisticsOf({ population, ...counted }: StatisticsCounts): StatisticsReading {
  const by_class = zeros(CLASSES);
  const by_state = zeros(STATES);
  const by_severity = zeros(SEVERITIES);
  const open_by_severity = zeros(SEVERITIES);
  let total_incidents = 0;
  let open_incidents = 0;
  for (const { class: incidentClass, severity, state, count } of population) {
    total_incidents += count;
    by_class[incidentClass] += count;
    by_state[state] += count;
    by_severity[severity] += count;
    if (!isOpen(state)) continue;
    open_incidents += count;
    open_by_severity[severity] += count;
  }
  const entered = { ...zeros(STATES), ...Object.fromEntries(counted.entered) };
  const by_containment = { ...zeros(CONTAINMENT_STATUSES), ...Object.fromEntries(counted.containments) };
  const by_resolution = { ...zeros(RESOLUTIONS), ...Object.fromEntries(counted.resolutions) };
  return {
    total_incidents,
    open_incidents,
    contained_count: entered.contained,
    resolved_count: entered.resolved,
    by_containment,
    by_resolution,
    by_class,
    by_state,
    by_severity,
    open_by_severity,
  };
}
