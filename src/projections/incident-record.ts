/**
 * The incident as it is on record: what the entries about it say, folded in their order.
 *
 * Each entry carries the state that it led to. The fold asks the statechart whether it really leads there and stops with
 * an error when it does not, so a replay can't quietly tell another story than the log.
 */
import { begin, type CommandName, decide, type Decision, stateOf } from '../../machines/decision.ts';
import type { IncidentContext } from '../../machines/incident.ts';
import type { ContainmentAction, IncidentClass, Severity, State } from '../../machines/vocabulary.ts';
import type { Entry } from '../audit/entry.ts';
import type { CommandedData, Idempotency, JsonObject, RecurredData, ReportedData } from '../audit/incident-entries.ts';
import { RecorderError } from '../errors.ts';

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

/** An incident with what its statechart remembers. */
export interface IncidentRecord {
  readonly incident: Incident;
  readonly context: IncidentContext;
  /** `seq` of the entry that reported it: its place among all incidents. */
  readonly seq: number;
}

/** What the record is after an entry about it. */
export function foldEntry(before: IncidentRecord | undefined, entry: Entry): IncidentRecord {
  if (entry.event === 'incident.reported') return reported(entry);
  const data = entry.data as unknown as CommandedData;
  if (before === undefined) throw contradiction(entry, `incident ${data.incident} was never reported`);
  const { incident } = before;
  if (data.version !== incident.version + 1)
    throw contradiction(entry, `version ${data.version} follows ${incident.version}`);
  const latest = { updated_at: entry.timestamp, version: data.version, hash: entry.entry_hash };
  switch (entry.event) {
    case 'incident.recurred': {
      const context = moved(before, entry, 'recur');
      const occurrences = { occurrences: context.occurrences, last_seen_at: entry.timestamp };
      return { ...before, context, incident: { ...incident, ...occurrences, ...latest } };
    }
    case 'incident.contained':
    case 'incident.acknowledged':
    case 'incident.resolved': {
      const context = moved(before, entry, COMMAND_OF[entry.event]);
      return { ...before, context, incident: { ...incident, state: data.state, ...step(entry, data), ...latest } };
    }
    default:
      if (data.state !== incident.state)
        throw contradiction(entry, `state ${data.state} where it is ${incident.state}`);
      return { ...before, incident: { ...incident, ...latest } };
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
    ...(state === 'contained' ? { containment_actions: actionsOf(intents), contained_at: entry.timestamp } : {}),
    ...(report.dedup_key === undefined ? {} : { dedup_key: report.dedup_key }),
    occurrences: 1,
    version,
    hash: entry.entry_hash,
  };
  return { incident, context: snapshot.context, seq: entry.data.seq };
}

function moved(before: IncidentRecord, entry: Entry, type: CommandName | 'recur'): IncidentContext {
  const decision: Decision = decide({ value: before.incident.state, context: before.context }, { type });
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

/** What a person's command leaves on the record, besides the state. */
function step(entry: Entry, { by, note, intents }: CommandedData): Partial<Incident> {
  const noted = note === undefined ? {} : { note };
  switch (entry.event) {
    case 'incident.contained':
      return {
        containment_actions: actionsOf(intents),
        contained_at: entry.timestamp,
        ...(by === undefined ? {} : { contained_by: by }),
        ...noted,
      };
    case 'incident.acknowledged':
      return { acknowledged_at: entry.timestamp, ...(by === undefined ? {} : { acknowledged_by: by }), ...noted };
    default:
      return { resolved_at: entry.timestamp, ...(by === undefined ? {} : { resolved_by: by }), ...noted };
  }
}

const actionsOf = (intents: readonly { readonly action: ContainmentAction }[]): readonly ContainmentAction[] =>
  intents.map(({ action }) => action);

const contradiction = (entry: Entry, what: string): RecorderError =>
  new RecorderError('damaged_log', `entry ${entry.data.seq} (${entry.event}) contradicts the statechart: ${what}`);
