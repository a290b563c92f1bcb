import {
  type ContainmentAction,
  type IncidentClass,
  RECOVERY_STEPS,
  type RecoveryStep,
  type Severity,
  type State,
} from '../../../machines/vocabulary.ts';
import { beginning } from '../visible-text.ts';
import type { EntryOf } from '../../domain/entries.ts';

/** What the list keeps of an incident: a hundred thousand must fit into the memory of a page. */
export interface IncidentRow {
  readonly id: string;
  readonly class: IncidentClass;
  readonly severity: Severity;
  readonly state: State;
  readonly source: string;
  /** Whether the source mixes scripts, or looks like another one. */
  readonly source_suspicious?: true;
  /** Whether it is a drill. */
  readonly drill?: true;
  readonly description: string;
  readonly created_at: string;
  readonly occurrences: number;
  readonly version: number;
  /** The status of its containment, once it was contained. */
  readonly containment?: string;
  /** The containment actions that it has asked for. */
  readonly actions?: readonly ContainmentAction[];
  /** Whether something has to be done before it may be resolved. */
  readonly needs_recovery?: true;
  /** In a collapsed list, what this row stands for besides itself. */
  readonly alike?: Alike;
}

/**
 * Incidents with the same severity, state, class and source: how many, and when the first and the last were created.
 */
export interface Alike {
  readonly count: number;
  readonly since: string;
  readonly until: string;
}

/** The incident as the API returns it, as far as the list needs it. */
export type ListedIncident = Omit<IncidentRow, 'containment' | 'actions' | 'needs_recovery'> & {
  readonly containment?: { readonly status: string };
  readonly containment_actions?: readonly ContainmentAction[];
  readonly recovery?: { readonly missing: readonly RecoveryStep[] };
};

const LONGEST_DESCRIPTION = 240;
/** Enough for every source: as a filter it must be whole. */
const LONGEST_SOURCE = 512;

export const rowOf = (incident: ListedIncident): IncidentRow => ({
  id: incident.id,
  class: incident.class,
  severity: incident.severity,
  state: incident.state,
  source: beginning(incident.source, LONGEST_SOURCE),
  description: beginning(incident.description, LONGEST_DESCRIPTION),
  created_at: incident.created_at,
  occurrences: incident.occurrences,
  version: incident.version,
  ...(incident.source_suspicious && { source_suspicious: true as const }),
  ...(incident.drill && { drill: true as const }),
  ...(incident.containment && { containment: incident.containment.status }),
  ...(incident.recovery && incident.recovery.missing.length > 0 && { needs_recovery: true as const }),
  ...(incident.alike && { alike: incident.alike }),
  ...(incident.containment_actions && { actions: shared(incident.containment_actions) }),
});

const sets = new Map<string, readonly ContainmentAction[]>();

/** The same array for the same actions: there are few sets of them, and many rows. */
const shared = (actions: readonly ContainmentAction[]): readonly ContainmentAction[] => {
  const known = sets.get(actions.join());
  if (known === undefined) sets.set(actions.join(), actions);
  return known ?? actions;
};

/** The row of an incident that an entry reports. */
export const rowOfReport = ({ timestamp, data }: EntryOf<'incident.reported'>): IncidentRow => {
  const { incident, version, state, severity, report, rule, source_suspicious, drill, intents } = data;
  const missing = RECOVERY_STEPS.filter((step) => rule.recovery?.[step] === true);
  return rowOf({
    id: incident,
    class: report.class,
    severity,
    state,
    source: report.source,
    ...(source_suspicious && { source_suspicious }),
    ...(drill && { drill }),
    description: report.description,
    created_at: timestamp,
    occurrences: 1,
    version,
    ...(missing.length > 0 && { recovery: { missing } }),
    ...(intents.length > 0 && { containment_actions: intents.map(({ action }) => action) }),
  });
};

/** The rows with those alike in one: the first, which stands for the others. */
export function collapsed(rows: readonly IncidentRow[]): readonly IncidentRow[] {
  const groups = new Map<string, IncidentRow>();
  for (const row of rows) {
    const key = JSON.stringify([row.severity, row.state, row.class, row.source]);
    const first = groups.get(key);
    groups.set(key, first === undefined ? row : { ...first, alike: together(first.alike, row) });
  }
  return [...groups.values()];
}

function together(alike: Alike | undefined, { created_at: at, alike: more }: IncidentRow): Alike {
  const times = [alike?.since, alike?.until, at, more?.since, more?.until].filter((time) => time !== undefined);
  const [since = at] = times.toSorted();
  return { count: (alike?.count ?? 0) + 1 + (more?.count ?? 0), since, until: times.toSorted().at(-1) ?? at };
}
