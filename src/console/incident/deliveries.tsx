import { useState } from 'preact/hooks';
import type { DeliveryStatus } from '../../../machines/delivery.ts';
import type { ContainmentAction } from '../../../machines/vocabulary.ts';
import type { DeliveryRecord } from '../../domain/delivery.ts';
import { obstacleFor } from '../identity.ts';
import { announce } from '../live-region.ts';
import { isBroken } from '../posture/live-posture.ts';
import { perform } from '../operator.ts';
import { Ago, Due, Moment } from '../parts/time.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { reasonOf } from '../request.ts';
import { counted, spelled } from '../format.ts';

/** What each status of a delivery means to an operator. */
export const DELIVERY_WORDS: Readonly<Record<DeliveryStatus, string>> = {
  pending: 'about to be sent',
  delivering: 'being tried',
  recorded: 'waits to be fetched',
  confirmed: 'confirmed',
  failed: 'failed',
  lost: 'lost',
  needs_person: 'needs a person',
  superseded: 'no longer needed',
};

/** The words for as many deliveries in one status. */
export const wordsOfStatus = (status: DeliveryStatus, count: number): string =>
  (count === 1 ? undefined : PLURALS[status]) ?? DELIVERY_WORDS[status];

const PLURALS: Readonly<Partial<Record<DeliveryStatus, string>>> = {
  recorded: 'wait to be fetched',
  needs_person: 'need a person',
};

interface DeliveriesProps {
  readonly incident: string;
  readonly deliveries: readonly DeliveryRecord[];
  /** Whether this is the present, so that a delivery can be retried. */
  readonly isNow: boolean;
}

/** Whether a drill has not sent it: its detail says why. */
const isSpared = ({ status, last_error: reason = '' }: Omit<DeliveryRecord, 'action'>): boolean =>
  status === 'superseded' && /^not (?:asked|released): /.test(reason);

const wordsOf = (delivery: DeliveryRecord): string => (isSpared(delivery) ? 'not sent' : wordsOfSent(delivery));

const wordsOfSent = ({ status, overdue_at }: DeliveryRecord): string =>
  overdue_at === undefined ? DELIVERY_WORDS[status] : `overdue, ${DELIVERY_WORDS[status]}`;

/** No attempt helps what needs a person. */
const mayTryAgain = ({ status }: DeliveryRecord): boolean => isBroken(status) && status !== 'needs_person';

/** Each containment action with its delivery. */
export const Deliveries = ({ incident, deliveries, isNow }: DeliveriesProps) => (
  <ul class="deliveries">
    {deliveries.map((delivery) => (
      <li key={delivery.action} class={`delivery ${delivery.overdue_at === undefined ? delivery.status : 'overdue'}`}>
        <strong>{spelled(delivery.action)}</strong>
        <span class="status">{wordsOf(delivery)}</span>
        {delivery.overdue_at !== undefined && (
          <span class="detail">
            <span>
              asked for <Ago at={delivery.asked_at} />
            </span>
          </span>
        )}
        <DeliveryDetail delivery={delivery} />
        {isNow && mayTryAgain(delivery) && <RetryButton action={delivery.action} incident={incident} />}
      </li>
    ))}
  </ul>
);

/** The attempts of a delivery, the last error, and the next attempt. */
export const DeliveryDetail = ({ delivery }: { readonly delivery: Omit<DeliveryRecord, 'action'> }) => (
  <span class="detail">
    {delivery.confirmed_at && (
      <span>
        at <Moment at={delivery.confirmed_at} />
      </span>
    )}
    {delivery.attempts > 0 && <span>{counted(delivery.attempts, 'attempt')}</span>}
    {delivery.last_error && (
      <span class={isSpared(delivery) ? '' : 'error'}>
        <Verbatim text={delivery.last_error} longest={300} />
      </span>
    )}
    {delivery.next_attempt_at && <Due at={delivery.next_attempt_at} />}
  </span>
);

interface RetryButtonProps {
  readonly action: ContainmentAction;
  /** Only for this incident; for all when left out. */
  readonly incident?: string;
}

/** A button that has a delivery tried again. */
export const RetryButton = ({ action, incident }: RetryButtonProps) => {
  const [isUnderWay, setUnderWay] = useState(false);
  const retry = async (): Promise<void> => {
    setUnderWay(true);
    try {
      await perform('/api/v1/containment/retry', { action, ...(incident !== undefined && { incident_id: incident }) });
      announce(`${spelled(action)} is tried again`);
    } catch (error) {
      announce(`${spelled(action)} is not tried again: ${reasonOf(error)}`);
    } finally {
      setUnderWay(false);
    }
  };
  const obstacle = obstacleFor(['operator']);
  return (
    <button
      type="button"
      disabled={isUnderWay || obstacle !== undefined}
      title={obstacle === undefined ? undefined : `This ${obstacle}`}
      onClick={() => void retry()}
    >
      Try again
    </button>
  );
};
