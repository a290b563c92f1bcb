/**
 * The recoveries of incidents: what people do for them, and how far they are.
 *
 * Each message goes to the incident's actor, whose statechart decides it. That the attestor is asked for it is done by
 * `containment/reattestation.ts`.
 */
import type { Caller } from '../domain/caller.ts';
import type { AttestationEvidence } from '../domain/attestation-evidence.ts';
import type { ContainmentResult } from '../domain/containment-results.ts';
import type { Incident } from '../domain/incident.ts';
import { requiredAfter } from '../domain/recovery.ts';
import { found, RecorderError } from '../errors.ts';
import type { ContainmentAction, IncidentClass, Severity } from '../../machines/vocabulary.ts';
import type { Projections } from '../projections/projections.ts';
import type { RecoveringIncident } from '../projections/recoveries.ts';
import type { IncidentActor } from './incident-actor.ts';
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

export interface RecoveriesPage {
  /** How many recoveries are not complete. */
  readonly count: number;
  readonly pending: readonly RecoveryStatus[];
  /** The place behind which the next page begins, when there is one. */
  readonly next?: number;
}

export interface RecoveriesDependencies {
  readonly incidents: { actor(id: string): Pick<IncidentActor, 'send'> };
  readonly projections: Pick<Projections, 'current' | 'statistics' | 'incidents' | 'absenceOf'>;
}

const PAGE = 500;

export class Recoveries {
  readonly #dependencies: RecoveriesDependencies;

  constructor(dependencies: RecoveriesDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Records that a person says that the machine may be trusted again. To say it twice changes nothing.
   * @param ifVersion the version that the incident must have; any when not given
   * @throws RecorderError `not_found`, `gone`, `illegal_transition` when that is not asked for, `forbidden` for who
   *   reported the incident, and what an append throws
   */
  async acknowledge(id: string, caller: Caller, note?: string, ifVersion?: number): Promise<void> {
    await this.#dependencies.incidents.actor(id).send({ type: 'acknowledge_recovery' }, { caller, note, ifVersion });
  }

  /**
   * Records that the incident may be resolved without what is missing.
   * @throws RecorderError like `acknowledge`
   */
  async waive(id: string, reason: string, caller: Caller, ifVersion?: number): Promise<void> {
    await this.#dependencies.incidents.actor(id).send({ type: 'waive_recovery', reason }, { caller, ifVersion });
  }

  /**
   * The recoveries that are not complete, oldest first, as many as fit a page.
   * @param after the place behind which they begin; 0 for the first
   * @throws RecorderError `log_unavailable`, `starting` while the projections are behind the log
   */
  pending(after = 0): RecoveriesPage {
    const { projections } = this.#dependencies;
    const rows = projections.current().recoveries.incomplete(after, PAGE + 1);
    const { incomplete, attesting } = projections.statistics.recoveries();
    const pending = rows.slice(0, PAGE).map(({ incident }) => statusOf(incident));
    const page = { count: incomplete + attesting, pending };
    return rows.length > PAGE ? { ...page, next: rows[PAGE - 1]!.number } : page;
  }

  /**
   * The recovery of one incident, also when it is complete.
   * @throws RecorderError `not_found`, `gone`, `illegal_transition` when the incident needs none, and like `pending`
   */
  of(id: string): RecoveryStatus {
    const { projections } = this.#dependencies;
    const document = projections.current().document(id);
    if (document === undefined) throw projections.absenceOf(id);
    const incident = JSON.parse(document.json) as Incident;
    if (incident.recovery !== undefined) return statusOf(incident);
    throw new RecorderError('illegal_transition', 'no recovery is asked for', { fields: { state: incident.state } });
  }
}

/** The status of an incident that needs a recovery. */
function statusOf(incident: RecoveringIncident['incident']): RecoveryStatus {
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
