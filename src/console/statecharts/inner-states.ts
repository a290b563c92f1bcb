/** How many contained incidents are in each inner state, kept current. */
import type { IncidentGroup } from '../../query/incident-groups.ts';
import { LiveResource } from '../live-resource.ts';

export const contained = new LiveResource<readonly IncidentGroup[]>(
  () => '/api/v1/incidents/groups?state=contained&by=class',
  ({ event }) => event.startsWith('incident.') || event.startsWith('containment.'),
);

/** What groups call each inner state of `contained`. */
const GROUPED = {
  delivering: 'delivering',
  overdue: 'overdue',
  confirmed: 'confirmed',
  degraded: 'broken',
} as const;

/** The number in an inner state; undefined for other states, and while not all incidents were looked at. */
export const countIn = (groups: readonly IncidentGroup[] | undefined, state: string): number | undefined => {
  const name = state.replace(/^contained\./, '');
  if (name === state || !Object.hasOwn(GROUPED, name)) return undefined;
  if (groups === undefined || groups.some(({ looked_at: part }) => part !== undefined)) return undefined;
  const key = GROUPED[name as keyof typeof GROUPED];
  return groups.reduce((sum, { containment }) => sum + (containment?.[key] ?? 0), 0);
};
