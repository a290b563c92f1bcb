/** How far the recovery of an incident is: for the recorder and for the fleet. */
import type { ContainmentAction, IncidentClass, Severity } from '../../machines/vocabulary.ts';
import type { AttestationEvidence } from '../domain/attestation-evidence.ts';
import type { ContainmentResult } from '../domain/containment-results.ts';
import type { Incident } from '../domain/incident.ts';
import { requiredAfter } from '../domain/recovery.ts';
import { found } from '../errors.ts';
import { bindingOf } from './recovery-binding.ts';

/** How far the recovery of an incident is, in the words of the appliance. Times are RFC 3339. */
export interface RecoveryStatus {
  readonly incident_id: string;
  readonly incident_class: IncidentClass;
  readonly severity: Severity;
  /** The latest report, or the latest outcome of an action: from then on it has to be done. */
  readonly required_after: string;
  readonly containment_actions: readonly ContainmentAction[];
  readonly containment_results: readonly ContainmentResult[];
  /** The digest of the incident as it is: what is done counts for that. */
  readonly containment_binding: string;
  /** Whether the incident can't be resolved yet, so that its containment stays. */
  readonly containment_latch_active: boolean;
  readonly require_ack: boolean;
  readonly require_reattest: boolean;
  readonly acked_at?: string;
  readonly acked_by?: string;
  readonly re_attested_at?: string;
  readonly attestation_evidence?: AttestationEvidence;
  /** Since when it may be resolved. */
  readonly recovery_gate_released_at?: string;
  readonly recovery_complete: boolean;
}

/** An incident without its large parts. */
type Recovering = Omit<Incident, 'description' | 'evidence' | 'latest_report'>;

/** The status of an incident that needs a recovery. */
export function recoveryStatusOf(incident: Recovering): RecoveryStatus {
  const { id, class: incident_class, severity, containment_actions = [], containment_results = [] } = incident;
  const { required, missing, acknowledged, attested, completed_at } = found(incident.recovery, 'recovery');
  const isComplete = missing.length === 0;
  return {
    incident_id: id,
    incident_class,
    severity,
    required_after: requiredAfter(incident),
    containment_actions,
    containment_results,
    containment_binding: bindingOf(incident),
    containment_latch_active: !isComplete,
    require_ack: required.includes('acknowledge'),
    require_reattest: required.includes('attest'),
    ...(acknowledged && { acked_at: acknowledged.at }),
    ...(acknowledged?.by === undefined ? {} : { acked_by: acknowledged.by }),
    ...(attested && { re_attested_at: attested.at, attestation_evidence: attested.evidence }),
    ...(completed_at === undefined ? {} : { recovery_gate_released_at: completed_at }),
    recovery_complete: isComplete,
  };
}
