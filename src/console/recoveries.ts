/** The incidents that wait for their recovery, kept current. */
import type { RecoveryStatus } from '../domain/recovery-steps.ts';
import { isFleet } from './service.ts';
import { LiveResource } from './live-resource.ts';

export const recoveries = new LiveResource<RecoveryStatus>(
  () => (isFleet ? undefined : '/api/v1/recovery/status'),
  ({ event }) => event.startsWith('incident.') || event.startsWith('containment.') || event.startsWith('recovery.'),
);
