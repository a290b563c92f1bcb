/**
 * Whether an incident that was folded from a machine's entries is one: a machine may send anything, and lists, searches
 * and columns are made for what recorders write. What a newer recorder adds is not looked at.
 */
import { SEVERITIES, STATES } from '../../../machines/vocabulary.ts';
import type { DeliveryRecord } from '../../domain/delivery.ts';
import type { Incident, LatestReport } from '../../domain/incident.ts';
import type { IncidentNote } from '../../domain/notes.ts';
import type { IncidentRecovery } from '../../domain/recovery.ts';

type Shape = (value: unknown) => boolean;

const isText: Shape = (value) => typeof value === 'string';
const isNumber: Shape = (value) => Number.isFinite(value);
const isFlag: Shape = (value) => typeof value === 'boolean';
const isObject: Shape = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isListOf =
  (shape: Shape): Shape =>
  (value) =>
    Array.isArray(value) && value.every(shape);

/** A word of the vocabulary; a newer recorder may know more of them. */
const WORD = /^[a-z][a-z0-9_-]{0,63}$/;
const isWord: Shape = (value) => typeof value === 'string' && WORD.test(value);

const TIME = /^[12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Whether a text is a time as the log writes it. */
export const isTime = (text: unknown): text is string =>
  typeof text === 'string' && TIME.test(text) && !Number.isNaN(Date.parse(text));

/** Whether an object has what is asked of the members that it has. */
const hasShape =
  <Shaped extends object>(shapes: Partial<Readonly<Record<keyof Shaped, Shape>>>, required: readonly string[]): Shape =>
  (value) => {
    if (!isObject(value)) return false;
    const members = value as Readonly<Record<string, unknown>>;
    if (!required.every((name) => members[name] !== undefined)) return false;
    for (const name in members) {
      const shape = Object.hasOwn(shapes, name) ? shapes[name as keyof Shaped] : undefined;
      if (shape !== undefined && members[name] !== undefined && !shape(members[name])) return false;
    }
    return true;
  };

const isNote = hasShape<IncidentNote>({ at: isText, by: isText, role: isText, note: isText }, ['note']);

const isReport = hasShape<LatestReport>({ severity: isText, description: isText, evidence: isObject }, []);

const isDelivery = hasShape<DeliveryRecord>(
  {
    action: isWord,
    status: isWord,
    via: isText,
    attempts: isNumber,
    waited_ms: isNumber,
    asked_at: isText,
    asked_seq: isNumber,
    overdue_at: isText,
    last_error: isText,
    next_attempt_at: isText,
    confirmed_at: isText,
    receipt: isObject,
    released_early: isObject,
    round: isNumber,
  },
  ['action', 'status'],
);

const isRecovery = hasShape<IncidentRecovery>(
  {
    required: isListOf(isText),
    missing: isListOf(isText),
    acknowledged: isObject,
    attestation: isObject,
    attested: isObject,
    failed: isObject,
    waived: isObject,
    completed_at: isText,
    voided: isObject,
  },
  ['required', 'missing'],
);

const INCIDENT = {
  id: isText,
  created_at: isTime,
  updated_at: isTime,
  class: isWord,
  severity: (value) => SEVERITIES.includes(value as never),
  default_severity: isText,
  reported_severity: isText,
  escalated_by: isObject,
  state: (value) => STATES.includes(value as never),
  source: isText,
  source_suspicious: isFlag,
  reported_by: isText,
  clock_uncertain: isFlag,
  description: isText,
  evidence: isObject,
  drill: isFlag,
  drill_releases: isListOf(isDelivery),
  latest_report: isReport,
  containment_actions: isListOf(isWord),
  containment: hasShape({ status: isWord, actions: isListOf(isDelivery) }, ['status', 'actions']),
  containment_results: isListOf(isObject),
  recovery: isRecovery,
  note: isText,
  notes: isListOf(isNote),
  notes_count: isNumber,
  assignee: isText,
  assigned_at: isText,
  assigned_by: isText,
  assigned_by_claimed: isFlag,
  snoozed_until: isText,
  snoozed_by: isText,
  snoozed_by_claimed: isFlag,
  reopens: isText,
  reopened_as: isText,
  reopened_at: isText,
  resolution: isWord,
  dedup_key: isText,
  occurrences: isNumber,
  last_seen_at: isText,
  version: isNumber,
  hash: isText,
  contained_at: isText,
  contained_by: isText,
  contained_by_claimed: isFlag,
  acknowledged_at: isText,
  acknowledged_by: isText,
  acknowledged_by_claimed: isFlag,
  resolved_at: isText,
  resolved_by: isText,
  resolved_by_claimed: isFlag,
} as const satisfies Readonly<Record<keyof Incident, Shape>>;

const REQUIRED: ReadonlySet<keyof Incident> = new Set([
  'id',
  'created_at',
  'updated_at',
  'class',
  'severity',
  'state',
  'source',
  'description',
]);

const isIncident = hasShape<Incident>(INCIDENT, [...REQUIRED]);

/**
 * @param before the incident as it was, of which the same was required: what is still the same is not looked at again
 * @throws RangeError for what no column can hold, or what a list of all machines would fail on
 */
export function requireSound(incident: Incident, before: Incident | undefined): void {
  if (before === undefined ? !isIncident(incident) : !isStillSound(incident, before))
    throw new RangeError('no incident');
}

function isStillSound(incident: Incident, before: Incident): boolean {
  for (const name of Object.keys(incident) as (keyof Incident)[]) {
    const value = incident[name];
    if (value === before[name]) continue;
    if (value !== undefined && Object.hasOwn(INCIDENT, name) && !INCIDENT[name](value)) return false;
  }
  for (const name of REQUIRED) if (incident[name] === undefined) return false;
  return true;
}
