/**
 * What people do with an incident besides its commands: note, assign, snooze, and take it up again. As in
 * `decide-incident.ts`, nothing has changed until the entries are on disk, and all of it is pure.
 *
 * Notes and assignments are possible in every state and move nothing, so the statechart is not asked. It decides about
 * a snooze and its end.
 */
import { decide as askChart, stateOf } from '../../machines/decision.ts';
import { isMoreSevere, type Rule } from '../../machines/vocabulary.ts';
import { signed } from './caller.ts';
import { type Circumstances, decideReport, type IncidentDecision, routed, withFollowUps } from './decide-incident.ts';
import type { DraftOf, IncidentDraft, Report } from './entries.ts';
import type { IncidentRecord } from './incident.ts';
import { isSentAgain } from './notes.ts';
import { voidedBetween } from './recovery.ts';
import { severityOf } from './severity.ts';

/** What an incident can be sent by people besides commands. What they say about it is in the circumstances. */
export type ActMessage =
  | { readonly type: 'note' }
  /** Who works it from here on; null for nobody. */
  | { readonly type: 'assign'; readonly to: string | null }
  /** Until when: RFC 3339, in UTC with milliseconds. */
  | { readonly type: 'snooze'; readonly until: string }
  /** A person ends the snooze, or its time has come: then `until` says of which snooze. */
  | { readonly type: 'wake'; readonly until?: string };

const ACTS: ReadonlySet<string> = new Set<ActMessage['type']>(['note', 'assign', 'snooze', 'wake']);

export const isAct = (message: { readonly type: string }): message is ActMessage => ACTS.has(message.type);

type ActCircumstances = Pick<Circumstances, 'timestamp' | 'channelOf' | 'caller' | 'note'>;

/** What follows from such a message. */
export function decideAct(
  record: IncidentRecord,
  message: ActMessage,
  circumstances: ActCircumstances,
): IncidentDecision {
  switch (message.type) {
    case 'note':
      return decideNote(record, circumstances);
    case 'assign':
      return decideAssignment(record, message.to, circumstances);
    case 'snooze':
      return decideSnooze(record, message.until, circumstances);
    case 'wake':
      return decideWaking(record, message.until, circumstances);
    default:
      return message satisfies never;
  }
}

/** Adds the note of the circumstances, if there is one; not when the same person has just said the same. */
export function decideNote(
  { incident }: IncidentRecord,
  { timestamp, caller, note }: ActCircumstances,
): IncidentDecision {
  if (note === undefined || isSentAgain(incident, signed(caller, note), timestamp)) return { kind: 'unchanged' };
  const { id, version, state } = incident;
  const data = { incident: id, version: version + 1, state, ...caller, note };
  return { kind: 'accepted', drafts: [{ timestamp, event: 'incident.noted', data }] };
}

function decideAssignment(
  { incident }: IncidentRecord,
  to: string | null,
  { timestamp, caller, note }: ActCircumstances,
): IncidentDecision {
  const { id, version, state, assignee = null } = incident;
  if (to === assignee) return { kind: 'unchanged' };
  const data = { incident: id, version: version + 1, state, to, ...signed(caller, note) };
  return { kind: 'accepted', drafts: [{ timestamp, event: 'incident.assigned', data }] };
}

function decideSnooze(
  { incident, snapshot }: IncidentRecord,
  until: string,
  { timestamp, caller, note }: ActCircumstances,
): IncidentDecision {
  const decision = askChart(snapshot, { type: 'snooze' });
  if (decision.kind !== 'moved') return decision;
  const { id, version, snoozed_until } = incident;
  if (snoozed_until === until) return { kind: 'unchanged' };
  const state = stateOf(decision.snapshot);
  const data = { incident: id, version: version + 1, state, until, ...signed(caller, note) };
  return { kind: 'accepted', drafts: [{ timestamp, event: 'incident.snoozed', data }] };
}

/** @param due of which snooze the time has come; undefined when a person ends it */
function decideWaking(
  { incident, snapshot }: IncidentRecord,
  due: string | undefined,
  { timestamp, channelOf, caller, note }: ActCircumstances,
): IncidentDecision {
  const decision = askChart(snapshot, { type: 'wake' });
  if (decision.kind !== 'moved') {
    // To end what is over changes nothing.
    return due === undefined && decision.kind === 'refused' && decision.state === 'resolved'
      ? decision
      : { kind: 'unchanged' };
  }
  // It was snoozed until another time meanwhile.
  if (due !== undefined && due !== incident.snoozed_until) return { kind: 'unchanged' };
  const draft: DraftOf<'incident.woken'> = {
    timestamp,
    event: 'incident.woken',
    data: {
      incident: incident.id,
      version: incident.version + 1,
      state: stateOf(decision.snapshot),
      why: due === undefined ? 'person' : 'due',
      ...(decision.intents.length === 0 ? undefined : { intents: routed(decision.intents, channelOf) }),
      ...voidedBetween(snapshot.context, decision.snapshot.context),
      ...signed(caller, note),
    },
  };
  return { kind: 'accepted', drafts: withFollowUps(draft, incident, incident) };
}

/**
 * The entries that open the incident which takes a resolved one up again, under the rule in force: it is of the same
 * class, source, description and evidence, and at least as severe as that one was at last. It is no report: it counts
 * among none.
 * @param id of the new incident
 */
export function decideReopening(
  id: string,
  { incident: old }: IncidentRecord,
  rule: Rule,
  { timestamp, channelOf, caller, note }: ActCircumstances,
  clockUncertain: boolean,
): readonly IncidentDraft[] {
  const report: Report = {
    class: old.class,
    source: old.source,
    description: old.description,
    severity: severityOfReopened(old, rule),
    ...(old.evidence === undefined ? {} : { evidence: old.evidence }),
    ...(old.dedup_key === undefined ? {} : { dedup_key: old.dedup_key }),
  };
  const sourceSuspicious = old.source_suspicious === true;
  const circumstances = { timestamp, channelOf, caller };
  const [first, ...others] = decideReport(id, report, rule, circumstances, { sourceSuspicious, clockUncertain });
  const { event, data } = first as DraftOf<'incident.reported'>;
  const origin = {
    reopens: old.id,
    ...(old.reported_by === undefined ? {} : { reported_by: old.reported_by }),
    ...(note === undefined ? {} : { note }),
  };
  return [{ timestamp, event, data: { ...data, ...origin } }, ...others];
}

/** The severity that the incident had at last; the rule's, if that is more severe and no report had lowered it. */
function severityOfReopened(
  { severity, default_severity: lowered }: IncidentRecord['incident'],
  rule: Rule,
): IncidentRecord['incident']['severity'] {
  const { severity: ofRule } = severityOf({}, rule);
  return lowered === undefined && isMoreSevere(ofRule, severity) ? ofRule : severity;
}

/** The entry by which a resolved incident names the one that takes it up again. */
export function reopenedAs(
  as: string,
  { incident: { id, version, state } }: IncidentRecord,
  { timestamp, caller, note }: Pick<Circumstances, 'timestamp' | 'caller' | 'note'>,
): DraftOf<'incident.reopened'> {
  const data = { incident: id, version: version + 1, state, as, ...signed(caller, note) };
  return { timestamp, event: 'incident.reopened', data };
}
