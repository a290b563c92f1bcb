import { withoutAnswer } from '../../domain/withheld.ts';
import type { RecoveryStatus } from '../../incidents/recovery-status.ts';

/** A status without what services have answered. */
export const publicStatus = (status: RecoveryStatus): RecoveryStatus => ({
  ...status,
  containment_results: status.containment_results.map((result) =>
    result.error === undefined ? result : { ...result, error: withoutAnswer(result.error) },
  ),
});
