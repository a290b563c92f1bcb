/** The posture, kept current. */
import type { DeliveryStatus } from '../../../machines/delivery.ts';
import type { ContainmentAction } from '../../../machines/vocabulary.ts';
import type { ActionView } from '../../containment/posture-reads.ts';
import { LiveResource } from '../live-resource.ts';

export const posture = new LiveResource<Readonly<Record<ContainmentAction, ActionView>>>(
  () => '/api/v1/containment',
  ({ event }) => event.startsWith('incident.') || event.startsWith('containment.') || event === 'alert.raised',
);

/** Whether a delivery needs an operator. */
export const isBroken = (status: DeliveryStatus): boolean =>
  status === 'failed' || status === 'lost' || status === 'needs_person';

/** Whether an action waits for longer than the policy allows, or needs an operator. */
export const isTroubled = ({ delivery, not_known }: ActionView): boolean =>
  (not_known?.overdue ?? 0) > 0 || (delivery !== null && Object.keys(delivery.counts).some(isBrokenName));

const isBrokenName = (status: string): boolean => isBroken(status as DeliveryStatus);
