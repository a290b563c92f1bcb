/** How many incidents there are, of each kind. Kept up with every entry; reading costs the same whatever their number. */
import type { IncidentClass, Severity, State } from '../../machines/vocabulary.ts';
import { type Kind, type StatisticsReading, statisticsOf, zeros } from '../query/statistics.ts';
import type { Database, Statement } from './database.ts';
import { RECOVERY_STAGES, type RecoveryStage } from '../domain/recovery.ts';
import type { Tally } from '../domain/tally.ts';

export class Statistics {
  readonly #population: Statement;
  readonly #one: Statement;
  readonly #entered: Statement;
  readonly #move: Statement;
  readonly #dropEmpty: Statement;
  readonly #enter: Statement;
  readonly #containments: Statement;
  readonly #moveContainment: Statement;
  readonly #dropContainment: Statement;
  readonly #recoveries: Statement;
  readonly #moveRecovery: Statement;
  readonly #dropRecovery: Statement;
  readonly #resolutions: Statement;
  readonly #addResolution: Statement;
  readonly #dropResolution: Statement;

  constructor(database: Database) {
    this.#population = database.prepare('SELECT class, severity, state, count FROM population WHERE drill = 0');
    this.#one = database.prepare(
      'SELECT count FROM population WHERE class = ? AND severity = ? AND state = ? AND drill = ?',
    );
    this.#entered = database.prepare('SELECT state, count FROM entered');
    this.#move = database.prepare(`
      INSERT INTO population (class, severity, state, drill, count) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET count = count + excluded.count`);
    this.#dropEmpty = database.prepare('DELETE FROM population WHERE count = 0');
    this.#enter = database.prepare(
      'INSERT INTO entered (state, count) VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count',
    );
    this.#containments = database.prepare('SELECT status, count FROM containments');
    this.#moveContainment = database.prepare(
      'INSERT INTO containments (status, count) VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count',
    );
    this.#dropContainment = database.prepare('DELETE FROM containments WHERE status = ? AND count = 0');
    this.#recoveries = database.prepare('SELECT stage, count FROM recoveries');
    this.#moveRecovery = database.prepare(
      'INSERT INTO recoveries (stage, count) VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count',
    );
    this.#dropRecovery = database.prepare('DELETE FROM recoveries WHERE stage = ? AND count = 0');
    this.#resolutions = database.prepare('SELECT resolution, count FROM resolutions');
    this.#addResolution = database.prepare(`
      INSERT INTO resolutions (resolution, count) VALUES (?, ?)
      ON CONFLICT DO UPDATE SET count = count + excluded.count`);
    this.#dropResolution = database.prepare('DELETE FROM resolutions WHERE resolution = ? AND count = 0');
  }

  /** How many unresolved incidents that need a recovery are at each stage of it. */
  recoveries(): Readonly<Record<RecoveryStage, number>> {
    const counts = zeros(RECOVERY_STAGES);
    for (const row of this.#recoveries.all()) counts[row.stage as RecoveryStage] = Number(row.count);
    return counts;
  }

  /** The incidents by kind; kinds of which there are none are left out. */
  population(): readonly Kind[] {
    return this.#population.all().map((row) => ({
      class: row.class as IncidentClass,
      severity: row.severity as Severity,
      state: row.state as State,
      count: Number(row.count),
    }));
  }

  /** How many incidents, or drills, of a kind are counted. */
  count(ofClass: IncidentClass, severity: Severity, state: State, drills = false): number {
    return Number(this.#one.get(ofClass, severity, state, Number(drills))?.count ?? 0);
  }

  read(): StatisticsReading {
    const counts = (statement: Statement, name: string): Iterable<readonly [string, number]> =>
      statement.all().map((row) => [String(row[name]), Number(row.count)] as const);
    return statisticsOf({
      population: this.population(),
      entered: counts(this.#entered, 'state'),
      containments: counts(this.#containments, 'status'),
      resolutions: counts(this.#resolutions, 'resolution'),
    });
  }

  /** Adds what a batch of entries has changed. */
  add(tally: Tally): void {
    let decreased = false;
    for (const [kind, count] of tally.moved) {
      const [ofClass, severity, state, drill] = kind.split(' ') as [string, string, string, string];
      if (count !== 0) this.#move.run(ofClass, severity, state, Number(drill), count);
      decreased ||= count < 0;
    }
    // Which rows there are must not depend on how the entries were batched.
    if (decreased) this.#dropEmpty.run();
    for (const [state, count] of tally.entered) if (count !== 0) this.#enter.run(state, count);
    for (const [status, count] of tally.containments) {
      if (count !== 0) this.#moveContainment.run(status, count);
      if (count < 0) this.#dropContainment.run(status);
    }
    for (const [stage, count] of tally.recoveries) {
      if (count !== 0) this.#moveRecovery.run(stage, count);
      if (count < 0) this.#dropRecovery.run(stage);
    }
    for (const [resolution, count] of tally.resolutions) {
      if (count !== 0) this.#addResolution.run(resolution, count);
      if (count < 0) this.#dropResolution.run(resolution);
    }
  }
}
