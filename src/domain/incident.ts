/**
 * The incident, and what each entry of the log makes of it.
 *
 * `evolve` gives the incident after an entry, from the snapshot that the statechart has then. The living actor takes
 * that snapshot from XState; `fold`, which a replay of the log uses, asks the statechart for it. Each entry carries the
 * state that it led to. One that disagrees with the statechart is a contradiction: a replay can't show another history
 * than the log. All of it is pure. What a message decides is in `decide-incident.ts`.
 */
import { type CommandEvent, commandOfEvent, type Done } from '../../machines/commands.ts';
import { begin, decide as askChart, type IncidentSnapshot, stateOf } from '../../machines/decision.ts';
import { containmentStatus, type IncidentEvent } from '../../machines/incident.ts';
import type {
  ContainmentAction,
  ContainmentStatus,
  IncidentClass,
  Resolution,
  Severity,
  State,
} from '../../machines/vocabulary.ts';
import { type ContainmentResult, resultsAfter } from './containment-results.ts';
import { Contradiction } from './contradiction.ts';
import {
  alerted,
  askedAgain,
  type Asking,
  type DeliveryRecord,
  foldDelivery,
  isAboutDelivery,
  isHeld,
  newDelivery,
  notAsked,
  releasedEarly,
  standingOf,
  supersede,
  withEntry,
} from './delivery.ts';
import {
  channelOfIntent,
  type DeliveryEntry,
  type EntryOf,
  type EscalatedBy,
  type Idempotency,
  type IncidentEntry,
  type JsonObject,
  reporterOf,
  type RequestTag,
  type RoutedIntent,
  type StoredEntry,
} from './entries.ts';
import { type IncidentNote, withNote } from './notes.ts';
import { chartEventOfRecovery, type IncidentRecovery, isAboutRecovery, recoveryAfter } from './recovery.ts';
import { severityOf } from './severity.ts';
import { carriedOver, wholeIncident } from './whole-incident.ts';

/** When each command was carried out, and who gave it. */
type Stamps = { readonly [Field in `${Done}_at` | `${Done}_by`]?: string } & {
  /** There when nothing but the command itself says who gave it. */
  readonly [Field in `${Done}_by_claimed`]?: true;
};

/** The incident as every endpoint gives it. Times are RFC 3339 in UTC with milliseconds. */
export interface Incident extends Stamps {
  readonly id: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly class: IncidentClass;
  /** The highest that was reported, or that it was raised to. */
  readonly severity: Severity;
  /** The class's severity, where the report lowered it. */
  readonly default_severity?: Severity;
  /** The severity in the report, where the rule's `min_severity` or an escalation raised it. */
  readonly reported_severity?: Severity;
  /** The rule of the policy's `escalate` that has raised it. */
  readonly escalated_by?: EscalatedBy;
  readonly state: State;
  readonly source: string;
  /** Whether the source mixes scripts, or looks like another one on record. */
  readonly source_suspicious?: true;
  /** Whose token the report came with. Old entries do not say. */
  readonly reported_by?: string;
  /** Whether the clock had jumped a short time before it was reported: its times may be wrong. */
  readonly clock_uncertain?: true;
  readonly description: string;
  readonly evidence?: JsonObject;
  /** Whether it is a drill: a rehearsal, which counts nowhere. */
  readonly drill?: true;
  /** In a drill that has ended: the releases of what it had asked for. */
  readonly drill_releases?: readonly DeliveryRecord[];
  /** The latest further report, if there was one. */
  readonly latest_report?: LatestReport;
  /** The actions that applied, once contained. */
  readonly containment_actions?: readonly ContainmentAction[];
  /** What has become of them, once contained. */
  readonly containment?: Containment;
  /** The outcomes that are known of them; see `containment-results.ts`. */
  readonly containment_results?: readonly ContainmentResult[];
  /** What must be done before it may be resolved, if a rule has asked for that. */
  readonly recovery?: IncidentRecovery;
  /** The latest note that a person left. */
  readonly note?: string;
  /** The newest notes, oldest first, and how many there are in all. */
  readonly notes?: readonly IncidentNote[];
  readonly notes_count?: number;
  /** Who works it, since when, and who said so. */
  readonly assignee?: string;
  readonly assigned_at?: string;
  readonly assigned_by?: string;
  /** There when nothing but the request says who that was. */
  readonly assigned_by_claimed?: true;
  /** Until when it is acknowledged and hidden from what needs attention, and who wanted that. */
  readonly snoozed_until?: string;
  readonly snoozed_by?: string;
  /** There when nothing but the request says who that was. */
  readonly snoozed_by_claimed?: true;
  /** The resolved incident that this one takes up again. */
  readonly reopens?: string;
  /** The incident that has taken this one up again, and since when. */
  readonly reopened_as?: string;
  readonly reopened_at?: string;
  /** What it turned out to be, where the person who resolved it has said so. */
  readonly resolution?: Resolution;
  readonly dedup_key?: string;
  readonly occurrences: number;
  /** When it was reported again, if it was. */
  readonly last_seen_at?: string;
  /** How many entries of the log are about it. */
  readonly version: number;
  /** `entry_hash` of its latest entry. */
  readonly hash: string;
}

export type { IncidentNote };

/** What a further report says. It came at `last_seen_at`. */
export interface LatestReport {
  readonly severity: Severity;
  readonly description: string;
  readonly evidence?: JsonObject;
}

export interface Containment {
  readonly status: ContainmentStatus;
  readonly actions: readonly DeliveryRecord[];
}

/** An incident, the snapshot of its statechart, and its place among all incidents. */
export interface IncidentRecord {
  readonly incident: Incident;
  readonly snapshot: IncidentSnapshot;
  /** `seq` of the entry that reported it. */
  readonly seq: number;
  /**
   * The version of the latest entry that decides something. Occurrences that change neither severity nor state, delivery
   * entries and alerts do not: a command that has not seen them is still right.
   */
  readonly decisive: number;
  /** `seq` of the latest entry that carried it over, if one did: a replay begins with that, not with the report. */
  readonly carried?: number | undefined;
}

/** What an entry has made of an incident: as it was before, if it was, and as it is now. */
export interface RecordChange {
  readonly before: IncidentRecord | undefined;
  readonly now: IncidentRecord;
}

/** An entry that is on disk, and what the actor of its incident has made of it, if one was awake. */
export interface TakenEntry {
  readonly entry: StoredEntry;
  readonly change?: RecordChange | undefined;
}

/** What an entry is to the statecharts. */
export interface EntryEffect {
  /** What it is to the incident's; undefined when it is nothing to it. */
  readonly event?: IncidentEvent | undefined;
  /** The incident's own delivery that it changes, as it is then. */
  readonly delivery?: DeliveryRecord | undefined;
}

/**
 * What an entry that follows a record is to the statecharts.
 * @throws Contradiction when it is about a delivery that does not allow it
 */
export function effectOf({ incident }: IncidentRecord, entry: IncidentEntry): EntryEffect {
  if (isCommanded(entry)) return { event: { type: commandOfEvent(entry.event) } };
  if (isAboutDelivery(entry)) {
    if (entry.data.directive === 'engage') return effectOn(changedDelivery(incident, entry));
    // A release is the posture's, but for a drill's: that is its own.
    return incident.drill === true ? { delivery: changedRelease(incident, entry) } : {};
  }
  if (isAboutRecovery(entry)) return { event: chartEventOfRecovery(entry) };
  switch (entry.event) {
    case 'incident.reported':
    case 'incident.imported':
      throw new Contradiction(entry, `incident ${incident.id} was reported before`);
    case 'incident.recurred':
      return { event: recurrenceOf(entry) };
    case 'incident.snoozed':
      return { event: { type: 'snooze' } };
    case 'incident.woken':
      return { event: { type: 'wake' } };
    case 'containment.released':
      return { event: { type: 'release', action: entry.data.action } };
    case 'incident.carried':
    case 'incident.noted':
    case 'incident.assigned':
    case 'incident.reopened':
      return {};
    case 'alert.raised':
      return { delivery: alertDelivery(incident, entry.timestamp) };
    default:
      return entry satisfies never;
  }
}

function recurrenceOf({ data: { rule, attention, unable } }: EntryOf<'incident.recurred'>): IncidentEvent {
  return rule === undefined ? { type: 'recur' } : { type: 'recur', rule, attention: attention !== undefined, unable };
}

/** What an entry of a decision is to the statecharts: what `effectOf` gives, without asking them again. */
export function decidedEffect(delivery: DeliveryRecord, entry: IncidentEntry): EntryEffect {
  if (!isAboutDelivery(entry)) return {};
  if (entry.data.directive === 'engage') return effectOn(withEntry(delivery, entry));
  return entry.data.drill === true ? { delivery: withEntry(delivery, entry) } : {};
}

const effectOn = (delivery: DeliveryRecord): EntryEffect => ({
  event: { type: 'delivery', action: delivery.action, standing: standingOf(delivery) },
  delivery,
});

/** The incident's own delivery that an entry changes, as it is then. */
function changedDelivery({ containment }: Incident, entry: DeliveryEntry): DeliveryRecord {
  const { action } = entry.data;
  const before = containment?.actions.find((delivery) => delivery.action === action && isHeld(delivery));
  const after = before && foldDelivery(before, entry);
  if (after !== undefined) return after;
  throw new Contradiction(entry, `the delivery of ${action} is ${before?.status ?? 'not there'}`);
}

/** The release of a drill that an entry changes, as it is then. */
function changedRelease({ drill_releases: releases = [] }: Incident, entry: DeliveryEntry): DeliveryRecord {
  const { action } = entry.data;
  const before = releases.find((release) => release.action === action);
  const after = before && foldDelivery(before, entry);
  if (after !== undefined) return after;
  throw new Contradiction(entry, `the release of ${action} is ${before?.status ?? 'not there'}`);
}

/** The delivery of `log_alert` after an alert: it is carried out by being in the log. Undefined when it was before. */
function alertDelivery({ containment }: Incident, timestamp: string): DeliveryRecord | undefined {
  const alert = containment?.actions.find(({ via }) => via === 'log');
  return alert && alerted(alert, timestamp);
}

/**
 * The incident that a report opens.
 * @param snapshot the first snapshot that the statechart gives under the report's rule
 * @throws Contradiction when the entry says another state
 */
export function opened(entry: EntryOf<'incident.reported'>, snapshot: IncidentSnapshot): IncidentRecord {
  const { incident: id, version, severity, default_severity, reported_severity, report, intents } = entry.data;
  const { escalated_by } = entry.data;
  const state = agreed(entry, snapshot);
  const reportedBy = reporterOf(entry.data);
  // Members are added one by one, in their order: in a literal, V8 calls its runtime for each that follows a spread.
  const incident = {
    id,
    created_at: entry.timestamp,
    updated_at: entry.timestamp,
    class: report.class,
    severity,
  } as { -readonly [Member in keyof Incident]: Incident[Member] };
  if (default_severity !== undefined) incident.default_severity = default_severity;
  if (reported_severity !== undefined) incident.reported_severity = reported_severity;
  if (escalated_by !== undefined) incident.escalated_by = escalated_by;
  incident.state = state;
  incident.source = report.source;
  if (entry.data.source_suspicious === true) incident.source_suspicious = true;
  if (reportedBy !== undefined) incident.reported_by = reportedBy;
  if (entry.data.clock_uncertain === true) incident.clock_uncertain = true;
  incident.description = report.description;
  if (report.evidence !== undefined) incident.evidence = report.evidence;
  if (entry.data.drill === true) incident.drill = true;
  if (state === 'contained') Object.assign(incident, contained(entry, intents, snapshot, entry.data.not_asked));
  if (report.dedup_key !== undefined) incident.dedup_key = report.dedup_key;
  incident.occurrences = snapshot.context.occurrences;
  Object.assign(incident, recoveryIn(undefined, entry, undefined, snapshot));
  if (entry.data.reopens !== undefined) {
    incident.reopens = entry.data.reopens;
    Object.assign(incident, withNote({}, entry));
  }
  incident.version = version;
  incident.hash = entry.entry_hash;
  return { incident, snapshot, seq: entry.data.seq, decisive: version };
}

/**
 * The incident after a further entry about it.
 * @param snapshot the snapshot that the statechart has after the entry
 * @param delivery the incident's own delivery that the entry changes, as it is then
 * @throws Contradiction when the entry says another state, or does not follow the version of the record
 */
export function evolve(
  { incident, seq, decisive, carried, snapshot: before }: IncidentRecord,
  entry: IncidentEntry,
  snapshot: IncidentSnapshot,
  delivery: DeliveryRecord | undefined,
): IncidentRecord {
  const { version } = entry.data;
  if (version !== incident.version + 1)
    throw new Contradiction(entry, `version ${version} follows ${incident.version}`);
  if (entry.event === 'incident.carried') return carriedOver({ incident, snapshot, seq, decisive }, entry);
  const changed = changedFields(incident, entry, snapshot, delivery);
  const results = changed.containment && resultsIn(incident, changed.containment, entry.timestamp);
  const kept = withoutEnded(incident, entry, snapshot);
  // As in `opened`: no member follows a spread.
  const now = Object.assign(
    { ...(results?.length === 0 ? withoutFields(kept, RESULTS) : kept) },
    changed,
    results === undefined || results.length === 0 ? undefined : { containment_results: results },
    recoveryIn(incident, entry, before, snapshot),
    { state: agreed(entry, snapshot), updated_at: entry.timestamp, version, hash: entry.entry_hash },
  );
  const last = isDecisive(incident, entry, decisive) ? version : decisive;
  return carried === undefined
    ? { seq, snapshot, decisive: last, incident: now }
    : { seq, carried, snapshot, decisive: last, incident: now };
}

/** The recovery after an entry, as a member of the incident; nothing while no rule has asked for one. */
function recoveryIn(
  incident: Incident | undefined,
  entry: IncidentEntry,
  before: IncidentSnapshot | undefined,
  { context }: IncidentSnapshot,
): Pick<Incident, 'recovery'> | undefined {
  const recovery = recoveryAfter(incident?.recovery, entry, before?.context, context);
  return recovery && { recovery };
}

/** The outcomes that are known once an entry has changed the containment of an incident. */
function resultsIn(
  { containment, containment_results: results }: Incident,
  { actions }: Containment,
  timestamp: string,
): readonly ContainmentResult[] {
  return resultsAfter({ actions: containment?.actions ?? [], results }, actions, timestamp);
}

/**
 * Whether a command that has not seen an entry might be wrong. An alert belongs to the entry before it.
 * @param last the version of the latest entry that decided something
 */
function isDecisive({ state, version }: Incident, entry: IncidentEntry, last: number): boolean {
  if (entry.event === 'incident.recurred') return entry.data.attention !== undefined || entry.data.state !== state;
  if (entry.event === 'alert.raised') return last === version;
  // To waive a recovery changes what there is to decide; its steps and its requests do not.
  return isAboutRecovery(entry) ? entry.event === 'recovery.waived' : !isAboutDelivery(entry);
}

const isRising = ({ event, data }: IncidentEntry): boolean =>
  event === 'incident.recurred' && data.attention === 'severity';

/** What is said about the severity of an incident. */
const ORIGIN = ['default_severity', 'reported_severity', 'escalated_by'] as const;
const RESULTS = ['containment_results'] as const;
const ASSIGNMENT = ['assignee', 'assigned_at', 'assigned_by', 'assigned_by_claimed'] as const;
const SNOOZE = ['snoozed_until', 'snoozed_by', 'snoozed_by_claimed'] as const;

/** The incident without what an entry ends or says in another way. */
function withoutEnded(incident: Incident, entry: IncidentEntry, { context }: IncidentSnapshot): Incident {
  if (isRising(entry)) incident = withoutFields(incident, ORIGIN);
  if (entry.event === 'incident.assigned') incident = withoutFields(incident, ASSIGNMENT);
  const isOver = entry.event === 'incident.snoozed' || context.snoozed !== true;
  return incident.snoozed_until !== undefined && isOver ? withoutFields(incident, SNOOZE) : incident;
}

type Ending = (typeof ORIGIN | typeof RESULTS | typeof ASSIGNMENT | typeof SNOOZE)[number];

function withoutFields(incident: Incident, fields: readonly Ending[]): Incident {
  const rest: { -readonly [Field in keyof Incident]: Incident[Field] } = { ...incident };
  for (const field of fields) delete rest[field];
  return rest;
}

/** What an entry changes of the incident, besides what every entry changes. */
function changedFields(
  incident: Incident,
  entry: IncidentEntry,
  snapshot: IncidentSnapshot,
  delivery: DeliveryRecord | undefined,
): Partial<Incident> {
  if (isCommanded(entry)) {
    const { resolution } = entry.data;
    const effect = effectOnContainment(incident, entry, snapshot);
    return {
      ...effect,
      ...stamped(entry),
      ...withNote(incident, entry),
      ...(resolution === undefined ? {} : { resolution }),
    };
  }
  if (entry.event === 'incident.recurred') return recurred(incident, entry, snapshot);
  if (isAct(entry)) return { ...afterAct(incident, entry, snapshot), ...withNote(incident, entry) };
  if (entry.event === 'containment.released') return withoutReleased(incident, entry, snapshot);
  if (delivery === undefined) return {};
  return isAboutDelivery(entry) && entry.data.directive === 'release'
    ? { drill_releases: replaced(incident.drill_releases, delivery) }
    : delivered(incident, delivery, snapshot);
}

type ActEntry = Extract<
  IncidentEntry,
  { readonly event: `incident.${'noted' | 'assigned' | 'snoozed' | 'woken' | 'reopened'}` }
>;

const ACTS: ReadonlySet<string> = new Set<ActEntry['event']>([
  'incident.noted',
  'incident.assigned',
  'incident.snoozed',
  'incident.woken',
  'incident.reopened',
]);

const isAct = (entry: IncidentEntry): entry is ActEntry => ACTS.has(entry.event);

/** What a person's act makes of the incident, besides its note. */
function afterAct(incident: Incident, entry: ActEntry, snapshot: IncidentSnapshot): Partial<Incident> {
  const { timestamp: at } = entry;
  switch (entry.event) {
    case 'incident.noted':
      return {};
    case 'incident.assigned': {
      const { to } = entry.data;
      if (to === null) return {};
      return { assignee: to, assigned_at: at, ...byWhom('assigned', entry) };
    }
    case 'incident.snoozed': {
      const acknowledged = incident.state === 'acknowledged' ? {} : stampsOf('acknowledged', entry);
      return { ...acknowledged, snoozed_until: entry.data.until, ...byWhom('snoozed', entry) };
    }
    case 'incident.woken': {
      const { intents = [] } = entry.data;
      return intents.length === 0 ? {} : asked(incident, entry, intents, snapshot);
    }
    case 'incident.reopened':
      return { reopened_as: entry.data.as, reopened_at: at };
    default:
      return entry satisfies never;
  }
}

const replaced = (deliveries: readonly DeliveryRecord[] = [], changed: DeliveryRecord): readonly DeliveryRecord[] =>
  deliveries.map((one) => (one.action === changed.action ? changed : one));

/** What a further report makes of the incident. An old entry only counts it. */
function recurred(
  incident: Incident,
  entry: EntryOf<'incident.recurred'>,
  snapshot: IncidentSnapshot,
): Partial<Incident> {
  const counted = {
    occurrences: snapshot.context.occurrences,
    last_seen_at: entry.timestamp,
  };
  const { severity, default_severity, reported_severity, escalated_by, report, rule, intents = [] } = entry.data;
  if (severity === undefined || rule === undefined) return counted;
  const { description, evidence } = report;
  const latest = { severity: severityOf(report, rule).severity, description };
  return {
    ...counted,
    severity,
    ...(default_severity === undefined ? {} : { default_severity }),
    ...(reported_severity === undefined ? {} : { reported_severity }),
    ...(escalated_by === undefined ? {} : { escalated_by }),
    latest_report: evidence === undefined ? latest : { ...latest, evidence },
    ...(intents.length === 0 ? {} : asked(incident, entry, intents, snapshot)),
  };
}

/** The containment once further actions are asked for, or some of them again. */
function asked(
  { containment, contained_at }: Incident,
  asking: Asking,
  intents: readonly RoutedIntent[],
  { context }: IncidentSnapshot,
): Partial<Incident> {
  const before = containment?.actions ?? [];
  const viaOf = new Map(intents.map((intent) => [intent.action, channelOfIntent(intent)]));
  const actions = before.map((delivery) => {
    const via = viaOf.get(delivery.action);
    viaOf.delete(delivery.action);
    return via === undefined ? delivery : askedAgain(delivery, via, asking);
  });
  for (const [action, via] of viaOf) actions.push(newDelivery(action, via, asking));
  return {
    containment_actions: actions.filter(isHeld).map(({ action }) => action),
    containment: { status: containmentStatus(context.standings), actions },
    contained_at: contained_at ?? asking.timestamp,
  };
}

/** The containment once a person has released some of it early. */
function withoutReleased(
  { containment }: Incident,
  entry: EntryOf<'containment.released'>,
  { context }: IncidentSnapshot,
): Partial<Incident> {
  const released = entry.data.intents.map(({ action }) => action);
  const actions = (containment?.actions ?? []).map((one) =>
    isHeld(one) && released.includes(one.action) ? releasedEarly(one, entry) : one,
  );
  return {
    containment_actions: actions.filter(isHeld).map(({ action }) => action),
    containment: { status: containmentStatus(context.standings), actions },
  };
}

type CommandedEntry = Extract<IncidentEntry, { readonly event: CommandEvent }>;

const isCommanded = (entry: IncidentEntry): entry is CommandedEntry => commandOfEvent(entry.event) !== undefined;

/** What a command makes of the incident's containment. */
function effectOnContainment(incident: Incident, entry: CommandedEntry, snapshot: IncidentSnapshot): Partial<Incident> {
  // An acknowledged incident may have been contained before.
  if (entry.event === 'incident.contained') return asked(incident, entry, entry.data.intents, snapshot);
  if (entry.event !== 'incident.resolved') return {};
  return incident.drill === true
    ? { ...superseded(incident), drill_releases: releasesOf(incident, entry) }
    : superseded(incident);
}

/** The releases that the end of a drill asks for: of all that may have been sent, where the policy knows how. */
function releasesOf({ containment }: Incident, entry: EntryOf<'incident.resolved'>): readonly DeliveryRecord[] {
  const sent = (containment?.actions ?? []).filter(({ via, status }) => via === 'push' && status !== 'superseded');
  return entry.data.intents.flatMap((intent) => {
    const { action, directive } = intent;
    const isSent = directive === 'release' && channelOfIntent(intent) === 'push';
    return isSent && sent.some((delivery) => delivery.action === action) ? [newDelivery(action, 'push', entry)] : [];
  });
}

/** The fields that say when a command was carried out, and who gave it. */
const stamped = (entry: CommandedEntry): Stamps => stampsOf(entry.event.slice('incident.'.length) as Done, entry);

const stampsOf = (done: Done, entry: CommandedEntry | ActEntry): Stamps => ({
  [`${done}_at`]: entry.timestamp,
  ...byWhom(done, entry),
});

/** Who did it, and whether nothing but the request says so. */
const byWhom = (done: string, { data: { by, claimed } }: CommandedEntry | ActEntry): object =>
  by === undefined ? {} : { [`${done}_by`]: by, ...(claimed && { [`${done}_by_claimed`]: true }) };

function contained(
  asking: Asking,
  intents: readonly RoutedIntent[],
  { context }: IncidentSnapshot,
  spared: readonly ContainmentAction[] = [],
): Partial<Incident> {
  return {
    containment_actions: intents.map(({ action }) => action),
    containment: {
      status: containmentStatus(context.standings),
      actions: [
        ...intents.map((intent) => newDelivery(intent.action, channelOfIntent(intent), asking)),
        ...spared.map((action) => notAsked(action, asking)),
      ],
    },
    contained_at: asking.timestamp,
  };
}

const superseded = ({ containment }: Incident): Partial<Incident> =>
  containment === undefined ? {} : { containment: { ...containment, actions: containment.actions.map(supersede) } };

function delivered(
  { containment }: Incident,
  changed: DeliveryRecord,
  { context }: IncidentSnapshot,
): Partial<Incident> {
  const actions = (containment?.actions ?? []).map((one) => (one.action === changed.action ? changed : one));
  return { containment: { status: containmentStatus(context.standings), actions } };
}

/** The state of an entry, on which the statechart agrees. */
export function agreed(entry: IncidentEntry, snapshot: IncidentSnapshot): State {
  const state = stateOf(snapshot);
  if (entry.data.state === state) return state;
  throw new Contradiction(entry, `state ${entry.data.state} where the statechart gives ${state}`);
}

/**
 * The record after an entry about its incident, as a replay of the log makes it.
 * @throws Contradiction
 */
export function fold(before: IncidentRecord | undefined, entry: IncidentEntry): IncidentRecord {
  if (entry.event === 'incident.reported') return opened(entry, begin(entry.data.rule).snapshot);
  if (entry.event === 'incident.imported' || (before === undefined && entry.event === 'incident.carried')) {
    return wholeIncident(entry);
  }
  if (before === undefined) throw new Contradiction(entry, `incident ${entry.data.incident} was never reported`);
  const { event, delivery } = effectOf(before, entry);
  const snapshot = event === undefined ? before.snapshot : snapshotAfter(before, entry, event);
  return evolve(before, entry, snapshot, delivery);
}

function snapshotAfter({ snapshot }: IncidentRecord, entry: IncidentEntry, event: IncidentEvent): IncidentSnapshot {
  const decision = askChart(snapshot, event);
  if (decision.kind === 'moved') return decision.snapshot;
  throw new Contradiction(entry, `the statechart does not allow it in ${stateOf(snapshot)}`);
}

/** The request that an entry was made by, as far as it may be sent again; an old entry has the key itself. */
export const requestOf = (entry: IncidentEntry): RequestTag | Idempotency | undefined =>
  entry.event === 'incident.reported' || entry.event === 'incident.recurred'
    ? (entry.data.request ?? entry.data.idempotency)
    : undefined;
