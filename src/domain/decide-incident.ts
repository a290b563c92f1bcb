/**
 * What a report or a message to an incident decides: the entries to append, or a refusal.
 *
 * The statechart says whether a message is legal; the entries that follow from it are drafted here. Nothing has changed
 * until they are on disk: `incident.ts` says what they make of the incident then. All of it is pure: time, identifiers
 * and channels come in as arguments.
 */
import { type CommandName, eventOfCommand } from '../../machines/commands.ts';
import { begin, decide as askChart, type Intent, type RefusedCommand, stateOf } from '../../machines/decision.ts';
import {
  type Channel,
  type ContainmentAction,
  type Directive,
  isMoreSevere,
  type Rule,
} from '../../machines/vocabulary.ts';
import { type Caller, signed } from './caller.ts';
import { alertAfter, type AlertSubject } from './alerts.ts';
import { decideNews, type DeliveryNews, type DeliveryRecord, needsPerson, standingOf } from './delivery.ts';
import {
  type Attention,
  channelOfIntent,
  type DraftOf,
  type IncidentDraft,
  type IncidentEntry,
  type Report,
  type RequestTag,
  type RoutedIntent,
} from './entries.ts';
import type { Incident, IncidentRecord } from './incident.ts';
import { obstacleTo, type ReportedEvidence } from './model-evidence.ts';
import { severityOf } from './severity.ts';

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
  /** Who sends the message, and what they say about it; undefined when the recorder itself does. */
  readonly caller?: Caller | undefined;
  readonly note?: string | undefined;
}

export type IncidentDecision =
  /** The entries to append, all or none, and the delivery that the first of them is about, as it is then. */
  | { readonly kind: 'accepted'; readonly drafts: readonly IncidentDraft[]; readonly delivery?: DeliveryRecord }
  /** The incident is in that state already, or the news comes too late. */
  | { readonly kind: 'unchanged' }
  | RefusedCommand;

const NEEDS_PERSON = { needs_person: true } as const;
const FIRST = { first: true } as const;

/** The entries that open an incident, under the rule that is in force for its class. */
export function decideReport(
  id: string,
  report: Report,
  rule: Rule,
  { timestamp, channelOf, caller }: Circumstances,
  {
    request,
    sourceSuspicious = false,
    clockUncertain = false,
  }: { readonly request?: RequestTag | undefined; sourceSuspicious?: boolean; clockUncertain?: boolean } = {},
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
    ...(sourceSuspicious ? { source_suspicious: true } : undefined),
    ...(clockUncertain ? { clock_uncertain: true } : undefined),
    ...(request === undefined ? undefined : { request }),
    ...caller,
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
  { timestamp, channelOf, caller, note }: Circumstances,
): IncidentDecision {
  const decision = askChart(snapshot, { type: command });
  if (decision.kind !== 'moved') return decision;
  const data: DraftOf<'incident.contained'>['data'] = {
    incident: incident.id,
    version: incident.version + 1,
    state: stateOf(decision.snapshot),
    ...signed(caller, note),
    intents: routed(decision.intents, channelOf),
  };
  const draft = { timestamp, event: eventOfCommand(command), data };
  return { kind: 'accepted', drafts: withFollowUps(draft, incident, incident) };
}

function decideRecurrence(
  { incident, snapshot }: IncidentRecord,
  { report, rule, attentionAfter, burst, request }: Extract<Message, { type: 'recur' }>,
  { timestamp, channelOf, caller }: Circumstances,
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
    ...caller,
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
  { timestamp, caller, note }: Circumstances,
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
      const data = { ...about, ...(attempted ? { attempt: attempts } : {}), receipt, ...caller };
      return { timestamp, event: 'containment.confirmed', data };
    }
    case 'lost':
      return { timestamp, event: 'containment.lost', data: { ...about, reason: news.reason, ...caller } };
    case 'retried': {
      const data = { ...about, via: news.via, ...signed(caller, note) };
      return { timestamp, event: 'containment.retried', data };
    }
    default:
      return news satisfies never;
  }
}

/**
 * An entry that may ask for actions, followed by its alert, and by what is known of these actions at once: those that
 * can't be carried out from what is reported need a person.
 */
const withFollowUps = (
  draft: IncidentDraft,
  subject: AlertSubject,
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
function withAlert(draft: IncidentDraft, subject: AlertSubject): readonly IncidentDraft[] {
  const alert = alertAfter(draft, subject);
  return alert === undefined ? [draft] : [draft, alert];
}

/** The entries that should follow an entry in the same write: its alert, and what needs a person. */
export const followUpsOf = (entry: IncidentEntry, { incident }: IncidentRecord): readonly IncidentDraft[] =>
  withFollowUps(entry, incident, incident).slice(1);

const routed = (intents: readonly Intent[], channelOf: Circumstances['channelOf']): readonly RoutedIntent[] =>
  intents.map((intent) => ({ ...intent, via: channelOf(intent.action, intent.directive) }));
