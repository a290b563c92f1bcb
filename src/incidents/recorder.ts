/**
 * The recorder: takes reports and commands and routes them to the incidents' actors.
 *
 * A report opens an incident, is an occurrence of an unresolved one with the same `dedup_key`, or was recorded before
 * under its idempotency key. Reports that share a key are handled one after the other, because each has to see what the
 * one before it left.
 */
import type { CommandName } from '../../machines/decision.ts';
import type { Channel, ContainmentAction, Directive, IncidentClass, Rule } from '../../machines/vocabulary.ts';
import { type Clock, timestamp } from '../clock.ts';
import { type Entry, type Idempotency, isAboutIncident, type Report } from '../domain/entries.ts';
import { decideReport, type IncidentRecord } from '../domain/incident.ts';
import { found, RecorderError } from '../errors.ts';
import { documentOf, type IncidentDocument } from '../domain/document.ts';
import type { Projections } from '../projections/projections.ts';
import type { ActorRegistry } from './actor-registry.ts';
import { incidentId } from './incident-id.ts';
import { KeyedLock } from './keyed-lock.ts';

/** A person's command on an incident. */
export interface Command {
  readonly id: string;
  /** Who gives it. */
  readonly by?: string;
  readonly note?: string;
}

export interface Recorded {
  readonly incident: IncidentDocument;
  /**
   * What the request did: `created` an incident, added an occurrence to one (`recurred`), was a report sent again
   * (`replayed`), `moved` the incident to another state, or left it `unchanged` because it was there already.
   */
  readonly change: 'created' | 'recurred' | 'replayed' | 'moved' | 'unchanged';
}

export interface RecorderDependencies {
  readonly incidents: ActorRegistry;
  readonly projections: Pick<Projections, 'current' | 'latest'>;
  /** The rule that is in force for a class. */
  readonly ruleFor: (incidentClass: IncidentClass) => Rule;
  readonly channelOf: (action: ContainmentAction, directive: Directive) => Channel;
  readonly clock: Clock;
  /** Random bytes, from a source that can't be guessed. */
  readonly random: (bytes: number) => Buffer;
}

export class Recorder {
  readonly #dependencies: RecorderDependencies;
  readonly #keys = new KeyedLock();

  constructor(dependencies: RecorderDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Records a report: opens an incident, or adds to the unresolved one with the same `dedup_key`, class and source. With
   * an idempotency key that was used before it only gives the incident of that time.
   * @throws RecorderError `idempotency_mismatch`, `log_unavailable`, `overloaded`, `too_large`, `stopping`
   */
  report(report: Report, idempotency?: Idempotency): Promise<Recorded> {
    if (idempotency === undefined) return this.#recordOnce(report, undefined);
    return this.#keys.run(`key ${idempotency.key}`, async () => {
      const current = this.#dependencies.projections.current();
      const earlier = current.reportedUnder(idempotency.key);
      if (earlier === undefined) return this.#recordOnce(report, idempotency);
      if (earlier.fingerprint !== idempotency.fingerprint) {
        throw new RecorderError('idempotency_mismatch', 'this Idempotency-Key was used with another report');
      }
      return { incident: found(current.document(earlier.id)), change: 'replayed' };
    });
  }

  /**
   * Carries out a command on an incident.
   * @param ifVersion the version that the incident must have; any when not given
   * @throws RecorderError `not_found`, `illegal_transition` (with `state`, `allowed` and `transitions`), `stale_version`,
   *   `log_unavailable`, `overloaded`, `too_large`, `stopping`
   */
  async perform(command: CommandName, { id, by, note }: Command, ifVersion?: number): Promise<Recorded> {
    const { change, record } = await this.#dependencies.incidents
      .actor(id)
      .send({ type: command }, { by, note, ifVersion });
    return { incident: this.#documentOf(record), change };
  }

  /**
   * Completes a write of several entries of which a crash has left only the first: `last` is the last entry of the log.
   * @throws RecorderError like `report`
   */
  async complete(last: Entry | undefined): Promise<void> {
    if (last === undefined || !isAboutIncident(last)) return;
    await this.#dependencies.incidents.actor(last.data.incident).complete(last);
  }

  #recordOnce(report: Report, idempotency: Idempotency | undefined): Promise<Recorded> {
    const { dedup_key: key, class: incidentClass, source } = report;
    if (key === undefined) return this.#open(report, idempotency);
    return this.#keys.run(JSON.stringify(['same', key, incidentClass, source]), async () => {
      const id = this.#dependencies.projections.current().unresolved(key, incidentClass, source);
      const recorded = id === undefined ? undefined : await this.#recur(id, report, idempotency);
      return recorded ?? this.#open(report, idempotency);
    });
  }

  async #open(report: Report, idempotency: Idempotency | undefined): Promise<Recorded> {
    const { incidents, projections, clock, random, ruleFor, channelOf } = this.#dependencies;
    const current = projections.current();
    const id = incidentId(clock.now(), random, (taken) => incidents.has(taken) || current.hasIncident(taken));
    const circumstances = { timestamp: timestamp(clock.now()), channelOf };
    const drafts = decideReport(id, report, ruleFor(report.class), circumstances, idempotency);
    return { incident: this.#documentOf(await incidents.actor(id).open(drafts)), change: 'created' };
  }

  /** Adds an occurrence; undefined when the incident was resolved in the meantime. */
  async #recur(id: string, report: Report, idempotency: Idempotency | undefined): Promise<Recorded | undefined> {
    try {
      const { record } = await this.#dependencies.incidents.actor(id).send({ type: 'recur', report, idempotency });
      return { incident: this.#documentOf(record), change: 'recurred' };
    } catch (error) {
      if (error instanceof RecorderError && error.code === 'illegal_transition') return undefined;
      throw error;
    }
  }

  /** The document of a record. Recorded is recorded, also when the projections could not take it. */
  #documentOf(record: IncidentRecord): IncidentDocument {
    const { id, version } = record.incident;
    const latest = this.#dependencies.projections.latest(id);
    return latest?.version === version ? latest : documentOf(record);
  }
}
