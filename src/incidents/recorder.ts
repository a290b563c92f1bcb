/**
 * The recorder: takes reports and commands, asks the statechart what becomes of them, writes that into the audit log,
 * and only then lets anything else see it.
 *
 * Every change goes the same way: decide → append → apply. Commands on one incident take turns, so a decision is always
 * made on what the log says. When the append is refused nothing has moved: not the actor, not a projection, not a
 * counter. What `log_alert` asks for is an entry itself and is appended together with the entry that asks for it.
 */
import { begin, type CommandName, decide, stateOf } from '../../machines/decision.ts';
import type { IncidentClass, Rule } from '../../machines/vocabulary.ts';
import type { Draft, Entry, EntryEvent } from '../audit/entry.ts';
import type {
  AlertData,
  CommandedData,
  Idempotency,
  RecurredData,
  Report,
  ReportedData,
} from '../audit/incident-entries.ts';
import type { AuditLog } from '../audit/log.ts';
import { type Clock, timestamp } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import { foldEntry, type IncidentRecord } from '../projections/incident-record.ts';
import { documentOf, type IncidentDocument } from '../projections/incidents.ts';
import type { Projections } from '../projections/projections.ts';
import type { IncidentActors } from './actors.ts';
import { incidentId } from './incident-id.ts';
import { Turns } from './turns.ts';

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
  readonly log: Pick<AuditLog, 'append'>;
  readonly projections: Projections;
  readonly actors: IncidentActors;
  /** The rule that is in force for a class. */
  readonly ruleFor: (incidentClass: IncidentClass) => Rule;
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
  readonly #turns = new Turns();
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
    return this.#turns.take(`key ${idempotency.key}`, async () => {
      this.#requireUpToDate();
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
   * @throws RecorderError `not_found`, `illegal_transition` (with `state` and `allowed`), `stale_version`,
   *   `log_unavailable`, `overloaded`, `too_large`, `stopping`
   */
  perform(command: CommandName, target: Command, expectedVersion?: number): Promise<Outcome> {
    return this.#turns.take(target.id, async () => {
      const before = this.#record(target.id);
      const { version } = before.incident;
      if (expectedVersion !== undefined && expectedVersion !== version) {
        throw new RecorderError('stale_version', `the incident is at version ${version}, not ${expectedVersion}`, {
          fields: { version },
        });
      }
      const decision = decide(this.#parts.actors.snapshot(before), { type: command });
      if (decision.kind === 'unchanged') return { incident: documentOf(before), change: 'unchanged' };
      if (decision.kind === 'refused') {
        const { state, allowed } = decision;
        throw new RecorderError('illegal_transition', `${command} is not possible: the incident is ${state}`, {
          fields: { state, allowed },
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
        intents,
      };
      const drafts = [this.#draft(ENTRY_OF[command], data), ...this.#alerts(data, before.incident)];
      const incident = await this.#append(drafts, target.id, before);
      this.#parts.actors.send(before, { type: command });
      return { incident, change: 'moved' };
    });
  }

  /**
   * Completes a change that a crash has torn between its entries: `last` is the last entry of the log.
   * @throws RecorderError like `report`
   */
  async complete(last: Entry | undefined): Promise<void> {
    if (last?.event !== 'incident.reported' && last?.event !== 'incident.contained') return;
    const data = last.data as unknown as ReportedData | CommandedData;
    await this.#turns.take(data.incident, async () => {
      const before = this.#record(data.incident);
      if (before.incident.version !== data.version) return;
      const missing = this.#alerts(data, before.incident);
      if (missing.length > 0) await this.#append(missing, data.incident, before);
    });
  }

  #recordOnce(report: Report, idempotency: Idempotency | undefined): Promise<Outcome> {
    const { dedup_key: key, class: incidentClass, source } = report;
    if (key === undefined) return this.#open(report, idempotency);
    return this.#turns.take(JSON.stringify(['same', key, incidentClass, source]), async () => {
      const id = this.#parts.projections.incidents.findUnresolved(key, incidentClass, source);
      const outcome = id === undefined ? undefined : await this.#recur(id, report, idempotency);
      return outcome ?? this.#open(report, idempotency);
    });
  }

  async #open(report: Report, idempotency: Idempotency | undefined): Promise<Outcome> {
    const { clock, random, ruleFor, actors, projections } = this.#parts;
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
      intents,
      ...(idempotency === undefined ? {} : { idempotency }),
    };
    const drafts = [this.#draft('incident.reported', data), ...this.#alerts(data, { ...report, severity })];
    this.#beingRecorded.add(id);
    try {
      const incident = await this.#append(drafts, id, undefined);
      actors.begin(id, intents);
      return { incident, change: 'created' };
    } finally {
      this.#beingRecorded.delete(id);
    }
  }

  /** Adds an occurrence; `undefined` when the incident was resolved in the meantime. */
  #recur(id: string, report: Report, idempotency: Idempotency | undefined): Promise<Outcome | undefined> {
    return this.#turns.take(id, async () => {
      const before = this.#record(id);
      const decision = decide(this.#parts.actors.snapshot(before), { type: 'recur' });
      if (decision.kind !== 'moved') return undefined;
      const data: RecurredData = {
        incident: id,
        version: before.incident.version + 1,
        state: stateOf(decision.snapshot),
        report,
        ...(idempotency === undefined ? {} : { idempotency }),
      };
      const incident = await this.#append([this.#draft('incident.recurred', data)], id, before);
      this.#parts.actors.send(before, { type: 'recur' });
      return { incident, change: 'recurred' };
    });
  }

  /** Appends the entries of one change and gives the incident after it. */
  async #append(drafts: readonly Draft[], id: string, before: IncidentRecord | undefined): Promise<IncidentDocument> {
    this.#requireUpToDate();
    const { log, projections } = this.#parts;
    const entries = await log.append(drafts);
    // Recorded is recorded, also when the projections could not take it.
    return projections.latest(id) ?? documentOf(entries.reduce(foldEntry, before!));
  }

  /** The `alert.raised` entries that follow an entry whose intents hold `log_alert`. */
  #alerts(
    { incident, version, state, intents }: ReportedData | CommandedData,
    { class: ofClass, severity, source }: Pick<AlertData, 'class' | 'severity' | 'source'>,
  ): readonly Draft[] {
    const reason = 'containment asked for log_alert';
    const data: AlertData = { incident, version: version + 1, state, class: ofClass, severity, source, reason };
    return intents
      .filter(({ action, directive }) => action === 'log_alert' && directive === 'engage')
      .map(() => this.#draft('alert.raised', data));
  }

  #draft(event: EntryEvent, data: Draft['data']): Draft {
    return { timestamp: timestamp(this.#parts.clock.now()), event, data };
  }

  /** While the projections are behind the log, what they say of an incident is no ground to decide on. */
  #requireUpToDate(): void {
    const { behind, fault } = this.#parts.projections;
    if (!behind) return;
    throw new RecorderError('log_unavailable', 'what is on record is behind the audit log; try again', {
      cause: fault,
    });
  }

  #record(id: string): IncidentRecord {
    this.#requireUpToDate();
    return found(this.#parts.projections.incidents.record(id));
  }

  #document(id: string): IncidentDocument {
    return found(this.#parts.projections.incidents.get(id));
  }
}

function found<Found>(value: Found | undefined): Found {
  if (value === undefined) throw new RecorderError('not_found', 'incident not found');
  return value;
}
