import { useState } from 'preact/hooks';
import type { DeliveryStatus } from '../../../machines/delivery.ts';
import type { ContainmentAction } from '../../../machines/vocabulary.ts';
import type { DeliveryRecord } from '../../domain/delivery.ts';
import type { Containment } from '../../domain/incident.ts';
import { announce } from '../live-region.ts';
import { isBroken } from '../posture/live-posture.ts';
import { perform } from '../operator.ts';
import { Due, Moment } from '../parts/time.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { reasonOf } from '../request.ts';
import { counted, spelled } from '../format.ts';

/** What each status of a delivery means to an operator. */
const DELIVERY_WORDS: Readonly<Record<DeliveryStatus, string>> = {
  pending: 'about to be sent',
  delivering: 'being tried',
  recorded: 'waits to be fetched',
  confirmed: 'confirmed',
  failed: 'failed',
  lost: 'lost',
  superseded: 'no longer needed',
};

/** The words for as many deliveries in one status. */
export const wordsOfStatus = (status: DeliveryStatus, count: number): string =>
  status === 'recorded' && count !== 1 ? 'wait to be fetched' : DELIVERY_WORDS[status];

interface DeliveriesProps {
  readonly incident: string;
  readonly containment: Containment;
  /** Whether this is the present, so that a delivery can be retried. */
  readonly isNow: boolean;
}

/** Each containment action with its delivery. */
export const Deliveries = ({ incident, containment, isNow }: DeliveriesProps) => (
  <ul class="deliveries">
    {containment.actions.map((delivery) => (
      <li key={delivery.action} class={`delivery ${delivery.status}`}>
        <strong>{spelled(delivery.action)}</strong>
        <span class="status">{DELIVERY_WORDS[delivery.status]}</span>
        <DeliveryDetail delivery={delivery} />
        {isNow && isBroken(delivery.status) && <RetryButton action={delivery.action} incident={incident} />}
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
      <span class="error">
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
  return (
    <button type="button" disabled={isUnderWay} onClick={() => void retry()}>
      Try again
    </button>
  );
};
