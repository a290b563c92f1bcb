import { CLASSES, SEVERITIES, STATES, type State } from '../../machines/vocabulary.ts';

/** The counts that the service must give in its statistics, under the same names. */
export interface ExpectedStatistics {
  readonly total_incidents: number;
  readonly open_incidents: number;
  readonly contained_count: number;
  readonly resolved_count: number;
  readonly by_class: Readonly<Record<string, number>>;
  readonly by_state: Readonly<Record<string, number>>;
  readonly by_severity: Readonly<Record<string, number>>;
}

/** Counts incidents by itself, so that what the service counts can be held against it. */
export class Population {
  readonly #classes = zeros(CLASSES);
  readonly #severities = zeros(SEVERITIES);
  readonly #states = zeros(STATES);
  readonly #entered = zeros(STATES);
  #total = 0;

  add({ class: incidentClass, severity, state }: { class: string; severity: string; state: State }): void {
    this.#total += 1;
    this.#classes[incidentClass]! += 1;
    this.#severities[severity]! += 1;
    this.#enter(state);
  }

  move(before: State, after: State): void {
    this.#states[before]! -= 1;
    this.#enter(after);
  }

  get statistics(): ExpectedStatistics {
    return {
      total_incidents: this.#total,
      open_incidents: this.#states.open! + this.#states.contained!,
      contained_count: this.#entered.contained!,
      resolved_count: this.#entered.resolved!,
      by_class: { ...this.#classes },
      by_state: { ...this.#states },
      by_severity: { ...this.#severities },
    };
  }

  #enter(state: State): void {
    this.#states[state]! += 1;
    this.#entered[state]! += 1;
  }
}

const zeros = (names: readonly string[]): Record<string, number> => Object.fromEntries(names.map((name) => [name, 0]));
