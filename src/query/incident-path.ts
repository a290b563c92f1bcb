import { incidentMachine } from '../../machines/incident.ts';
import { Contradiction } from '../domain/contradiction.ts';
import { type Entry, isAboutIncident, isOpening } from '../domain/entries.ts';
import { effectOf, fold, type IncidentRecord } from '../domain/incident.ts';
import { found, RecorderError } from '../errors.ts';
import { ChartPath } from '../statecharts/chart-path.ts';
import type { Whereabouts } from '../statecharts/svg.ts';

/** The path of an incident through its statechart, as its entries record it. */
export class IncidentPath {
  #record: IncidentRecord | undefined;
  #path: ChartPath | undefined;

  /**
   * Takes the next entry about the incident. Those before its report, or before it was carried over, change nothing.
   * @throws RecorderError `damaged_log` for one that contradicts the statechart
   */
  take(entry: Entry): void {
    if (!isAboutIncident(entry)) return;
    const before = this.#record;
    if (before === undefined && !isOpening(entry)) return;
    try {
      this.#record = fold(before, entry);
    } catch (error) {
      if (!(error instanceof Contradiction)) throw error;
      throw new RecorderError('damaged_log', error.message, { cause: error });
    }
    if (entry.event === 'incident.reported') this.#path = new ChartPath(incidentMachine, entry.data.rule);
    else if (entry.event === 'incident.carried' || entry.event === 'incident.imported')
      this.#path ??= new ChartPath(incidentMachine, entry.data.rule, this.#record.snapshot);
    else if (before !== undefined) {
      const { event } = effectOf(before, entry);
      if (event !== undefined) this.#path?.take(event);
    }
  }

  /** How many entries it has taken. */
  get version(): number {
    return this.#record?.incident.version ?? 0;
  }

  /** Where the entries have led. @throws RecorderError `not_found` when there were none */
  get whereabouts(): Whereabouts {
    return found(this.#path).whereabouts;
  }
}
