/** The incidents that wait for their recovery, kept current. */
import type { PendingRecovery, RecoveryStatus } from '../domain/recovery-steps.ts';
import { keyOfIncident } from './incident-key.ts';
import { LiveResource } from './live-resource.ts';

export const recoveries = new LiveResource<RecoveryStatus>(
  () => '/api/v1/recovery/status',
  ({ event }) => event.startsWith('incident.') || event.startsWith('containment.') || event.startsWith('recovery.'),
);

/** The key of the incident that waits. */
export const keyOfRecovery = ({ incident_id: id, machine }: PendingRecovery): string => keyOfIncident(id, machine);
