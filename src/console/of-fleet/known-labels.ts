/** The labels that the machines of the fleet have, the most frequent first. */
import { computed } from '@preact/signals';
import { fleetMachines } from './live-fleet.ts';

export const knownLabels = computed((): readonly { readonly label: string; readonly machines: number }[] => {
  const counts = new Map<string, number>();
  for (const { labels } of fleetMachines.value.value ?? []) {
    for (const [name, value] of Object.entries(labels)) {
      const label = `${name}=${value}`;
      counts.set(label, (counts.get(label) ?? 0) + 1);
    }
  }
  return [...counts]
    .map(([label, machines]) => ({ label, machines }))
    .toSorted((one, other) => other.machines - one.machines || (one.label < other.label ? -1 : 1));
});
