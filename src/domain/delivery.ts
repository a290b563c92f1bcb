/**
 * One delivery on record: how it begins, what news of it amounts to, and what an entry about it makes of it.
 *
 * The delivery's statechart decides. News that it does not take change nothing; an entry that it does not take is a
 * contradiction.
 */
import {
  beginDelivery,
  decideDelivery,
  type DeliveryEvent as ChartEvent,
  type DeliverySituation,
  type DeliveryStatus,
} from '../../machines/delivery.ts';
import type { Standing } from '../../machines/incident.ts';
import { BY_HAND, type Channel, type ContainmentAction, type Directive, type Role } from '../../machines/vocabulary.ts';
import { DELIVERY_EVENTS, type DeliveryEntry, type Entry, type EntryOf, type Receipt } from './entries.ts';

/** A delivery as every endpoint shows it. Times are RFC 3339. */
export interface DeliveryRecord {
  readonly action: ContainmentAction;
  readonly status: DeliveryStatus;
  readonly via: Channel;
  /** How many times it was sent. */
  readonly attempts: number;
  /** The pauses between its attempts so far, in milliseconds. */
  readonly waited_ms: number;
  /** When it was asked for, and by which entry of the log. */
  readonly asked_at: string;
  readonly asked_seq: number;
  /** When it was found overdue, while it is. */
  readonly overdue_at?: string;
  readonly last_error?: string;
  readonly next_attempt_at?: string;
  readonly confirmed_at?: string;
  readonly receipt?: Receipt;
  /** There once a person has released it early: it is not asked for any more. */
  readonly released_early?: ReleasedEarly;
  /** How often its incident has had it released early before it was asked for again; not there for the first time. */
  readonly round?: number;
}

/** When an action was released early, by whom, in which role, and why. */
export interface ReleasedEarly {
  readonly at: string;
  readonly by?: string;
  /** There when nothing but the request says who that was. */
  readonly claimed?: true;
  readonly role?: Role;
  readonly reason: string;
}

/** Names one delivery: there is one for each action that an incident asked for, and one for its release. */
export interface DeliveryName {
  /** Identifier of the incident. */
  readonly incident: string;
  readonly action: ContainmentAction;
  readonly directive: Directive;
}

/** What the lanes, the services and the operators report of a delivery. */
export type DeliveryNews =
  /** An attempt came to nothing; the next would be due after `wait` milliseconds. */
  | { readonly type: 'missed'; readonly error: string; readonly wait: number }
  /** Another attempt is pointless: it was refused, or can't be made (`unsent`). */
  | { readonly type: 'refused'; readonly error: string; readonly unsent?: true }
  /** It was not confirmed in time; `first` when no other delivery of the action with this directive is overdue. */
  | { readonly type: 'overdue'; readonly waited: number; readonly after: number; readonly first: boolean }
  | { readonly type: 'confirmed'; readonly attempted: boolean; readonly receipt: Receipt }
  | { readonly type: 'lost'; readonly reason: string }
  | { readonly type: 'retried'; readonly via: Channel }
  /** A drill does not ask for it. */
  | { readonly type: 'spared'; readonly reason: string };

const ABOUT_DELIVERIES: ReadonlySet<string> = new Set(DELIVERY_EVENTS);

/** Whether an entry is about a delivery. */
export const isAboutDelivery = (entry: Entry): entry is DeliveryEntry => ABOUT_DELIVERIES.has(entry.event);

/** The entry that asks for a delivery. */
export interface Asking {
  readonly timestamp: string;
  readonly data: { readonly seq: number };
}

/** A delivery that has just been asked for. */
export function newDelivery(
  action: ContainmentAction,
  via: Channel,
  { timestamp: asked_at, data: { seq: asked_seq } }: Asking,
): DeliveryRecord {
  const { status } = beginDelivery(via);
  return { action, status, via, attempts: 0, waited_ms: 0, asked_at, asked_seq };
}

/** The release of an action that an incident held. */
export const newRelease = ({ action, round }: DeliveryRecord, via: Channel, asking: Asking): DeliveryRecord => ({
  ...newDelivery(action, via, asking),
  ...(round === undefined ? {} : { round }),
});

/** Whether an incident still asks for a delivery of its own. */
export const isHeld = ({ released_early }: Pick<DeliveryRecord, 'released_early'>): boolean =>
  released_early === undefined;

/** The delivery once a person has released it early. */
export function releasedEarly(record: DeliveryRecord, entry: EntryOf<'containment.released'>): DeliveryRecord {
  const { timestamp: at, data } = entry;
  const { by = data.principal, claimed, role, reason } = data;
  const who = {
    ...(by === undefined ? {} : { by }),
    ...(claimed && { claimed }),
    ...(role === undefined ? {} : { role }),
  };
  return { ...supersede(record), released_early: { at, ...who, reason } };
}

/** The delivery of an action that a drill asks nobody for: its target does not take part. */
export const notAsked = (action: ContainmentAction, asking: Asking): DeliveryRecord => ({
  ...newDelivery(action, 'poll', asking),
  status: 'superseded',
  last_error: NOT_ASKED,
});

const NOT_ASKED = 'not asked: this is a drill';

/** How the incident's statechart sees a delivery. */
export function standingOf({ status, overdue_at }: Pick<DeliveryRecord, 'status' | 'overdue_at'>): Standing {
  switch (status) {
    case 'confirmed':
      return 'confirmed';
    case 'failed':
    case 'lost':
    case 'needs_person':
      return 'broken';
    case 'pending':
    case 'delivering':
    case 'recorded':
      return overdue_at === undefined ? 'waiting' : 'overdue';
    case 'superseded':
      return 'waiting';
    default:
      return status satisfies never;
  }
}

/**
 * Why it is not known that it was carried out; undefined when it is known, or was for a time. An alert always is. What a
 * person does by hand is waited for by nobody, so it is never overdue.
 */
export function waitOf(delivery: DeliveryRecord): Exclude<Standing, 'confirmed'> | undefined {
  const standing = standingOf(delivery);
  if (!isHeld(delivery)) return undefined;
  const isAwaited = delivery.status !== 'lost' && delivery.via !== 'log' && delivery.via !== BY_HAND;
  return standing === 'confirmed' || !isAwaited ? undefined : standing;
}

/** Whether it is still to be carried out or was lost: what `superseded` may follow, and a confirmation can mend. */
const isUnconfirmed = ({ status }: DeliveryRecord): boolean => status !== 'confirmed' && status !== 'superseded';

/** Whether it is to be sent, now or later. */
export const isUndelivered = ({ status }: DeliveryRecord): boolean => status === 'pending' || status === 'delivering';

/** `asked_seq` of a delivery that is asked for again by an entry that is not written yet. */
const NOT_WRITTEN = 0;

/**
 * The delivery after an event of its chart, without its next attempt; undefined when the chart does not take it. What
 * is broken and asked for again waits from then on; what still waits goes on waiting.
 */
function move(record: DeliveryRecord, event: ChartEvent): DeliveryRecord | undefined {
  const next = decideDelivery(situationOf(record), event);
  if (next === undefined) return undefined;
  const { action, asked_at, asked_seq, overdue_at, last_error, next_attempt_at, confirmed_at, receipt } = record;
  const { released_early, round } = record;
  const isAskedAgain = event.type === 'retry' && standingOf(record) === 'broken';
  return {
    action,
    status: next.status,
    via: next.context.via,
    attempts: next.context.attempts,
    waited_ms: next.context.waited,
    asked_at,
    asked_seq: isAskedAgain ? NOT_WRITTEN : asked_seq,
    ...(next.context.overdue && overdue_at !== undefined ? { overdue_at } : {}),
    ...(last_error === undefined ? {} : { last_error }),
    // Being overdue says nothing of an attempt.
    ...(event.type === 'overdue' && next_attempt_at !== undefined ? { next_attempt_at } : {}),
    ...(confirmed_at === undefined ? {} : { confirmed_at }),
    ...(receipt === undefined ? {} : { receipt }),
    ...(released_early === undefined ? {} : { released_early }),
    ...(round === undefined ? {} : { round }),
  };
}

/** Whether a refusal needs a person: a release that is refused, or nothing that could be sent. */
export const needsPerson = (directive: Directive, { unsent }: Extract<DeliveryNews, { type: 'refused' }>): boolean =>
  directive === 'release' || unsent === true;

/** The delivery after news of it, without the times and texts that its entry adds; undefined when they come too late. */
export function decideNews(
  record: DeliveryRecord,
  directive: Directive,
  news: DeliveryNews,
): DeliveryRecord | undefined {
  switch (news.type) {
    case 'missed':
      return move(record, { type: 'miss', wait: news.wait });
    case 'refused':
      return move(record, { type: 'refuse', attempted: news.unsent !== true, person: needsPerson(directive, news) });
    case 'overdue':
      return move(record, { type: 'overdue' });
    case 'confirmed':
      return move(record, { type: 'confirm', attempted: news.attempted });
    case 'lost':
      return move(record, { type: 'lose' });
    case 'retried':
      return move(record, { type: 'retry', via: news.via });
    case 'spared':
      return move(record, { type: 'supersede' });
    default:
      return news satisfies never;
  }
}

/** The delivery once its incident is resolved: what was not carried out is superseded. */
export const supersede = (record: DeliveryRecord): DeliveryRecord => move(record, { type: 'supersede' }) ?? record;

/** A broken delivery, or one that was released early, once an entry asks for it again. */
export function askedAgain(record: DeliveryRecord, via: Channel, asking: Asking): DeliveryRecord {
  if (!isHeld(record)) return { ...newDelivery(record.action, via, asking), round: (record.round ?? 0) + 1 };
  const next = move(record, { type: 'retry', via });
  return next === undefined ? record : withAsking(next, asking);
}

const withAsking = (record: DeliveryRecord, { timestamp: asked_at, data: { seq: asked_seq } }: Asking) =>
  record.asked_seq === NOT_WRITTEN ? { ...record, asked_at, asked_seq } : record;

/** The delivery of `log_alert` after its alert, whose `timestamp` is given; undefined when it was carried out before. */
export function alerted(record: DeliveryRecord, timestamp: string): DeliveryRecord | undefined {
  if (!isUnconfirmed(record)) return undefined;
  const confirmed = move(record, { type: 'confirm', attempted: false });
  return confirmed && Object.assign(confirmed, { confirmed_at: timestamp });
}

/** The delivery after an entry about it; undefined when its statechart does not allow that entry. */
export function foldDelivery(before: DeliveryRecord, entry: DeliveryEntry): DeliveryRecord | undefined {
  const next = move(before, chartEventOf(entry, before));
  return next && withEntry(next, entry);
}

/** Adds what an entry says to the delivery that the statechart has made of it. */
export function withEntry(next: DeliveryRecord, entry: DeliveryEntry): DeliveryRecord {
  const { event, data, timestamp } = entry;
  switch (event) {
    case 'containment.attempted':
      return { ...next, last_error: data.error, next_attempt_at: data.next_attempt_at };
    case 'containment.failed':
      return { ...next, last_error: data.error };
    case 'containment.overdue':
      return { ...next, overdue_at: timestamp };
    case 'containment.lost':
      return { ...next, last_error: data.reason };
    case 'containment.confirmed':
      return { ...next, confirmed_at: timestamp, receipt: data.receipt };
    case 'containment.retried':
      return withAsking(next, entry);
    case 'containment.spared':
      return { ...next, last_error: data.reason };
    default:
      return event satisfies never;
  }
}

function chartEventOf({ event, data }: DeliveryEntry, { attempts }: DeliveryRecord): ChartEvent {
  switch (event) {
    case 'containment.attempted':
      return { type: 'miss', wait: data.wait_ms };
    case 'containment.confirmed':
      return { type: 'confirm', attempted: data.attempt !== undefined };
    case 'containment.failed':
      return data.refused
        ? { type: 'refuse', attempted: data.attempt > attempts, person: data.needs_person === true }
        : { type: 'miss', wait: Infinity };
    case 'containment.overdue':
      return { type: 'overdue' };
    case 'containment.lost':
      return { type: 'lose' };
    case 'containment.retried':
      return { type: 'retry', via: data.via };
    case 'containment.spared':
      return { type: 'supersede' };
    default:
      return event satisfies never;
  }
}

const situationOf = ({ status, via, attempts, waited_ms, overdue_at }: DeliveryRecord): DeliverySituation => ({
  status,
  context: { via, attempts, waited: waited_ms, overdue: overdue_at !== undefined },
});
