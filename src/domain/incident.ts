/**
 * The incident: what a report or a message to it decides, and what each entry of the log makes of it.
 *
 * `decide` asks the statechart whether a message is legal and drafts the entries that follow from it. `evolve` gives the
 * incident after an entry, from the snapshot that the statechart has then. The living actor takes that snapshot from
 * XState; `fold`, which a replay of the log uses, asks the statechart for it. Each entry carries the state that it led
 * to, and one that disagrees with the statechart is a contradiction: a replay can't tell another story than the log.
 *
 * All of it is pure: time, identifiers and channels come in as arguments.
 */
import {
  type CommandEvent,
  type CommandName,
  commandOfEvent,
  type Done,
  eventOfCommand,
} from '../../machines/commands.ts';
import { begin, decide as askChart, type Intent, stateOf } from '../../machines/decision.ts';
import type { IncidentSnapshot } from '../../machines/decision.ts';
import { containmentStatus, type IncidentEvent } from '../../machines/incident.ts';
import type { NextTransition } from '../../machines/transitions.ts';
import {
  type Channel,
  type ContainmentAction,
  type ContainmentStatus,
  type Directive,
  type IncidentClass,
  isMoreSevere,
  type Rule,
  type Severity,
  type State,
} from '../../machines/vocabulary.ts';
import { alertAfter } from './alerts.ts';
import { Contradiction } from './contradiction.ts';
import {
  alerted,
  askedAgain,
  type Asking,
  decideNews,
  type DeliveryNews,
  type DeliveryRecord,
  foldDelivery,
  isAboutDelivery,
  needsPerson,
  newDelivery,
  standingOf,
  supersede,
  withEntry,
} from './delivery.ts';
import {
  type Attention,
  channelOfIntent,
  type DeliveryEntry,
  type DraftOf,
  type EntryOf,
  type Idempotency,
  type IncidentDraft,
  type IncidentEntry,
  type JsonObject,
  type Report,
  type RequestTag,
  type RoutedIntent,
  type StoredEntry,
} from './entries.ts';
import { obstacleTo, type ReportedEvidence } from './model-evidence.ts';
import { severityOf } from './severity.ts';

/** When each command was carried out, and who gave it. */
type Stamps = { readonly [Field in `${Done}_at` | `${Done}_by`]?: string };

/** The incident as every endpoint gives it. Times are RFC 3339 in UTC with milliseconds. */
export interface Incident extends Stamps {
  readonly id: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly class: IncidentClass;
  /** The highest that was reported. */
  readonly severity: Severity;
  /** The class's severity, where the report lowered it. */
  readonly default_severity?: Severity;
  /** The severity in the report, where the rule's `min_severity` raised it. */
  readonly reported_severity?: Severity;
  readonly state: State;
  readonly source: string;
  /** Whether the source mixes scripts, or looks like another one on record. */
  readonly source_suspicious?: true;
  readonly description: string;
  readonly evidence?: JsonObject;
  /** The latest further report, if there was one. */
  readonly latest_report?: LatestReport;
  /** The actions that applied, once contained. */
  readonly containment_actions?: readonly ContainmentAction[];
  /** What has become of them, once contained. */
  readonly containment?: Containment;
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

/** What an incident can be sent. */
export type Message =
  /** A person's command. */
  | { readonly type: CommandName }
  /** A further report of the same trouble. */
  | {
      readonly type: 'recur';
      readonly report: Report;
      /** The rule in force for the report. */
      readonly rule: Rule;
      /** After how many milliseconds without an occurrence an acknowledged incident needs attention again. */
      readonly attentionAfter: number;
      readonly burst?: 'begun' | 'continued' | undefined;
      readonly request?: RequestTag | undefined;
    }
  /** Something about its reporter that a person should know. */
  | { readonly type: 'alert'; readonly reason: string }
  /** News of one of its deliveries. */
  | {
      readonly type: 'deliver';
      readonly action: ContainmentAction;
      readonly directive: Directive;
      readonly news: DeliveryNews;
    };

/** What a decision takes from outside the incident. */
export interface Circumstances {
  /** RFC 3339, UTC, milliseconds. */
  readonly timestamp: string;
  /** How a directive reaches its service, under the policy in force. */
  readonly channelOf: (action: ContainmentAction, directive: Directive) => Channel;
  /** Who sends the message, and what they say about it. */
  readonly by?: string | undefined;
  readonly note?: string | undefined;
}

export type IncidentDecision =
  /** The entries to append, all or none, and the delivery that the first of them is about, as it is then. */
  | { readonly kind: 'accepted'; readonly drafts: readonly IncidentDraft[]; readonly delivery?: DeliveryRecord }
  /** The incident is there already, or the news come too late. */
  | { readonly kind: 'unchanged' }
  | {
      readonly kind: 'refused';
      readonly state: State;
      readonly allowed: readonly CommandName[];
      readonly transitions: readonly NextTransition[];
    };

const SUSPICIOUS = { source_suspicious: true } as const;

/** The entries that open an incident, under the rule that is in force for its class. */
export function decideReport(
  id: string,
  report: Report,
  rule: Rule,
  { timestamp, channelOf }: Circumstances,
  { request, sourceSuspicious = false }: { readonly request?: RequestTag | undefined; sourceSuspicious?: boolean } = {},
): readonly IncidentDraft[] {
  const { snapshot, intents } = begin(rule);
  const { severity, origin } = severityOf(report, rule);
  const data: DraftOf<'incident.reported'>['data'] = {
    incident: id,
    version: 1,
    state: stateOf(snapshot),
    severity,
    report,
    rule,
    intents: routed(intents, channelOf),
    ...origin,
    ...(sourceSuspicious ? SUSPICIOUS : undefined),
    ...(request === undefined ? undefined : { request }),
  };
  return withFollowUps({ timestamp, event: 'incident.reported', data }, { ...report, severity }, report);
}

/**
 * What follows from a message.
 * @param delivery the delivery that a `deliver` is about, as it is now; undefined when there is none
 */
export function decide(
  record: IncidentRecord,
  message: Message,
  circumstances: Circumstances,
  delivery?: DeliveryRecord,
): IncidentDecision {
  switch (message.type) {
    case 'recur':
      return decideRecurrence(record, message, circumstances);
    case 'deliver':
      return decideDelivery(record, message, circumstances, delivery);
    case 'alert':
      return decideAlert(record, message, circumstances);
    default:
      return decideCommand(record, message.type, circumstances);
  }
}

function decideCommand(
  { incident, snapshot }: IncidentRecord,
  command: CommandName,
  { timestamp, channelOf, by, note }: Circumstances,
): IncidentDecision {
  const decision = askChart(snapshot, { type: command });
  if (decision.kind !== 'moved') return decision;
  const data: DraftOf<'incident.contained'>['data'] = {
    incident: incident.id,
    version: incident.version + 1,
    state: stateOf(decision.snapshot),
    ...(by === undefined ? {} : { by }),
    ...(note === undefined ? {} : { note }),
    intents: routed(decision.intents, channelOf),
  };
  const draft = { timestamp, event: eventOfCommand(command), data };
  return { kind: 'accepted', drafts: withFollowUps(draft, incident, incident) };
}

function decideRecurrence(
  { incident, snapshot }: IncidentRecord,
  { report, rule, attentionAfter, burst, request }: Extract<Message, { type: 'recur' }>,
  { timestamp, channelOf }: Circumstances,
): IncidentDecision {
  const reported = severityOf(report, rule);
  const rises = isMoreSevere(reported.severity, incident.severity);
  const attention = rises ? 'severity' : attentionAfterSilence(incident, timestamp, attentionAfter);
  const evidence = { evidence: incident.evidence, latest_report: report };
  const unable = brokenFor(incident, evidence);
  const decision = askChart(snapshot, { type: 'recur', rule, attention: attention !== undefined, unable });
  if (decision.kind !== 'moved') return decision;
  const severity = rises ? reported.severity : incident.severity;
  const data: DraftOf<'incident.recurred'>['data'] = {
    incident: incident.id,
    version: incident.version + 1,
    state: stateOf(decision.snapshot),
    severity,
    ...(rises ? reported.origin : undefined),
    report,
    rule,
    intents: routed(decision.intents, channelOf),
    ...(attention === undefined ? {} : { attention }),
    ...(unable.length === 0 ? {} : { unable }),
    ...(burst === undefined ? {} : { burst }),
    ...(request === undefined ? {} : { request }),
  };
  const draft = { timestamp, event: 'incident.recurred', data } as const;
  return { kind: 'accepted', drafts: withFollowUps(draft, { ...incident, severity }, evidence) };
}

/** The broken actions of an incident that can't be carried out from what is reported. */
const brokenFor = ({ containment }: Incident, evidence: ReportedEvidence): readonly ContainmentAction[] =>
  (containment?.actions ?? [])
    .filter((delivery) => standingOf(delivery) === 'broken')
    .filter(({ action, via }) => obstacleTo(action, via, evidence) !== undefined)
    .map(({ action }) => action);

/** An acknowledged incident that recurs after a long time without an occurrence needs attention. */
function attentionAfterSilence(
  { state, last_seen_at, created_at }: Incident,
  timestamp: string,
  after: number,
): Attention | undefined {
  if (state !== 'acknowledged') return undefined;
  return Date.parse(timestamp) - Date.parse(last_seen_at ?? created_at) >= after ? 'silence' : undefined;
}

function decideDelivery(
  { incident, snapshot }: IncidentRecord,
  { action, directive, news }: Extract<Message, { type: 'deliver' }>,
  circumstances: Circumstances,
  before: DeliveryRecord | undefined,
): IncidentDecision {
  const delivery = before && decideNews(before, directive, news);
  if (delivery === undefined) return { kind: 'unchanged' };
  // A release is the posture's: the incident is over, and its statechart does not move.
  if (directive === 'engage') {
    const decision = askChart(snapshot, { type: 'delivery', action, standing: standingOf(delivery) });
    if (decision.kind !== 'moved') return { kind: 'unchanged' };
  }
  const { id, version, state } = incident;
  const about = { incident: id, version: version + 1, state, action, directive };
  return { kind: 'accepted', drafts: withAlert(draftOfNews(about, news, delivery, circumstances), incident), delivery };
}

function decideAlert(
  { incident }: IncidentRecord,
  { reason }: Extract<Message, { type: 'alert' }>,
  { timestamp }: Circumstances,
): IncidentDecision {
  const { id, version, state, class: ofClass, severity, source } = incident;
  const data = { incident: id, version: version + 1, state, class: ofClass, severity, source, reason };
  return { kind: 'accepted', drafts: [{ timestamp, event: 'alert.raised', data }] };
}

function draftOfNews(
  about: Omit<DraftOf<'containment.lost'>['data'], 'reason'>,
  news: DeliveryNews,
  { status, attempts, asked_at }: DeliveryRecord,
  { timestamp, by, note }: Circumstances,
): IncidentDraft {
  switch (news.type) {
    case 'missed': {
      const { error, wait } = news;
      if (status === 'failed') {
        const data = { ...about, attempt: attempts, refused: false, error };
        return { timestamp, event: 'containment.failed', data };
      }
      const next_attempt_at = new Date(Date.parse(timestamp) + wait).toISOString();
      const data = { ...about, attempt: attempts, error, wait_ms: wait, next_attempt_at };
      return { timestamp, event: 'containment.attempted', data };
    }
    case 'refused': {
      const person = needsPerson(about.directive, news) ? NEEDS_PERSON : undefined;
      const data = { ...about, attempt: attempts, refused: true, error: news.error, ...person };
      return { timestamp, event: 'containment.failed', data };
    }
    case 'overdue': {
      const { waited, after, first } = news;
      const times = { asked_at, waited_ms: Math.round(waited), overdue_after_ms: after };
      return { timestamp, event: 'containment.overdue', data: { ...about, ...times, ...(first && FIRST) } };
    }
    case 'confirmed': {
      const { attempted, receipt } = news;
      const data = { ...about, ...(attempted ? { attempt: attempts } : {}), receipt };
      return { timestamp, event: 'containment.confirmed', data };
    }
    case 'lost':
      return { timestamp, event: 'containment.lost', data: { ...about, reason: news.reason } };
    case 'retried': {
      const said = { ...(by === undefined ? {} : { by }), ...(note === undefined ? {} : { note }) };
      return { timestamp, event: 'containment.retried', data: { ...about, via: news.via, ...said } };
    }
    default:
      return news satisfies never;
  }
}

const NEEDS_PERSON = { needs_person: true } as const;
const FIRST = { first: true } as const;

/**
 * An entry that may ask for actions, followed by its alert, and by what is known of these actions at once: those that
 * can't be carried out from what is reported need a person.
 */
const withFollowUps = (
  draft: IncidentDraft,
  subject: Parameters<typeof alertAfter>[1],
  evidence: ReportedEvidence,
): readonly IncidentDraft[] => {
  const drafts = withAlert(draft, subject);
  const intents = 'intents' in draft.data ? draft.data.intents : undefined;
  if (intents === undefined) return drafts;
  const unable = intents.flatMap((intent) => {
    const { action, directive } = intent;
    const error = directive === 'engage' ? obstacleTo(action, channelOfIntent(intent), evidence) : undefined;
    return error === undefined ? [] : { action, directive, attempt: 0, refused: true, error, ...NEEDS_PERSON };
  });
  return unable.reduce((before, data) => {
    const { incident, version, state } = before.at(-1)!.data;
    const about = { incident, version: version + 1, state };
    const failed = { timestamp: draft.timestamp, event: 'containment.failed', data: { ...about, ...data } } as const;
    return [...before, ...withAlert(failed, subject)];
  }, drafts);
};

/** An entry, followed by the alert that it raises, if it raises one. */
function withAlert(draft: IncidentDraft, subject: Parameters<typeof alertAfter>[1]): readonly IncidentDraft[] {
  const alert = alertAfter(draft, subject);
  return alert === undefined ? [draft] : [draft, alert];
}

/** The entries that should follow an entry in the same write: its alert, and what needs a person. */
export const followUpsOf = (entry: IncidentEntry, { incident }: IncidentRecord): readonly IncidentDraft[] =>
  withFollowUps(entry, incident, incident).slice(1);

const routed = (intents: readonly Intent[], channelOf: Circumstances['channelOf']): readonly RoutedIntent[] =>
  intents.map((intent) => ({ ...intent, via: channelOf(intent.action, intent.directive) }));

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
    return entry.data.directive === 'release' ? {} : effectOn(changedDelivery(incident, entry));
  }
  switch (entry.event) {
    case 'incident.reported':
      throw new Contradiction(entry, `incident ${incident.id} was reported before`);
    case 'incident.recurred':
      return { event: recurrenceOf(entry) };
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
export const decidedEffect = (delivery: DeliveryRecord, entry: IncidentEntry): EntryEffect =>
  isAboutDelivery(entry) && entry.data.directive === 'engage' ? effectOn(withEntry(delivery, entry)) : {};

const effectOn = (delivery: DeliveryRecord): EntryEffect => ({
  event: { type: 'delivery', action: delivery.action, standing: standingOf(delivery) },
  delivery,
});

/** The incident's own delivery that an entry changes, as it is then. */
function changedDelivery({ containment }: Incident, entry: DeliveryEntry): DeliveryRecord {
  const { action } = entry.data;
  const before = containment?.actions.find((delivery) => delivery.action === action);
  const after = before && foldDelivery(before, entry);
  if (after !== undefined) return after;
  throw new Contradiction(entry, `the delivery of ${action} is ${before?.status ?? 'not there'}`);
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
  const state = agreed(entry, snapshot);
  const incident: Incident = {
    id,
    created_at: entry.timestamp,
    updated_at: entry.timestamp,
    class: report.class,
    severity,
    ...(default_severity === undefined ? undefined : { default_severity }),
    ...(reported_severity === undefined ? undefined : { reported_severity }),
    state,
    source: report.source,
    ...(entry.data.source_suspicious === true ? SUSPICIOUS : undefined),
    description: report.description,
    ...(report.evidence === undefined ? {} : { evidence: report.evidence }),
    ...(state === 'contained' ? contained(entry, intents, snapshot) : {}),
    ...(report.dedup_key === undefined ? {} : { dedup_key: report.dedup_key }),
    occurrences: snapshot.context.occurrences,
    version,
    hash: entry.entry_hash,
  };
  return { incident, snapshot, seq: entry.data.seq, decisive: version };
}

/**
 * The incident after a further entry about it.
 * @param snapshot the snapshot that the statechart has after the entry
 * @param delivery the incident's own delivery that the entry changes, as it is then
 * @throws Contradiction when the entry says another state, or does not follow the version of the record
 */
export function evolve(
  { incident, seq, decisive }: IncidentRecord,
  entry: IncidentEntry,
  snapshot: IncidentSnapshot,
  delivery: DeliveryRecord | undefined,
): IncidentRecord {
  const { version } = entry.data;
  if (version !== incident.version + 1)
    throw new Contradiction(entry, `version ${version} follows ${incident.version}`);
  return {
    seq,
    snapshot,
    decisive: isDecisive(incident, entry, decisive) ? version : decisive,
    incident: {
      ...(isRising(entry) ? withoutOrigin(incident) : incident),
      ...changedFields(incident, entry, snapshot, delivery),
      state: agreed(entry, snapshot),
      updated_at: entry.timestamp,
      version,
      hash: entry.entry_hash,
    },
  };
}

/**
 * Whether a command that has not seen an entry might be wrong. An alert belongs to the entry before it.
 * @param last the version of the latest entry that decided something
 */
function isDecisive({ state, version }: Incident, entry: IncidentEntry, last: number): boolean {
  if (entry.event === 'incident.recurred') return entry.data.attention !== undefined || entry.data.state !== state;
  return entry.event === 'alert.raised' ? last === version : !isAboutDelivery(entry);
}

const isRising = ({ event, data }: IncidentEntry): boolean =>
  event === 'incident.recurred' && data.attention === 'severity';

/** The incident without what was said about its severity. */
function withoutOrigin(incident: Incident): Incident {
  const rest: { -readonly [Field in keyof Incident]: Incident[Field] } = { ...incident };
  delete rest.default_severity;
  delete rest.reported_severity;
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
    const { note } = entry.data;
    const effect = effectOnContainment(incident, entry, snapshot);
    return { ...effect, ...stamped(entry), ...(note === undefined ? {} : { note }) };
  }
  if (entry.event === 'incident.recurred') return recurred(incident, entry, snapshot);
  return delivery === undefined ? {} : delivered(incident, delivery, snapshot);
}

/** What a further report makes of the incident. An old entry only counts it. */
function recurred(
  incident: Incident,
  entry: EntryOf<'incident.recurred'>,
  snapshot: IncidentSnapshot,
): Partial<Incident> {
  const counted = { occurrences: snapshot.context.occurrences, last_seen_at: entry.timestamp };
  const { severity, default_severity, reported_severity, report, rule, intents = [] } = entry.data;
  if (severity === undefined || rule === undefined) return counted;
  const { description, evidence } = report;
  const latest = { severity: severityOf(report, rule).severity, description };
  return {
    ...counted,
    severity,
    ...(default_severity === undefined ? {} : { default_severity }),
    ...(reported_severity === undefined ? {} : { reported_severity }),
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
    containment_actions: actions.map(({ action }) => action),
    containment: { status: containmentStatus(context.standings), actions },
    contained_at: contained_at ?? asking.timestamp,
  };
}

type CommandedEntry = Extract<IncidentEntry, { readonly event: CommandEvent }>;

const isCommanded = (entry: IncidentEntry): entry is CommandedEntry => commandOfEvent(entry.event) !== undefined;

/** What a command makes of the incident's containment. */
function effectOnContainment(incident: Incident, entry: CommandedEntry, snapshot: IncidentSnapshot): Partial<Incident> {
  // An acknowledged incident may have been contained before.
  if (entry.event === 'incident.contained') return asked(incident, entry, entry.data.intents, snapshot);
  return entry.event === 'incident.resolved' ? superseded(incident) : {};
}

/** The fields that say when a command was carried out, and who gave it. */
function stamped({ event, timestamp, data: { by } }: CommandedEntry): Stamps {
  const done = event.slice('incident.'.length) as Done;
  return { [`${done}_at`]: timestamp, ...(by === undefined ? {} : { [`${done}_by`]: by }) };
}

function contained(asking: Asking, intents: readonly RoutedIntent[], { context }: IncidentSnapshot): Partial<Incident> {
  return {
    containment_actions: intents.map(({ action }) => action),
    containment: {
      status: containmentStatus(context.standings),
      actions: intents.map((intent) => newDelivery(intent.action, channelOfIntent(intent), asking)),
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
function agreed(entry: IncidentEntry, snapshot: IncidentSnapshot): State {
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
