/**
 * What a report or a message to an incident decides: the entries to append, or a refusal.
 *
 * The statechart says whether a message is legal; the entries that follow from it are drafted here. Nothing has changed
 * until they are on disk: `incident.ts` says what they make of the incident then. All of it is pure: time, identifiers
 * and channels come in as arguments.
 */
import { type CommandName, eventOfCommand, recoveryRolesOf } from '../../machines/commands.ts';
import { missingSteps, releasable } from '../../machines/incident.ts';
import {
  allowedIn,
  asksRecovery,
  begin,
  decide as askChart,
  type IncidentSnapshot,
  type Intent,
  type RefusedCommand,
  stateOf,
  transitionsIn,
} from '../../machines/decision.ts';
import {
  type Channel,
  type ContainmentAction,
  type Directive,
  isMoreSevere,
  type RecoveryStep,
  type Resolution,
  type Role,
  type Rule,
  type Severity,
} from '../../machines/vocabulary.ts';
import { inKeptOrder } from '../json/canonical-form.ts';
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
import { type Escalation, escalatedBy } from './escalation.ts';
import type { Incident, IncidentRecord } from './incident.ts';
import { obstacleTo, type ReportedEvidence } from './model-evidence.ts';
import { voidedBetween } from './recovery.ts';
import { type ReportSeverity, severityOf } from './severity.ts';

/** What an incident can be sent. */
export type Message =
  /** A person's command, and with `resolve` what the incident was. */
  | {
      readonly type: CommandName;
      readonly resolution?: Resolution | undefined;
      /** All roles of the caller; only that in which they ask when not given. */
      readonly roles?: readonly Role[] | undefined;
    }
  /** A further report of the same trouble. */
  | {
      readonly type: 'recur';
      readonly report: Report;
      /** The rule in force for the report. */
      readonly rule: Rule;
      /** After how many milliseconds without an occurrence an acknowledged incident needs attention again. */
      readonly attentionAfter: number;
      readonly burst?: 'begun' | 'continued' | undefined;
      /** Names the values in which it repeats others. */
      readonly repeat?: string | undefined;
      readonly request?: RequestTag | undefined;
    }
  /** A person releases one action early. */
  | {
      readonly type: 'release';
      readonly action: ContainmentAction;
      readonly reason: string;
      /** All roles of the caller; only that in which they ask when not given. */
      readonly roles?: readonly Role[] | undefined;
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

/** What is known of a report from those before it. */
export interface Counted {
  /** The rule of the policy's `escalate` that it meets. */
  readonly escalation?: Escalation | undefined;
  /** By how many milliseconds the wall clock was set since the report before. */
  readonly clockStep?: number | undefined;
}

/** What a decision takes from outside the incident. */
export interface Circumstances {
  /** RFC 3339, UTC, milliseconds. */
  readonly timestamp: string;
  /** How a directive reaches its service, under the policy in force. */
  readonly channelOf: (action: ContainmentAction, directive: Directive) => Channel;
  /** What is known of a report with a timestamp; undefined when reports are not counted. */
  readonly counted?: ((report: Report, timestamp: string) => Counted | undefined) | undefined;
  /** Who sends the message, and what they say about it; undefined when the recorder itself does. */
  readonly caller?: Caller | undefined;
  readonly note?: string | undefined;
}

export type IncidentDecision =
  /** The entries to append, all or none, and the delivery that the first of them is about, as it is then. */
  | { readonly kind: 'accepted'; readonly drafts: readonly IncidentDraft[]; readonly delivery?: DeliveryRecord }
  /** The incident is in that state already, or the news comes too late. */
  | { readonly kind: 'unchanged' }
  | RefusedMessage
  /** Somebody else may do it. */
  | {
      readonly kind: 'forbidden';
      readonly because: string;
      /** The roles that would be needed, one of them, and those that the caller has; not there when the role is not why. */
      readonly needs?: readonly Role[];
      readonly roles?: readonly Role[];
      /** What the incident's recovery still needs, when that is why others are asked. */
      readonly missing?: readonly RecoveryStep[];
    };

export interface RefusedMessage extends RefusedCommand {
  /** Why, where the state alone does not say it. */
  readonly because?: string;
  /** The actions that it holds and that could be released, when the refusal is about one that could not. */
  readonly holds?: readonly ContainmentAction[];
}

const NEEDS_PERSON = { needs_person: true } as const;
const FIRST = { first: true } as const;

/** What else is known of a report. */
interface ReportCircumstances {
  readonly request?: RequestTag | undefined;
  /** Names the values in which it repeats others. */
  readonly repeat?: string | undefined;
  readonly sourceSuspicious?: boolean;
  /** Whether the clock has jumped a short time ago. */
  readonly clockUncertain?: boolean;
  /** There for a drill: the actions that nobody is asked for. */
  readonly notAsked?: readonly ContainmentAction[];
}

/** The entries that open an incident, under the rule that is in force for its class. */
export function decideReport(
  id: string,
  report: Report,
  rule: Rule,
  { timestamp, channelOf, counted, caller }: Circumstances,
  { request, repeat, sourceSuspicious = false, clockUncertain = false, notAsked }: ReportCircumstances = {},
): readonly IncidentDraft[] {
  const { snapshot, intents } = begin(rule);
  const among = counted?.(report, timestamp);
  const { severity, origin, escalation } = raised(severityOf(report, rule), report, rule, among);
  const data: DraftOf<'incident.reported'>['data'] = {
    incident: id,
    version: 1,
    state: stateOf(snapshot),
    severity,
    report,
    rule,
    intents: routed(intents, channelOf),
    ...origin,
    ...amongReports(escalation, repeat, among),
    ...(sourceSuspicious ? { source_suspicious: true } : undefined),
    ...(notAsked === undefined ? undefined : { drill: true, not_asked: notAsked }),
    ...(clockUncertain ? { clock_uncertain: true } : undefined),
    ...(request === undefined ? undefined : { request }),
    ...caller,
  };
  const subject = { class: report.class, severity, source: report.source };
  return withFollowUps({ timestamp, event: 'incident.reported', data }, subject, report);
}

/** The severity of a report, raised by the rule of escalation that it meets, when that is above it. */
function raised(
  reported: ReportSeverity,
  report: Report,
  rule: Rule,
  among: Counted | undefined,
  before: Severity = reported.severity,
): ReportSeverity & { readonly escalation?: Escalation } {
  const escalation = among?.escalation;
  if (escalation === undefined) return reported;
  const { to } = escalation;
  if (!isMoreSevere(to, reported.severity) || !isMoreSevere(to, before)) return reported;
  return { ...severityOf(report, rule, to), escalation };
}

/** What the entry of a report keeps of what is known from those before it; most reports have nothing to keep. */
function amongReports(escalation: Escalation | undefined, repeat: string | undefined, among: Counted | undefined) {
  if (among === undefined) return repeat === undefined ? undefined : { repeat };
  return {
    ...(escalation === undefined ? {} : { escalated_by: escalatedBy(escalation) }),
    ...(repeat === undefined ? {} : { repeat }),
    ...(among.clockStep === undefined ? {} : { clock_step_ms: among.clockStep }),
  };
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
    case 'release':
      return decideRelease(record, message, circumstances);
    default:
      return decideCommand(record, message, circumstances);
  }
}

function decideCommand(
  { incident, snapshot }: IncidentRecord,
  { type: command, resolution, roles }: Extract<Message, { type: CommandName }>,
  { timestamp, channelOf, caller: asking, note }: Circumstances,
): IncidentDecision {
  const decision = askChart(snapshot, { type: command });
  if (decision.kind === 'unchanged') return decision;
  const needs = asksRecovery(snapshot.context) ? recoveryRolesOf(command) : undefined;
  const caller = needs === undefined ? asking : asking && inRole(asking, needs, roles);
  if (asking !== undefined && caller === undefined) {
    const missing = decision.kind === 'refused' ? decision.missing : undefined;
    return { ...lacksRole(asking, command, needs, roles), ...(missing && { missing }) };
  }
  if (decision.kind !== 'moved') return decision;
  const data: DraftOf<'incident.contained'>['data'] = {
    incident: incident.id,
    version: incident.version + 1,
    state: stateOf(decision.snapshot),
    ...voidedBetween(snapshot.context, decision.snapshot.context),
    ...signed(caller, note),
    intents: routed(decision.intents, channelOf),
    ...(resolution === undefined ? {} : { resolution }),
  };
  const draft = { timestamp, event: eventOfCommand(command), data };
  return { kind: 'accepted', drafts: withFollowUps(draft, incident, incident) };
}

/**
 * A person releases one action of an incident that stays. Where a recovery is asked for, that takes another role: the
 * containment of such an incident does not end before its recovery, except so.
 */
function decideRelease(
  { incident, snapshot }: IncidentRecord,
  { action, reason, roles }: Extract<Message, { type: 'release' }>,
  { timestamp, channelOf, caller: asking }: Circumstances,
): IncidentDecision {
  const needs = releaseRolesOf(asksRecovery(snapshot.context));
  const caller = asking && inRole(asking, needs, roles);
  if (asking !== undefined && caller === undefined)
    return lacksRole(asking, 'release one of its actions', needs, roles);
  const decision = askChart(snapshot, { type: 'release', action });
  if (incident.drill === true || decision.kind !== 'moved') return releaseRefused({ incident, snapshot }, action);
  const missing = missingSteps(snapshot.context);
  const data: DraftOf<'containment.released'>['data'] = {
    incident: incident.id,
    version: incident.version + 1,
    state: stateOf(decision.snapshot),
    action,
    directive: 'release',
    reason,
    ...voidedBetween(snapshot.context, decision.snapshot.context),
    ...(missing.length === 0 ? {} : { recovery_missing: missing }),
    ...caller,
    intents: routed(decision.intents, channelOf),
  };
  return { kind: 'accepted', drafts: withAlert({ timestamp, event: 'containment.released', data }, incident) };
}

/** The roles that may release one action early. */
const releaseRolesOf = (withRecovery: boolean): readonly Role[] => (withRecovery ? ['recovery'] : ['operator']);

function releaseRefused(
  { incident, snapshot }: Pick<IncidentRecord, 'incident' | 'snapshot'>,
  action: ContainmentAction,
): IncidentDecision {
  const state = stateOf(snapshot);
  const holds = state === 'resolved' || incident.drill === true ? [] : releasable(snapshot.context);
  const refused = {
    kind: 'refused',
    state,
    allowed: allowedIn(snapshot),
    transitions: transitionsIn(snapshot),
  } as const;
  return { ...refused, holds, because: whyNotReleased(incident, action, holds) };
}

function whyNotReleased({ state, drill }: Incident, action: ContainmentAction, holds: readonly string[]): string {
  if (drill === true) return 'the incident is a drill: what it asks for is released when it ends';
  if (state === 'resolved') return 'the incident is resolved: it holds no action any more';
  const held = holds.length === 0 ? 'no action that could be released' : holds.join(', ');
  return action === 'log_alert'
    ? `log_alert is an entry of the log: there is nothing to release; the incident holds ${held}`
    : `the incident does not hold ${action}; it holds ${held}`;
}

/** The caller in the first role that is allowed and theirs; undefined when there is none. */
const inRole = (
  caller: Caller,
  allowed: readonly Role[],
  roles: readonly Role[] = [caller.role],
): Caller | undefined => {
  if (allowed.includes(caller.role)) return caller;
  const role = allowed.find((one) => roles.includes(one));
  return role && { ...caller, role };
};

function lacksRole(
  { principal, role }: Caller,
  command: string,
  needs: readonly Role[] = [],
  roles: readonly Role[] = [role],
): Extract<IncidentDecision, { kind: 'forbidden' }> {
  const why = needs.includes('recovery') ? 'its rule asks for a recovery, so ' : '';
  const because = `${why}to ${command} it needs the role ${needs.join(' or ')}, and ${principal} is ${roles.join(', ')}`;
  return { kind: 'forbidden', because, needs, roles };
}

function decideRecurrence(
  { incident, snapshot }: IncidentRecord,
  { report, rule, attentionAfter, burst, repeat, request }: Extract<Message, { type: 'recur' }>,
  { timestamp, channelOf, counted, caller }: Circumstances,
): IncidentDecision {
  const among = counted?.(report, timestamp);
  const reported = raised(severityOf(report, rule), report, rule, among, incident.severity);
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
    ...amongReports(reported.escalation, repeat, among),
    report,
    rule,
    intents: routed(decision.intents, channelOf),
    ...(attention === undefined ? {} : { attention }),
    ...(unable.length === 0 ? {} : { unable }),
    ...undoneBy(snapshot.context, decision.intents),
    ...(burst === undefined ? {} : { burst }),
    ...(request === undefined ? {} : { request }),
    ...voidedBetween(snapshot.context, decision.snapshot.context),
    ...caller,
  };
  const draft = { timestamp, event: 'incident.recurred', data } as const;
  return { kind: 'accepted', drafts: withFollowUps(draft, { ...incident, severity }, evidence) };
}

/** The actions that were released early and are asked for again, as the member of an entry; nothing when there are none. */
function undoneBy(
  { released }: IncidentSnapshot['context'],
  intents: readonly Intent[],
): { readonly released_early: readonly ContainmentAction[] } | undefined {
  const again = released?.filter((one) => intents.some(({ action }) => action === one)) ?? [];
  return again.length === 0 ? undefined : { released_early: again };
}

/** The entries of a drill say that they are: each of them, and the reason of an alert. */
export function markedAsDrill(draft: IncidentDraft): IncidentDraft {
  const data = { ...draft.data, drill: true };
  if ('reason' in data && draft.event === 'alert.raised') data.reason = `drill: ${data.reason}`;
  return { ...draft, data } as IncidentDraft;
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
  let after = snapshot;
  if (directive === 'engage') {
    const decision = askChart(snapshot, { type: 'delivery', action, standing: standingOf(delivery) });
    if (decision.kind !== 'moved') return { kind: 'unchanged' };
    after = decision.snapshot;
  }
  const { id, version, state } = incident;
  const voided = voidedBetween(snapshot.context, after.context);
  const about = { incident: id, version: version + 1, state, action, directive, ...voided };
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
    case 'spared':
      return { timestamp, event: 'containment.spared', data: { ...about, reason: news.reason } };
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
export const withFollowUps = (
  draft: IncidentDraft,
  subject: AlertSubject,
  evidence: ReportedEvidence,
): readonly IncidentDraft[] => {
  const drafts = withAlert(draft, subject);
  const intents = 'intents' in draft.data ? draft.data.intents : undefined;
  if (intents === undefined) return drafts;
  for (const intent of intents) {
    const { action, directive } = intent;
    const error = directive === 'engage' ? obstacleTo(action, channelOfIntent(intent), evidence) : undefined;
    if (error === undefined) continue;
    const { incident, version, state } = drafts.at(-1)!.data;
    const about = { incident, version: version + 1, state };
    const data = { ...about, action, directive, attempt: 0, refused: true, error, ...NEEDS_PERSON };
    drafts.push(...withAlert({ timestamp: draft.timestamp, event: 'containment.failed', data }, subject));
  }
  return drafts;
};

/** An entry, followed by the alert that it raises, if it raises one. */
function withAlert(draft: IncidentDraft, subject: AlertSubject): IncidentDraft[] {
  const alert = alertAfter(draft, subject);
  return alert === undefined ? [draft] : [draft, alert];
}

/** The entries that should follow an entry in the same write: its alert, and what needs a person. */
export const followUpsOf = (entry: IncidentEntry, { incident }: IncidentRecord): readonly IncidentDraft[] =>
  withFollowUps(entry, incident, incident).slice(1);

/** What was routed last for the same intents. */
const ROUTED = new WeakMap<readonly Intent[], readonly RoutedIntent[]>();

/** The intents with their channels under the policy in force: the same object while these are the same. */
export const routed = (intents: readonly Intent[], channelOf: Circumstances['channelOf']): readonly RoutedIntent[] => {
  const known = ROUTED.get(intents);
  if (known?.every(({ action, directive, via }) => channelOf(action, directive) === via) === true) return known;
  const now = intents.map((intent) => ({ ...intent, via: channelOf(intent.action, intent.directive) }));
  ROUTED.set(intents, inKeptOrder(now));
  return now;
};
