/**
 * The recoveries of incidents: what people do for them, and how far they are.
 *
 * Each message goes to the incident's actor, whose statechart decides it. That the attestor is asked for it is done by
 * `containment/reattestation.ts`.
 */
import type { Caller } from '../domain/caller.ts';
import type { Incident } from '../domain/incident.ts';
import { RecorderError } from '../errors.ts';
import type { Projections } from '../projections/projections.ts';
import type { IncidentActor } from './incident-actor.ts';
import { type RecoveryStatus, recoveryStatusOf } from './recovery-status.ts';

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
    const pending = rows.slice(0, PAGE).map(({ incident }) => recoveryStatusOf(incident));
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
    if (incident.recovery !== undefined) return recoveryStatusOf(incident);
    throw new RecorderError('illegal_transition', 'no recovery is asked for', { fields: { state: incident.state } });
  }
}
