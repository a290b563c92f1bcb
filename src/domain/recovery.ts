/**
 * The recovery of an incident on record: what its rules ask for before it may be resolved, what was done, and what makes
 * that void.
 *
 * The incident's statechart decides; this is what entries make of the document. What is done counts for the incident as
 * it was: each entry about it holds the digest of that (`bindingForm`), and an entry that makes the incident another one
 * says what it makes void (`recovery_voided`).
 */
import { type IncidentContext, missingSteps, type RecoveryEvent } from '../../machines/incident.ts';
import type { ContainmentAction, IncidentClass, RecoveryStep, Severity, State } from '../../machines/vocabulary.ts';
import { canonicalForm } from '../json/canonical-form.ts';
import type { AttestationEvidence } from './attestation-evidence.ts';
import type { Signed } from './caller.ts';
import type { ContainmentResult } from './containment-results.ts';
import {
  type Entry,
  type IncidentDraft,
  type IncidentEntry,
  RECOVERY_ENTRY_EVENTS,
  type RecoveryEntry,
  type RecoveryEntryEvent,
  type RecoveryPart,
} from './entries.ts';

/** When something was done for the recovery, and by whom. Times are RFC 3339. */
export interface RecoveryStamp {
  readonly at: string;
  readonly by?: string;
  /** Nothing but the request itself says who it was. */
  readonly claimed?: true;
  readonly on_behalf_of?: string;
}

/** The recovery of an incident, as its document shows it. */
export interface IncidentRecovery {
  /** What its rules ask for. */
  readonly required: readonly RecoveryStep[];
  /** What is still to be done before it may be resolved; empty when the recovery is complete. */
  readonly missing: readonly RecoveryStep[];
  readonly acknowledged?: RecoveryStamp;
  /** Who had the attestor asked, and when; there while the outcome is not known. */
  readonly attestation?: RecoveryStamp;
  readonly attested?: { readonly at: string; readonly evidence: AttestationEvidence };
  /** Why the latest attestation failed, until one does not. */
  readonly failed?: { readonly at: string; readonly faults?: readonly string[]; readonly last_error?: string };
  readonly waived?: RecoveryStamp & { readonly reason: string };
  /** Since when it is complete. */
  readonly completed_at?: string;
  /** What was done and counts no more, since when, and why; until the recovery is complete. */
  readonly voided?: { readonly at: string; readonly parts: readonly RecoveryPart[]; readonly reason: string };
}

/** How far the recoveries of unresolved incidents are. Those without one, and resolved ones, have no stage. */
export const RECOVERY_STAGES = ['incomplete', 'attesting', 'complete'] as const;
export type RecoveryStage = (typeof RECOVERY_STAGES)[number];

/** How far the recovery of an incident is. */
export function recoveryStage({
  state,
  recovery,
}: {
  readonly state: State;
  readonly recovery?: IncidentRecovery;
}): RecoveryStage | undefined {
  if (recovery === undefined || state === 'resolved') return undefined;
  if (recovery.missing.length === 0) return 'complete';
  return recovery.attestation === undefined ? 'incomplete' : 'attesting';
}

const ABOUT_RECOVERY: ReadonlySet<string> = new Set(RECOVERY_ENTRY_EVENTS);

/** Whether an entry says what was done for a recovery. */
export const isAboutRecovery = (entry: Entry | IncidentEntry): entry is RecoveryEntry =>
  ABOUT_RECOVERY.has(entry.event);

const CHART_EVENT_OF: Readonly<Record<RecoveryEntryEvent, RecoveryEvent>> = {
  'recovery.acknowledged': 'acknowledge_recovery',
  'recovery.attestation_requested': 'request_attestation',
  'recovery.attested': 'attest',
  'recovery.attestation_failed': 'fail_attestation',
  'recovery.waived': 'waive_recovery',
};

/** What an entry about a recovery is to the statechart. */
export const chartEventOfRecovery = ({ event }: RecoveryEntry): { readonly type: RecoveryEvent } => ({
  type: CHART_EVENT_OF[event],
});

/** What was done for a recovery. */
const partsDone = ({ recovery }: Pick<IncidentContext, 'recovery'>): readonly RecoveryPart[] =>
  recovery === undefined ? [] : [...recovery.done, ...(recovery.waived ? (['waive'] as const) : [])];

/** What was done before and counts no more, as the member of an entry; nothing when that is nothing. */
export function voidedBetween(
  before: IncidentContext,
  now: IncidentContext,
): { readonly recovery_voided: readonly RecoveryPart[] } | undefined {
  if (before.recovery === undefined) return undefined;
  const counts = partsDone(now);
  const voided = partsDone(before).filter((part) => !counts.includes(part));
  return voided.length === 0 ? undefined : { recovery_voided: voided };
}

/** Why an entry makes void what was done. */
export function reasonOfVoid({ event, data }: IncidentDraft | IncidentEntry): string {
  switch (event) {
    case 'incident.recurred':
      return 'it was reported again';
    case 'incident.contained':
    case 'incident.woken':
      return 'further actions are asked for';
    case 'containment.confirmed':
      return `${data.action} was carried out`;
    case 'containment.failed':
      return `${data.action} failed`;
    case 'containment.lost':
      return `${data.action} was lost`;
    case 'containment.retried':
      return `${data.action} is tried again`;
    case 'containment.released':
      return `${data.action} was released early`;
    default:
      return 'it has changed';
  }
}

/**
 * The recovery of an incident after an entry; undefined while no rule has asked for one.
 * @param before what the statechart remembered before the entry; undefined for the first
 * @param now what it remembers after it
 */
export function recoveryAfter(
  known: IncidentRecovery | undefined,
  entry: IncidentEntry,
  before: IncidentContext | undefined,
  now: IncidentContext,
): IncidentRecovery | undefined {
  if (now.recovery === undefined) return undefined;
  const { required } = now.recovery;
  const missing = missingSteps(now);
  const voided = before && voidedBetween(before, now)?.recovery_voided;
  const kept = voided === undefined ? known : withoutDone(known, entry, voided);
  const asked = { ...kept, required, missing };
  const changed = isAboutRecovery(entry) ? { ...asked, ...changedBy(entry) } : asked;
  return settled(changed, entry.timestamp, now.recovery.attesting);
}

/** The recovery when what was done for it is void. */
function withoutDone(
  known: IncidentRecovery | undefined,
  entry: IncidentEntry,
  parts: readonly RecoveryPart[],
): Partial<IncidentRecovery> {
  return {
    ...(known?.attestation && { attestation: known.attestation }),
    ...(known?.failed && { failed: known.failed }),
    voided: { at: entry.timestamp, parts, reason: reasonOfVoid(entry) },
  };
}

function changedBy(entry: RecoveryEntry): Partial<IncidentRecovery> {
  const { timestamp: at } = entry;
  switch (entry.event) {
    case 'recovery.acknowledged':
      return { acknowledged: stampOf(at, entry.data) };
    case 'recovery.attestation_requested':
      return { attestation: stampOf(at, entry.data) };
    case 'recovery.attested':
      return { attested: { at, evidence: entry.data.evidence } };
    case 'recovery.attestation_failed': {
      const { faults, error } = entry.data;
      return { failed: { at, ...(faults && { faults }), ...(error === undefined ? {} : { last_error: error }) } };
    }
    case 'recovery.waived':
      return { waived: { ...stampOf(at, entry.data), reason: entry.data.reason } };
    default:
      return entry satisfies never;
  }
}

/** The recovery without what is over: the request, when the attestor is not asked any more; what failed before. */
function settled(recovery: IncidentRecovery, at: string, attesting: boolean): IncidentRecovery {
  const { attestation, failed, voided, completed_at, ...rest } = recovery;
  const isComplete = recovery.missing.length === 0;
  return {
    ...rest,
    ...(attesting && attestation !== undefined && { attestation }),
    ...(failed !== undefined && recovery.attested === undefined && { failed }),
    ...(isComplete ? { completed_at: completed_at ?? at } : voided !== undefined && { voided }),
  };
}

const stampOf = (at: string, { principal, by, claimed, on_behalf_of }: Signed): RecoveryStamp => {
  const who = by ?? principal;
  return {
    at,
    ...(who === undefined ? {} : { by: who }),
    ...(claimed && { claimed }),
    ...(on_behalf_of === undefined ? {} : { on_behalf_of }),
  };
};

/** What of an incident its recovery is bound to. */
export interface BoundTo {
  readonly id: string;
  readonly class: IncidentClass;
  readonly severity: Severity;
  readonly occurrences: number;
  readonly containment_actions?: readonly ContainmentAction[];
  readonly containment_results?: readonly ContainmentResult[];
}

/**
 * What the recovery of an incident is bound to: the text whose SHA-256 entries and the status show as the binding. It
 * changes with every further report and with every outcome of an action.
 */
export function bindingForm({
  id,
  class: ofClass,
  severity,
  occurrences,
  containment_actions: actions = [],
  containment_results: results = [],
}: BoundTo): string {
  const outcomes = results.map(({ action, success, completed_at }) => ({ action, success, completed_at }));
  return canonicalForm({ id, class: ofClass, severity, occurrences, actions, outcomes });
}

/** From when on the recovery has to be done: the latest report, or the latest outcome of an action. RFC 3339. */
export function requiredAfter({
  created_at,
  last_seen_at,
  containment_results: results = [],
}: {
  readonly created_at: string;
  readonly last_seen_at?: string;
  readonly containment_results?: readonly ContainmentResult[];
}): string {
  const times = [created_at, ...(last_seen_at === undefined ? [] : [last_seen_at])];
  return [...times, ...results.map(({ completed_at }) => completed_at)].reduce((one, other) =>
    other > one ? other : one,
  );
}
