/**
 * What is on record of one delivery, as entries make it. The statechart decides what an entry does to it; an entry that
 * the statechart does not take is a contradiction.
 */
import {
  beginDelivery,
  decideDelivery,
  type DeliveryEvent,
  type DeliverySituation,
  type DeliveryStatus,
} from '../../machines/delivery.ts';
import type { Standing } from '../../machines/incident.ts';
import type { ContainmentAction, Channel } from '../../machines/vocabulary.ts';
import type { Entry } from '../audit/entry.ts';
import type {
  AttemptedData,
  ConfirmedData,
  DeliveryData,
  FailedData,
  LostData,
  Receipt,
  RetriedData,
} from './incident-entries.ts';

/** A delivery as every endpoint shows it. Times are RFC 3339. */
export interface DeliveryRecord {
  readonly action: ContainmentAction;
  readonly status: DeliveryStatus;
  readonly via: Channel;
  /** How many times it was sent. */
  readonly attempts: number;
  /** The pauses between its attempts so far, in milliseconds. */
  readonly waited_ms: number;
  readonly last_error?: string;
  readonly next_attempt_at?: string;
  readonly confirmed_at?: string;
  readonly receipt?: Receipt;
}

/** The events of the audit log that are about deliveries. */
export const DELIVERY_EVENTS = [
  'containment.attempted',
  'containment.confirmed',
  'containment.failed',
  'containment.lost',
  'containment.retried',
] as const;
export type DeliveryEventName = (typeof DELIVERY_EVENTS)[number];

const ABOUT_DELIVERIES: ReadonlySet<string> = new Set(DELIVERY_EVENTS);

/** Whether an entry is about a delivery. */
export const isAboutDelivery = (entry: { readonly event: string }): boolean => ABOUT_DELIVERIES.has(entry.event);

/** A delivery that has just been asked for. */
export function newDelivery(action: ContainmentAction, via: Channel): DeliveryRecord {
  const { status } = beginDelivery(via);
  return { action, status, via, attempts: 0, waited_ms: 0 };
}

/** What the incident's statechart is told of a delivery's status. */
export function standingOf({ status }: DeliveryRecord): Standing {
  switch (status) {
    case 'confirmed':
      return 'confirmed';
    case 'failed':
    case 'lost':
      return 'broken';
    case 'pending':
    case 'delivering':
    case 'recorded':
    case 'superseded':
      return 'waiting';
    default:
      return status satisfies never;
  }
}

/** Whether it is still to be carried out or was lost: what `superseded` may follow, and a confirmation can mend. */
export const isUnconfirmed = ({ status }: DeliveryRecord): boolean => status !== 'confirmed' && status !== 'superseded';

/** Whether it is to be sent, now or later. */
export const isUndelivered = ({ status }: DeliveryRecord): boolean => status === 'pending' || status === 'delivering';

/** What the statechart makes of a delivery by an event, without a next attempt; undefined when it does not take it. */
export function move(record: DeliveryRecord, event: DeliveryEvent): DeliveryRecord | undefined {
  const next = decideDelivery(situationOf(record), event);
  if (next === undefined) return undefined;
  const { action, last_error, confirmed_at, receipt } = record;
  return {
    action,
    status: next.status,
    via: next.context.via,
    attempts: next.context.attempts,
    waited_ms: next.context.waited,
    ...(last_error === undefined ? {} : { last_error }),
    ...(confirmed_at === undefined ? {} : { confirmed_at }),
    ...(receipt === undefined ? {} : { receipt }),
  };
}

/** What a delivery is after an entry about it; undefined when its statechart does not allow that entry. */
export function foldDelivery(before: DeliveryRecord, entry: Entry): DeliveryRecord | undefined {
  const data = entry.data as unknown as DeliveryData;
  const next = move(before, eventOf(entry.event as DeliveryEventName, data));
  if (next === undefined) return undefined;
  switch (entry.event as DeliveryEventName) {
    case 'containment.attempted': {
      const { error, next_attempt_at } = data as AttemptedData;
      return { ...next, last_error: error, next_attempt_at };
    }
    case 'containment.failed':
      return { ...next, last_error: (data as FailedData).error };
    case 'containment.lost':
      return { ...next, last_error: (data as LostData).reason };
    case 'containment.confirmed':
      return { ...next, confirmed_at: entry.timestamp, receipt: (data as ConfirmedData).receipt };
    case 'containment.retried':
      return next;
  }
}

function eventOf(event: DeliveryEventName, data: DeliveryData): DeliveryEvent {
  switch (event) {
    case 'containment.attempted':
      return { type: 'miss', wait: (data as AttemptedData).wait_ms };
    case 'containment.confirmed':
      return { type: 'confirm', attempted: (data as ConfirmedData).attempt !== undefined };
    case 'containment.failed':
      return (data as FailedData).refused ? { type: 'refuse' } : { type: 'miss', wait: Infinity };
    case 'containment.lost':
      return { type: 'lose' };
    case 'containment.retried':
      return { type: 'retry', via: (data as RetriedData).via };
    default:
      return event satisfies never;
  }
}

const situationOf = ({ status, via, attempts, waited_ms }: DeliveryRecord): DeliverySituation => ({
  status,
  context: { via, attempts, waited: waited_ms },
});
