/**
 * What became of each containment action of an incident, as the appliance's reporters read it: one result for each
 * action whose outcome is known.
 *
 * A confirmed action is a success. One that failed, was refused, or needs a person is not, and says why. So is one that
 * was lost: it was carried out, and is not known to be in force any more. What still waits has no result, and an action
 * that is asked for again has none until its new outcome is known. What is resolved before it was carried out keeps what
 * was known last. What a person has released early is not asked for any more, and has none.
 */
import type { ContainmentAction } from '../../machines/vocabulary.ts';
import { type DeliveryRecord, isHeld } from './delivery.ts';

export interface ContainmentResult {
  readonly action: ContainmentAction;
  readonly success: boolean;
  /** Why it is not a success. */
  readonly error?: string;
  /** When the outcome was known: RFC 3339. */
  readonly completed_at: string;
}

/** The deliveries of an incident, and the results that are known of them. */
export interface Outcomes {
  readonly actions: readonly DeliveryRecord[];
  readonly results?: readonly ContainmentResult[] | undefined;
}

/**
 * The results after an entry, in the order of the actions.
 * @param before the deliveries before the entry; one that the entry does not change is the same object in `actions`
 * @param actions the deliveries after it
 * @param timestamp when the entry was written: RFC 3339
 */
export function resultsAfter(
  { actions: earlier, results = [] }: Outcomes,
  actions: readonly DeliveryRecord[],
  timestamp: string,
): readonly ContainmentResult[] {
  const after: ContainmentResult[] = [];
  for (const delivery of actions) {
    if (!isHeld(delivery)) continue;
    const isUnchanged = delivery.status === 'superseded' || earlier.includes(delivery);
    const result = isUnchanged
      ? results.find(({ action }) => action === delivery.action)
      : resultOf(delivery, timestamp);
    if (result !== undefined) after.push(result);
  }
  return after;
}

/** The result of a delivery that has just changed; undefined while its outcome is not known. */
function resultOf(
  { action, status, last_error: error, confirmed_at }: DeliveryRecord,
  timestamp: string,
): ContainmentResult | undefined {
  switch (status) {
    case 'confirmed':
      return { action, success: true, completed_at: confirmed_at ?? timestamp };
    case 'failed':
    case 'needs_person':
      return { action, success: false, error: error ?? status, completed_at: timestamp };
    case 'lost':
      return {
        action,
        success: false,
        error: error === undefined ? 'lost' : `lost: ${error}`,
        completed_at: timestamp,
      };
    case 'pending':
    case 'delivering':
    case 'recorded':
    case 'superseded':
      return undefined;
    default:
      return status satisfies never;
  }
}

/** Whether nothing more is expected of a delivery by itself: it was carried out, broken, or its time has passed. */
export const isSettled = ({ status, released_early }: Pick<DeliveryRecord, 'status' | 'released_early'>): boolean =>
  released_early !== undefined || (status !== 'pending' && status !== 'delivering' && status !== 'recorded');
