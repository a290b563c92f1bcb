/** The posture, kept current. */
import type { ContainmentAction } from '../../../machines/vocabulary.ts';
import type { ActionView } from '../../containment/posture-reads.ts';
import { LiveResource } from '../live-resource.ts';

export const posture = new LiveResource<Readonly<Record<ContainmentAction, ActionView>>>(
  () => '/api/v1/containment',
  ({ event }) => event.startsWith('incident.') || event.startsWith('containment.') || event === 'alert.raised',
);
