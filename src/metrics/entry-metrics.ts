/**
 * Counts the entries of the audit log as soon as they are on disk. Counters count from the start of the process: entries
 * that a start reads are not counted.
 */
import { Counter, Histogram, type Registry } from 'prom-client';
import { ACTIONS, DIRECTIVES, STATES } from '../../machines/vocabulary.ts';
import { SECOND } from '../clock.ts';
import {
  DELIVERY_EVENTS,
  type DeliveryEntry,
  ENTRY_EVENTS,
  type EntryEvent,
  isAboutIncident,
  RECOVERY_ENTRY_EVENTS,
} from '../domain/entries.ts';
import type { IncidentRecord, RecordChange, TakenEntry } from '../domain/incident.ts';
import { isAboutDelivery } from '../domain/delivery.ts';
import { isAboutRecovery } from '../domain/recovery.ts';
import { Counts } from './counts.ts';

const STAYING: readonly EntryEvent[] = [
  'incident.recurred',
  'incident.carried',
  'incident.imported',
  'incident.noted',
  'incident.assigned',
  'incident.snoozed',
  'incident.woken',
  'incident.reopened',
];

/** The events with which an incident enters a state: its report and commands, not a further report. */
const ENTERING: ReadonlySet<string> = new Set(
  ENTRY_EVENTS.filter((event) => event.startsWith('incident.') && !STAYING.includes(event)),
);

/** A further report, a snooze and its end may bring an incident into another state, too. */
const hasMoved = (change: RecordChange | undefined): boolean =>
  change?.before !== undefined && change.before.incident.state !== change.now.incident.state;

/** The second word of an event about a delivery is its outcome. */
const outcomeOf = (event: string): string => event.slice('containment.'.length);

/** The second word of an event about a recovery is its outcome, too. */
const recoveryOutcome = (event: string): string => event.slice('recovery.'.length);
const VOIDED = 'voided';

const eventLabel = (event: string) => ({ event });
const stateLabel = (state: string) => ({ state });

/** In seconds: from an answer at once to one that took many attempts. */
const CONTAINMENT_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600];

export class EntryMetrics {
  readonly #entries: Counts<'event'>;
  readonly #transitions: Counts<'state'>;
  readonly #deliveries: Counter<'action' | 'directive' | 'outcome'>;
  readonly #containment: Histogram<'action'>;
  readonly #recoveries: ReadonlyMap<string, Counter.Internal>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#entries = new Counts(
      {
        name: 'incident_recorder_audit_entries_total',
        help: 'Entries of the audit log that are on disk, by event.',
        labelNames: ['event'],
        registers,
      },
      () => ENTRY_EVENTS.map(eventLabel),
    );
    this.#transitions = new Counts(
      {
        name: 'incident_recorder_transitions_total',
        help: 'How often incidents have entered each state.',
        labelNames: ['state'],
        registers,
      },
      () => STATES.map(stateLabel),
    );
    this.#deliveries = new Counter({
      name: 'incident_recorder_deliveries_total',
      help: 'What has come of delivering containment actions: attempted (came to nothing, is tried again), overdue, confirmed, failed, lost, retried, spared.',
      labelNames: ['action', 'directive', 'outcome'],
      registers,
    });
    this.#containment = new Histogram({
      name: 'incident_recorder_containment_seconds',
      help: 'Time from a report to the confirmation that an action which contains it is in force.',
      labelNames: ['action'],
      buckets: CONTAINMENT_BUCKETS,
      registers,
    });
    const recoveries = new Counter({
      name: 'incident_recorder_recovery_steps_total',
      help: 'What was done for recoveries: acknowledged, attestation_requested, attested, attestation_failed, waived; and voided, as often as an incident has changed after it.',
      labelNames: ['outcome'],
      registers,
    });
    const outcomes = [...RECOVERY_ENTRY_EVENTS.map(recoveryOutcome), VOIDED];
    this.#recoveries = new Map(outcomes.map((outcome) => [outcome, startedAtZero(recoveries.labels(outcome))]));
    for (const action of ACTIONS) {
      this.#containment.zero({ action });
      for (const directive of DIRECTIVES)
        for (const event of DELIVERY_EVENTS) this.#deliveries.inc({ action, directive, outcome: outcomeOf(event) }, 0);
    }
  }

  /** Counts entries that are on disk. */
  count(taken: readonly TakenEntry[]): void {
    for (const { entry, change } of taken) {
      this.#entries.add(entry.event, eventLabel);
      if (isAboutRecovery(entry)) this.#recoveries.get(recoveryOutcome(entry.event))?.inc();
      else if (isAboutIncident(entry) && entry.data.recovery_voided !== undefined) this.#recoveries.get(VOIDED)?.inc();
      // A drill counts as nothing else.
      if ('drill' in entry.data) continue;
      if (isAboutDelivery(entry)) this.#countDelivery(entry, change?.now);
      else if (isAboutIncident(entry) && (ENTERING.has(entry.event) || hasMoved(change))) {
        this.#transitions.add(entry.data.state, stateLabel);
      }
    }
  }

  #countDelivery({ event, data, timestamp }: DeliveryEntry, record: IncidentRecord | undefined): void {
    const { action, directive } = data;
    this.#deliveries.inc({ action, directive, outcome: outcomeOf(event) });
    if (event !== 'containment.confirmed' || directive !== 'engage' || record === undefined) return;
    const reported = Date.parse(record.incident.created_at);
    // The clock may have been set back since.
    this.#containment.observe({ action }, Math.max(0, Date.parse(timestamp) - reported) / SECOND);
  }
}

/** Shows 0 before the first count, so that the first increase is visible as one. */
function startedAtZero(counter: Counter.Internal): Counter.Internal {
  counter.inc(0);
  return counter;
}
