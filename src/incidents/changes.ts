/**
 * How incidents change: the one way by which what was decided becomes what is on record.
 *
 * Changes of one incident take turns, so a decision is always made on what the log says. When the append is refused
 * nothing has moved: not the actor, not a projection, not a counter.
 */
import type { Draft, StoredEntry } from '../audit/entry.ts';
import type { AuditLog } from '../audit/log.ts';
import { type Clock, timestamp } from '../clock.ts';
import type { EntryEvent } from '../domain/entry-events.ts';
import { RecorderError } from '../errors.ts';
import { foldEntry, type IncidentRecord } from '../domain/incident.ts';
import { documentOf, type IncidentDocument } from '../projections/incidents.ts';
import type { Projections } from '../projections/projections.ts';
import { alertAfter, type Alerting, type AlertSubject } from '../domain/alerts.ts';
import { Turns } from './turns.ts';

export interface Change {
  readonly entries: readonly StoredEntry[];
  readonly incident: IncidentDocument;
}

export class Changes {
  readonly #log: Pick<AuditLog, 'append'>;
  readonly #projections: Projections;
  readonly #clock: Clock;
  readonly #turns = new Turns();

  constructor(log: Pick<AuditLog, 'append'>, projections: Projections, clock: Clock) {
    this.#log = log;
    this.#projections = projections;
    this.#clock = clock;
  }

  /** Runs work on an incident, or on anything else that has a name, after all earlier work on it. */
  take<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    return this.#turns.take(name, work);
  }

  /**
   * An incident as it is now.
   * @throws RecorderError `not_found`, `log_unavailable`
   */
  record(id: string): IncidentRecord {
    this.requireUpToDate();
    return found(this.#projections.incidents.record(id));
  }

  /** While the projections are behind the log, what they say of an incident is no ground to decide on. */
  requireUpToDate(): void {
    const { unfinished, fault } = this.#projections;
    if (!unfinished) return;
    throw new RecorderError('log_unavailable', 'what is on record is behind the audit log; try again', {
      cause: fault,
    });
  }

  /** The draft of an entry about an incident, followed by that of the alert that it calls for, if it does. */
  drafts(event: EntryEvent, data: Alerting & Draft['data'], subject: AlertSubject): readonly Draft[] {
    const entry = this.draft(event, data);
    const alert = alertAfter(event, data, subject);
    return alert === undefined ? [entry] : [entry, { ...entry, event: 'alert.raised', data: alert }];
  }

  draft(event: EntryEvent, data: Draft['data']): Draft {
    return { timestamp: timestamp(this.#clock.now()), event, data };
  }

  /** Appends the entries of one change and gives the incident after it; `before` is what it was, if it was. */
  async append(drafts: readonly Draft[], id: string, before: IncidentRecord | undefined): Promise<Change> {
    this.requireUpToDate();
    const entries = await this.#log.append(drafts);
    // Recorded is recorded, also when the projections could not take it.
    return { entries, incident: this.#projections.latest(id) ?? documentOf(entries.reduce(foldEntry, before!)) };
  }
}

export function found<Found>(value: Found | undefined): Found {
  if (value === undefined) throw new RecorderError('not_found', 'incident not found');
  return value;
}
