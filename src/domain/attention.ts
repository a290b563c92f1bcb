/** Which incidents need attention, apart from silences: those depend on the time, and on no entry of the incident. */
import { UNATTENDED_STATES } from '../../machines/vocabulary.ts';
import type { Incident } from './incident.ts';

/** What of an incident says whether it needs attention. */
export type Attended = Pick<Incident, 'state' | 'drill' | 'snoozed_until' | 'containment' | 'recovery'>;

/**
 * Whether an incident needs attention: nobody has acknowledged it, or somebody has, and its containment is overdue or
 * broken, or a step of its recovery is missing. A drill does not, nor an incident while it is snoozed.
 */
export function needsAttention({ state, drill, snoozed_until, containment, recovery }: Attended): boolean {
  if (drill === true || snoozed_until !== undefined) return false;
  if (state !== 'acknowledged') return UNATTENDED_STATES.includes(state);
  const status = containment?.status;
  return status === 'overdue' || status === 'degraded' || (recovery !== undefined && recovery.missing.length > 0);
}
