import {
  type ContainmentAction,
  type IncidentClass,
  RECOVERY_STEPS,
  type RecoveryStep,
  type Severity,
  type State,
} from '../../../machines/vocabulary.ts';
import type { DeliveryRecord } from '../../domain/delivery.ts';
import type { EntryOf } from '../../domain/entries.ts';
import { keyOfIncident, nameOfIncident } from '../incident-key.ts';
import { beginning } from '../visible-text.ts';
import { type Contained, containedBy } from './containment-cell.ts';
import { type Excerpt, excerptOf, keysOf } from './evidence-excerpt.ts';

/** What the list keeps of an incident: a hundred thousand must fit into the memory of a page. */
export interface IncidentRow {
  /** Its key: see incident-key.ts. */
  readonly id: string;
  /** The machine that it is on, at the fleet. */
  readonly machine?: string;
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
  /** When a reporter or a person last had to do with it; not when a delivery went on. */
  readonly touched_at: string;
  readonly occurrences: number;
  readonly version: number;
  /** The status of its containment, once it was contained. */
  readonly containment?: string;
  /** How far its actions are, while it holds them. */
  readonly held?: Contained;
  /** The containment actions that it has asked for. */
  readonly actions?: readonly ContainmentAction[];
  /** Whether something has to be done before it may be resolved, and how many steps are done of how many. */
  readonly needs_recovery?: true;
  readonly recovery?: string;
  readonly assignee?: string;
  readonly snoozed_until?: string;
  readonly silenced?: true;
  /** The first values of its evidence, and the names of its keys. */
  readonly evidence?: Excerpt;
  readonly keys: string;
}

/** The incident as the API returns it, as far as the list needs it. */
export interface ListedIncident {
  readonly id: string;
  readonly machine?: string;
  readonly class: IncidentClass;
  readonly severity: Severity;
  readonly state: State;
  readonly source: string;
  readonly source_suspicious?: boolean;
  readonly drill?: boolean;
  readonly description: string;
  readonly created_at: string;
  readonly occurrences: number;
  readonly version: number;
  readonly containment?: { readonly status: string; readonly actions?: readonly DeliveryRecord[] };
  readonly containment_actions?: readonly ContainmentAction[];
  readonly recovery?: { readonly missing: readonly RecoveryStep[]; readonly required?: readonly RecoveryStep[] };
  readonly evidence?: unknown;
  readonly assignee?: string;
  readonly snoozed_until?: string;
  readonly silenced?: unknown;
  readonly [touched: `${string}_at`]: unknown;
}

const LONGEST_DESCRIPTION = 240;
/** Enough for every source: as a filter it must be whole. */
const LONGEST_SOURCE = 512;

/** The times of what reporters and people do. */
const TOUCHES = [
  'created_at',
  'last_seen_at',
  'contained_at',
  'acknowledged_at',
  'resolved_at',
  'assigned_at',
  'reopened_at',
] as const;

export const rowOf = (incident: ListedIncident): IncidentRow => {
  const { recovery, containment } = incident;
  const held = incident.state === 'resolved' ? undefined : containedBy(containment?.actions ?? []);
  const required = recovery?.required?.length ?? 0;
  const evidence = excerptOf(incident.evidence);
  const isSilenced = incident.silenced !== undefined && incident.silenced !== false && incident.silenced !== null;
  const { id, machine = incident.machine } = nameOfIncident(incident.id);
  const touches = TOUCHES.flatMap((name) => {
    const at = incident[name];
    return typeof at === 'string' ? at : [];
  });
  return {
    id: keyOfIncident(id, machine),
    ...(machine !== undefined && { machine: interned(machine) }),
    class: incident.class,
    severity: incident.severity,
    state: incident.state,
    source: beginning(incident.source, LONGEST_SOURCE),
    description: beginning(incident.description, LONGEST_DESCRIPTION),
    created_at: incident.created_at,
    touched_at: touches.toSorted().at(-1) ?? incident.created_at,
    occurrences: incident.occurrences,
    version: incident.version,
    keys: interned(keysOf(incident.evidence)),
    ...(evidence.length > 0 && { evidence }),
    ...(incident.source_suspicious && { source_suspicious: true as const }),
    ...(incident.drill && { drill: true as const }),
    ...(containment && { containment: containment.status }),
    ...(held && { held }),
    ...(recovery && recovery.missing.length > 0 && { needs_recovery: true as const }),
    ...(required > 0 && { recovery: `recovery ${required - (recovery?.missing.length ?? 0)} of ${required}` }),
    ...(incident.containment_actions && { actions: shared(incident.containment_actions) }),
    ...(incident.assignee !== undefined && { assignee: incident.assignee }),
    ...(incident.snoozed_until !== undefined && { snoozed_until: incident.snoozed_until }),
    ...(isSilenced && { silenced: true as const }),
  };
};

const sets = new Map<string, readonly ContainmentAction[]>();
const texts = new Map<string, string>();
/** Evidence is foreign: its keys may be anything. */
const MOST_TEXTS = 1000;

/** The same array for the same actions: there are few sets of them, and many rows. */
const shared = (actions: readonly ContainmentAction[]): readonly ContainmentAction[] => {
  const known = sets.get(actions.join());
  if (known === undefined) sets.set(actions.join(), actions);
  return known ?? actions;
};

/** The same text for the same keys. */
const interned = (text: string): string => {
  const known = texts.get(text);
  if (known === undefined && texts.size < MOST_TEXTS) texts.set(text, text);
  return known ?? text;
};

/** The row of an incident that an entry reports. */
export const rowOfReport = ({ timestamp, data }: EntryOf<'incident.reported'>): IncidentRow => {
  const { incident, version, state, severity, report, rule, source_suspicious, drill, intents, seq } = data;
  const required = RECOVERY_STEPS.filter((step) => rule.recovery?.[step] === true);
  const actions = intents.map(({ action, via = 'push' }) => ({
    action,
    via,
    status: via === 'log' ? ('confirmed' as const) : ('pending' as const),
    attempts: 0,
    waited_ms: 0,
    asked_at: timestamp,
    asked_seq: seq,
  }));
  return rowOf({
    ...nameOfIncident(incident),
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
    evidence: report.evidence,
    ...(required.length > 0 && { recovery: { missing: required, required } }),
    ...(intents.length > 0 && {
      containment_actions: intents.map(({ action }) => action),
      containment: { status: 'delivering', actions },
    }),
  });
};
