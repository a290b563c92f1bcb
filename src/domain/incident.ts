/**
 * The incident as it is on record: what the entries about it say, folded in their order.
 *
 * Each entry carries the state that it led to. The fold asks the statechart whether it really leads there and stops with
 * an error when it does not, so a replay can't quietly tell another story than the log.
 */
import { begin, type CommandName, decide, type Decision, type Situation, stateOf } from '../../machines/decision.ts';
import { containmentStatus, type IncidentContext, type IncidentEvent } from '../../machines/incident.ts';
import type {
  ContainmentAction,
  ContainmentStatus,
  IncidentClass,
  Severity,
  State,
} from '../../machines/vocabulary.ts';
import type { Entry } from '../audit/entry.ts';
import {
  type CommandedData,
  type DeliveryData,
  type Idempotency,
  type JsonObject,
  type RecurredData,
  type ReportedData,
  type RoutedIntent,
  channelOfIntent,
} from './incident-entries.ts';
import { RecorderError } from '../errors.ts';
import {
  type DeliveryRecord,
  foldDelivery,
  isAboutDelivery,
  isUnconfirmed,
  move,
  newDelivery,
  standingOf,
} from './delivery.ts';

/** The incident as every endpoint gives it. Times are RFC 3339 in UTC with milliseconds. */
export interface Incident {
  readonly id: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly class: IncidentClass;
  readonly severity: Severity;
  readonly state: State;
  readonly source: string;
  readonly description: string;
  readonly evidence?: JsonObject;
  /** The actions that applied, once contained. */
  readonly containment_actions?: readonly ContainmentAction[];
  /** What has become of them, once contained. */
  readonly containment?: Containment;
  readonly contained_at?: string;
  readonly contained_by?: string;
  readonly acknowledged_at?: string;
  readonly acknowledged_by?: string;
  readonly resolved_at?: string;
  readonly resolved_by?: string;
  /** The latest note that a person left. */
  readonly note?: string;
  readonly dedup_key?: string;
  readonly occurrences: number;
  /** When it was reported again, if it was. */
  readonly last_seen_at?: string;
  /** How many entries of the log are about it. */
  readonly version: number;
  /** `entry_hash` of its latest entry. */
  readonly hash: string;
}

export interface Containment {
  readonly status: ContainmentStatus;
  readonly actions: readonly DeliveryRecord[];
}

/** An incident with what its statechart remembers. */
export interface IncidentRecord {
  readonly incident: Incident;
  readonly context: IncidentContext;
  /** `seq` of the entry that reported it: its place among all incidents. */
  readonly seq: number;
}

/** What the incident's statechart is asked about. */
export const situationOf = ({ incident, context }: IncidentRecord): Situation => ({ value: incident.state, context });

/** What the record is after an entry about it. */
export function foldEntry(before: IncidentRecord | undefined, entry: Entry): IncidentRecord {
  if (entry.event === 'incident.reported') return reported(entry);
  const data = entry.data as unknown as CommandedData;
  if (before === undefined) throw contradiction(entry, `incident ${data.incident} was never reported`);
  const { incident } = before;
  if (data.version !== incident.version + 1)
    throw contradiction(entry, `version ${data.version} follows ${incident.version}`);
  const event = eventOf(before, entry);
  const context = event === undefined ? unmoved(before, entry) : moved(before, entry, event);
  return {
    ...before,
    context,
    incident: {
      ...incident,
      ...changeOf(before, entry, context),
      state: data.state,
      updated_at: entry.timestamp,
      version: data.version,
      hash: entry.entry_hash,
    },
  };
}

/** What an entry about an incident is to its statechart; undefined when it is nothing to it. */
export function eventOf({ incident }: IncidentRecord, entry: Entry): IncidentEvent | undefined {
  switch (entry.event) {
    case 'incident.recurred':
      return { type: 'recur' };
    case 'incident.contained':
    case 'incident.acknowledged':
    case 'incident.resolved':
      return { type: COMMAND_OF[entry.event] };
    default: {
      const delivery = changedDelivery(incident, entry);
      if (delivery === undefined) return undefined;
      return { type: 'delivery', action: delivery.action, standing: standingOf(delivery) };
    }
  }
}

/** The idempotency key that an entry was made under. */
export const idempotencyOf = (entry: Entry): Idempotency | undefined =>
  (entry.data as unknown as RecurredData).idempotency;

const COMMAND_OF = {
  'incident.contained': 'contain',
  'incident.acknowledged': 'acknowledge',
  'incident.resolved': 'resolve',
} as const satisfies Record<string, CommandName>;

function reported(entry: Entry): IncidentRecord {
  const { incident: id, version, state, severity, report, rule, intents } = entry.data as unknown as ReportedData;
  const { snapshot } = begin(rule);
  if (state !== stateOf(snapshot))
    throw contradiction(entry, `state ${state} where its rule gives ${stateOf(snapshot)}`);
  const incident: Incident = {
    id,
    created_at: entry.timestamp,
    updated_at: entry.timestamp,
    class: report.class,
    severity,
    state,
    source: report.source,
    description: report.description,
    ...(report.evidence === undefined ? {} : { evidence: report.evidence }),
    ...(state === 'contained' ? contained(entry, intents, snapshot.context) : {}),
    ...(report.dedup_key === undefined ? {} : { dedup_key: report.dedup_key }),
    occurrences: 1,
    version,
    hash: entry.entry_hash,
  };
  return { incident, context: snapshot.context, seq: entry.data.seq };
}

function moved(before: IncidentRecord, entry: Entry, event: IncidentEvent): IncidentContext {
  const decision: Decision = decide(situationOf(before), event);
  if (decision.kind !== 'moved')
    throw contradiction(entry, `the statechart does not allow it in ${before.incident.state}`);
  if (stateOf(decision.snapshot) !== entry.data.state) {
    throw contradiction(
      entry,
      `state ${String(entry.data.state)} where the statechart gives ${stateOf(decision.snapshot)}`,
    );
  }
  return decision.snapshot.context;
}

function unmoved({ incident, context }: IncidentRecord, entry: Entry): IncidentContext {
  const { state } = entry.data;
  if (state !== incident.state) throw contradiction(entry, `state ${String(state)} where it is ${incident.state}`);
  return context;
}

/** What an entry changes of the incident, besides its state and what every entry changes. */
function changeOf({ incident }: IncidentRecord, entry: Entry, context: IncidentContext): Partial<Incident> {
  const { by, note, intents } = entry.data as unknown as CommandedData;
  const noted = note === undefined ? {} : { note };
  switch (entry.event) {
    case 'incident.recurred':
      return { occurrences: context.occurrences, last_seen_at: entry.timestamp };
    case 'incident.contained':
      return { ...contained(entry, intents, context), ...(by === undefined ? {} : { contained_by: by }), ...noted };
    case 'incident.acknowledged':
      return { acknowledged_at: entry.timestamp, ...(by === undefined ? {} : { acknowledged_by: by }), ...noted };
    case 'incident.resolved':
      return {
        ...superseded(incident),
        resolved_at: entry.timestamp,
        ...(by === undefined ? {} : { resolved_by: by }),
        ...noted,
      };
    default:
      return delivered(incident, entry, context);
  }
}

function contained(
  { timestamp }: Entry,
  intents: readonly RoutedIntent[],
  { standings }: IncidentContext,
): Partial<Incident> {
  const actions = intents.map((intent) => newDelivery(intent.action, channelOfIntent(intent)));
  return {
    containment_actions: intents.map(({ action }) => action),
    containment: { status: containmentStatus(standings), actions },
    contained_at: timestamp,
  };
}

/** What was not carried out until now need not be any more. */
function superseded({ containment }: Incident): Partial<Incident> {
  if (containment === undefined) return {};
  const actions = containment.actions.map((delivery) => move(delivery, { type: 'supersede' }) ?? delivery);
  return { containment: { ...containment, actions } };
}

function delivered(incident: Incident, entry: Entry, { standings }: IncidentContext): Partial<Incident> {
  const changed = changedDelivery(incident, entry);
  if (changed === undefined) return {};
  const actions = (incident.containment?.actions ?? []).map((delivery) =>
    delivery.action === changed.action ? changed : delivery,
  );
  return { containment: { status: containmentStatus(standings), actions } };
}

/** The delivery of the incident's own that an entry changes, as it is then. An alert is the delivery of log_alert. */
function changedDelivery({ containment }: Incident, entry: Entry): DeliveryRecord | undefined {
  const deliveries = containment?.actions ?? [];
  if (entry.event === 'alert.raised') {
    const alert = deliveries.find(({ via }) => via === 'log');
    if (alert === undefined || !isUnconfirmed(alert)) return undefined;
    const confirmed = move(alert, { type: 'confirm', attempted: false });
    return confirmed === undefined ? undefined : { ...confirmed, confirmed_at: entry.timestamp };
  }
  if (!isAboutDelivery(entry)) return undefined;
  const { action, directive } = entry.data as unknown as DeliveryData;
  // A release is the posture's: the incident has let go.
  if (directive === 'release') return undefined;
  const before = deliveries.find((delivery) => delivery.action === action);
  const after = before === undefined ? undefined : foldDelivery(before, entry);
  if (after === undefined) throw contradiction(entry, `the delivery of ${action} is ${before?.status ?? 'not there'}`);
  return after;
}

const contradiction = (entry: Entry, what: string): RecorderError =>
  new RecorderError('damaged_log', `entry ${entry.data.seq} (${entry.event}) contradicts the statechart: ${what}`);
