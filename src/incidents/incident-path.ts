import { incidentMachine } from '../../machines/incident.ts';
import type { Entry } from '../audit/entry.ts';
import type { ReportedData } from '../domain/incident-entries.ts';
import { RecorderError } from '../errors.ts';
import { eventOf, foldEntry, type IncidentRecord } from '../domain/incident.ts';
import type { Whereabouts } from '../statecharts/svg.ts';
import { ChartPath } from '../statecharts/chart-path.ts';

/** The way of an incident through its statechart, as its entries tell it. */
export class IncidentPath {
  #record: IncidentRecord | undefined;
  #walk: ChartPath | undefined;

  /**
   * Takes the next entry about the incident, the first being its report.
   * @throws RecorderError `damaged_log` for one that contradicts the statechart
   */
  take(entry: Entry): void {
    const before = this.#record;
    this.#record = foldEntry(before, entry);
    if (before === undefined) {
      this.#walk = new ChartPath(incidentMachine, (entry.data as unknown as ReportedData).rule);
      return;
    }
    const event = eventOf(before, entry);
    if (event !== undefined) this.#walk?.take(event);
  }

  /** How many entries it has taken. */
  get version(): number {
    return this.#record?.incident.version ?? 0;
  }

  /** Where the entries have led. @throws RecorderError `not_found` when there were none */
  get whereabouts(): Whereabouts {
    if (this.#walk === undefined) throw new RecorderError('not_found', 'incident not found');
    return this.#walk.whereabouts;
  }
}
