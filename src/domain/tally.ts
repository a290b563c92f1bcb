import type { ContainmentStatus, Resolution, State } from '../../machines/vocabulary.ts';
import type { Incident, IncidentRecord } from './incident.ts';
import { type RecoveryStage, recoveryStage } from './recovery.ts';

/** What a batch of entries changes in the statistics: counted first, so that each number is written once. */
export class Tally {
  /** By class, severity, state, and 1 for drills or 0, with a space between. */
  readonly moved = new Map<string, number>();
  readonly entered = new Map<State, number>();
  readonly containments = new Map<ContainmentStatus, number>();
  readonly recoveries = new Map<RecoveryStage, number>();
  readonly resolutions = new Map<Resolution, number>();

  /** Counts what entries have changed of a record: one after the other, or all of them together. */
  follow({ incident }: IncidentRecord, before: IncidentRecord | undefined): void {
    const { class: ofClass, severity, state } = incident;
    const known = before?.incident;
    const drill = incident.drill === true ? 1 : 0;
    if (known === undefined || known.state !== state || known.severity !== severity) {
      if (known !== undefined) increase(this.moved, `${ofClass} ${known.severity} ${known.state} ${drill}`, -1);
      increase(this.moved, `${ofClass} ${severity} ${state} ${drill}`, 1);
    }
    // Drills are listed, and count nowhere else.
    if (drill === 1) return;
    const [was, is] = [known?.containment?.status, incident.containment?.status];
    if (was !== is) {
      if (was !== undefined) increase(this.containments, was, -1);
      if (is !== undefined) increase(this.containments, is, 1);
    }
    if (incident.recovery !== undefined) this.#followRecovery(incident, known);
    // Counted by the fields that stay, as for archived incidents: an incident may enter a state again.
    if (incident.contained_at !== undefined && known?.contained_at === undefined)
      increase(this.entered, 'contained', 1);
    if (incident.acknowledged_at !== undefined && known?.acknowledged_at === undefined) {
      increase(this.entered, 'acknowledged', 1);
    }
    if (incident.resolved_at !== undefined && known?.resolved_at === undefined) increase(this.entered, 'resolved', 1);
    if (incident.resolution === known?.resolution) return;
    if (known?.resolution !== undefined) increase(this.resolutions, known.resolution, -1);
    if (incident.resolution !== undefined) increase(this.resolutions, incident.resolution, 1);
  }

  #followRecovery(incident: Incident, known: Incident | undefined): void {
    const [was, is] = [known && recoveryStage(known), recoveryStage(incident)];
    if (was === is) return;
    if (was !== undefined) increase(this.recoveries, was, -1);
    if (is !== undefined) increase(this.recoveries, is, 1);
  }
}

const increase = <Name>(counts: Map<Name, number>, name: Name, by: number): void => {
  counts.set(name, (counts.get(name) ?? 0) + by);
};
