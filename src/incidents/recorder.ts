/**
 * The recorder: takes reports and commands, asks the statechart what becomes of them, writes that into the audit log,
 * and only then lets anything else see it.
 *
 * Every change goes the same way: decide → append → apply. What `log_alert` asks for is an entry itself and is appended
 * together with the entry that asks for it.
 */
import { begin, type CommandName, decide, type Intent, stateOf } from '../../machines/decision.ts';
import type { IncidentClass, Rule } from '../../machines/vocabulary.ts';
import type { Entry } from '../audit/entry.ts';
import type { CommandedData, Idempotency, RecurredData, Report, ReportedData } from '../domain/incident-entries.ts';
import type { Clock } from '../clock.ts';
import type { EntryEvent } from '../domain/entry-events.ts';
import { RecorderError } from '../errors.ts';
import { type Targets, channelOf } from '../policy/targets.ts';
import { situationOf } from '../domain/incident.ts';
import { documentOf, type IncidentDocument } from '../projections/incidents.ts';
import type { Projections } from '../projections/projections.ts';
import type { IncidentActors } from './actors.ts';
import { type Changes, found } from './changes.ts';
import { incidentId } from './incident-id.ts';

/** A person's command on an incident. */
export interface Command {
  readonly id: string;
  /** Who gives it. */
  readonly by?: string;
  readonly note?: string;
}

export interface Outcome {
  readonly incident: IncidentDocument;
  /**
   * What the request did: `created` an incident, added an occurrence to one (`recurred`), was a report sent again
   * (`replayed`), `moved` the incident to another state, or left it `unchanged` because it was there already.
   */
  readonly change: 'created' | 'recurred' | 'replayed' | 'moved' | 'unchanged';
}

export interface RecorderParts {
  readonly changes: Changes;
  readonly projections: Projections;
  readonly actors: IncidentActors;
  /** The rule that is in force for a class. */
  readonly ruleFor: (incidentClass: IncidentClass) => Rule;
  /** Where the policy in force sends containment actions. */
  readonly targets: () => Targets;
  readonly clock: Clock;
  /** Random bytes, from a source that can't be guessed. */
  readonly random: (bytes: number) => Buffer;
}

const ENTRY_OF = {
  contain: 'incident.contained',
  acknowledge: 'incident.acknowledged',
  resolve: 'incident.resolved',
} as const satisfies Record<CommandName, EntryEvent>;

export class Recorder {
  readonly #parts: RecorderParts;
  /** Identifiers of incidents that are being recorded and are not in the projections yet. */
  readonly #beingRecorded = new Set<string>();

  constructor(parts: RecorderParts) {
    this.#parts = parts;
  }

  /**
   * Records a report: opens an incident, or adds to the unresolved one with the same `dedup_key`, class and source. With
   * an idempotency key that was used before it only gives the incident of that time.
   * @throws RecorderError `idempotency_mismatch`, `log_unavailable`, `overloaded`, `too_large`, `stopping`
   */
  report(report: Report, idempotency?: Idempotency): Promise<Outcome> {
    if (idempotency === undefined) return this.#recordOnce(report, undefined);
    return this.#parts.changes.take(`key ${idempotency.key}`, async () => {
      this.#parts.changes.requireUpToDate();
      const earlier = this.#parts.projections.reportedUnder(idempotency.key);
      if (earlier === undefined) return this.#recordOnce(report, idempotency);
      if (earlier.fingerprint !== idempotency.fingerprint) {
        throw new RecorderError('idempotency_mismatch', 'this Idempotency-Key was used with another report');
      }
      return { incident: this.#document(earlier.id), change: 'replayed' };
    });
  }

  /**
   * Carries out a command on an incident.
   * @param expectedVersion the version that the incident must have; any when not given
   * @throws RecorderError `not_found`, `illegal_transition` (with `state`, `allowed` and `transitions`), `stale_version`,
   *   `log_unavailable`, `overloaded`, `too_large`, `stopping`
   */
  perform(command: CommandName, target: Command, expectedVersion?: number): Promise<Outcome> {
    return this.#parts.changes.take(target.id, async () => {
      const before = this.#parts.changes.record(target.id);
      const { version } = before.incident;
      if (expectedVersion !== undefined && expectedVersion !== version) {
        throw new RecorderError('stale_version', `the incident is at version ${version}, not ${expectedVersion}`, {
          fields: { version },
        });
      }
      const decision = decide(situationOf(before), { type: command });
      if (decision.kind === 'unchanged') return { incident: documentOf(before), change: 'unchanged' };
      if (decision.kind === 'refused') {
        const { state, allowed, transitions } = decision;
        throw new RecorderError('illegal_transition', `${command} is not possible: the incident is ${state}`, {
          fields: { state, allowed, transitions },
        });
      }
      const { by, note } = target;
      const said = { ...(by === undefined ? {} : { by }), ...(note === undefined ? {} : { note }) };
      const { snapshot, intents } = decision;
      const data: CommandedData = {
        incident: target.id,
        version: version + 1,
        state: stateOf(snapshot),
        ...said,
        intents: this.#routed(intents),
      };
      const drafts = this.#parts.changes.drafts(ENTRY_OF[command], data, before.incident);
      const { incident, entries } = await this.#parts.changes.append(drafts, target.id, before);
      this.#parts.actors.follow(before, entries);
      return { incident, change: 'moved' };
    });
  }

  /**
   * Completes a change that a crash has torn between its entries: `last` is the last entry of the log.
   * @throws RecorderError like `report`
   */
  async complete(last: Entry | undefined): Promise<void> {
    if (typeof last?.data.incident !== 'string') return;
    const { incident: id, version } = last.data;
    const { changes } = this.#parts;
    await changes.take(id, async () => {
      const before = changes.record(id);
      if (before.incident.version !== version) return;
      const [, ...missing] = changes.drafts(last.event, last.data as unknown as ReportedData, before.incident);
      if (missing.length > 0) await changes.append(missing, id, before);
    });
  }

  #recordOnce(report: Report, idempotency: Idempotency | undefined): Promise<Outcome> {
    const { dedup_key: key, class: incidentClass, source } = report;
    if (key === undefined) return this.#open(report, idempotency);
    return this.#parts.changes.take(JSON.stringify(['same', key, incidentClass, source]), async () => {
      const id = this.#parts.projections.incidents.findUnresolved(key, incidentClass, source);
      const outcome = id === undefined ? undefined : await this.#recur(id, report, idempotency);
      return outcome ?? this.#open(report, idempotency);
    });
  }

  async #open(report: Report, idempotency: Idempotency | undefined): Promise<Outcome> {
    const { changes, clock, random, ruleFor, actors, projections } = this.#parts;
    const rule = ruleFor(report.class);
    const severity = report.severity ?? rule.default_severity;
    const taken = (id: string): boolean => this.#beingRecorded.has(id) || projections.incidents.has(id);
    const id = incidentId(clock.now(), random, taken);
    const { snapshot, intents } = begin(rule);
    const data: ReportedData = {
      incident: id,
      version: 1,
      state: stateOf(snapshot),
      severity,
      report,
      rule,
      intents: this.#routed(intents),
      ...(idempotency === undefined ? {} : { idempotency }),
    };
    const drafts = changes.drafts('incident.reported', data, { ...report, severity });
    this.#beingRecorded.add(id);
    try {
      const { incident, entries } = await changes.append(drafts, id, undefined);
      actors.begin(id, intents, entries);
      return { incident, change: 'created' };
    } finally {
      this.#beingRecorded.delete(id);
    }
  }

  /** Adds an occurrence; `undefined` when the incident was resolved in the meantime. */
  #recur(id: string, report: Report, idempotency: Idempotency | undefined): Promise<Outcome | undefined> {
    const { changes, actors } = this.#parts;
    return changes.take(id, async () => {
      const before = changes.record(id);
      const decision = decide(situationOf(before), { type: 'recur' });
      if (decision.kind !== 'moved') return undefined;
      const data: RecurredData = {
        incident: id,
        version: before.incident.version + 1,
        state: stateOf(decision.snapshot),
        report,
        ...(idempotency === undefined ? {} : { idempotency }),
      };
      const { incident, entries } = await changes.append([changes.draft('incident.recurred', data)], id, before);
      actors.follow(before, entries);
      return { incident, change: 'recurred' };
    });
  }

  #routed(intents: readonly Intent[]): CommandedData['intents'] {
    const targets = this.#parts.targets();
    return intents.map((intent) => ({ ...intent, via: channelOf(targets, intent.action, intent.directive) }));
  }

  #document(id: string): IncidentDocument {
    return found(this.#parts.projections.incidents.get(id));
  }
}
