/** The posture of the machine, kept current; at the fleet of the one that the page is about. */
import { computed } from '@preact/signals';
import type { ContainmentAction } from '../../../machines/vocabulary.ts';
import type { ActionView } from '../../containment/posture-reads.ts';
import { nameOfIncident } from '../incident-key.ts';
import { LiveResource } from '../live-resource.ts';
import { route } from '../route.ts';
import { isFleet } from '../service.ts';

/** The machine that the page is about: that of the open incident, or the one whose posture is open. */
export const machineOfPage = computed((): string | undefined => {
  const { view, id } = route.value;
  if (!isFleet || id === undefined) return undefined;
  return view === 'posture' ? id : nameOfIncident(id).machine;
});

export const posture = new LiveResource<Readonly<Record<ContainmentAction, ActionView>>>(
  () => {
    if (!isFleet) return '/api/v1/containment';
    const machine = machineOfPage.value;
    return machine === undefined ? undefined : `/api/v1/containment?machine=${encodeURIComponent(machine)}`;
  },
  ({ event }) => event.startsWith('incident.') || event.startsWith('containment.') || event === 'alert.raised',
);

// What is known is of another machine then.
machineOfPage.subscribe(() => {
  posture.value.value = undefined;
});
