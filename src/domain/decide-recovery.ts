/**
 * What a message about the recovery of an incident decides: the entries to append, or a refusal. As in
 * `decide-incident.ts`, the statechart says whether it is legal, nothing has changed until the entries are on disk, and
 * all of it is pure.
 */
import { allowedIn, decide as askChart, stateOf, transitionsIn } from '../../machines/decision.ts';
import { missingSteps, RECOVERY_EVENTS, type RecoveryEvent } from '../../machines/incident.ts';
import type { RecoveryStep } from '../../machines/vocabulary.ts';
import { alertAfter } from './alerts.ts';
import type { AttestationEvidence } from './attestation-evidence.ts';
import { type Caller, hasOwnToken, signed } from './caller.ts';
import type { IncidentDecision, Message } from './decide-incident.ts';
import type { IncidentDraft } from './entries.ts';
import type { IncidentRecord } from './incident.ts';

/** What an incident can be sent about its recovery. */
export type RecoveryMessage =
  | { readonly type: 'acknowledge_recovery' }
  | { readonly type: 'request_attestation' }
  /** The attestor has proved the machine, for an incident with this binding. */
  | { readonly type: 'attest'; readonly binding: string; readonly evidence: AttestationEvidence }
  /** What was wrong with the answer of the attestor, or why there was none. */
  | { readonly type: 'fail_attestation'; readonly faults?: readonly string[]; readonly error?: string }
  | { readonly type: 'waive_recovery'; readonly reason: string };

const MESSAGES: ReadonlySet<string> = new Set(RECOVERY_EVENTS);

export const isRecoveryMessage = (message: Message | RecoveryMessage): message is RecoveryMessage =>
  MESSAGES.has(message.type);

/** What the decision takes from outside the incident. */
export interface RecoveryCircumstances {
  /** RFC 3339, UTC, milliseconds. */
  readonly timestamp: string;
  readonly caller?: Caller | undefined;
  readonly note?: string | undefined;
  /** The digest of the incident as it is now: of `bindingForm`. */
  readonly binding: string;
}

/** What follows from a message about a recovery. */
export function decideRecovery(
  record: IncidentRecord,
  message: RecoveryMessage,
  circumstances: RecoveryCircumstances,
): IncidentDecision {
  const { incident, snapshot } = record;
  // The machine was proved for the incident as it was before it changed.
  if (message.type === 'attest' && message.binding !== circumstances.binding) return { kind: 'unchanged' };
  const decision = askChart(snapshot, { type: message.type });
  if (decision.kind !== 'moved') return refusalOf(record, message.type);
  if (message.type === 'acknowledge_recovery' && hasReported(record, circumstances.caller)) {
    return { kind: 'forbidden', because: 'who reported the incident may not acknowledge its recovery' };
  }
  const { id, version } = incident;
  const about = {
    incident: id,
    version: version + 1,
    state: stateOf(decision.snapshot),
    binding: circumstances.binding,
  };
  const draft = draftOf(about, message, circumstances);
  const alert = alertAfter(draft, incident);
  return { kind: 'accepted', drafts: alert === undefined ? [draft] : [draft, alert] };
}

/**
 * Whether somebody has reported the incident. Only its first reporter's reports are occurrences of it. Who shares a token
 * with others can't be told apart from them.
 */
const hasReported = ({ incident }: IncidentRecord, caller: Caller | undefined): boolean =>
  caller !== undefined && hasOwnToken(caller) && incident.reported_by === caller.principal;

function draftOf(
  about: { readonly incident: string; readonly version: number; readonly state: IncidentDraft['data']['state'] } & {
    readonly binding: string;
  },
  message: RecoveryMessage,
  { timestamp, caller, note }: RecoveryCircumstances,
): IncidentDraft {
  switch (message.type) {
    case 'acknowledge_recovery':
      return { timestamp, event: 'recovery.acknowledged', data: { ...about, ...signed(caller, note) } };
    case 'request_attestation':
      return { timestamp, event: 'recovery.attestation_requested', data: { ...about, ...signed(caller, note) } };
    case 'attest':
      return { timestamp, event: 'recovery.attested', data: { ...about, evidence: message.evidence } };
    case 'fail_attestation': {
      const { faults, error } = message;
      const why = { ...(faults && { faults }), ...(error === undefined ? {} : { error }) };
      return { timestamp, event: 'recovery.attestation_failed', data: { ...about, ...why } };
    }
    case 'waive_recovery': {
      const data = { ...about, reason: message.reason, ...signed(caller, note) };
      return { timestamp, event: 'recovery.waived', data };
    }
    default:
      return message satisfies never;
  }
}

/** The step that each message is about. */
const STEP_OF: Readonly<Partial<Record<RecoveryEvent, RecoveryStep>>> = {
  acknowledge_recovery: 'acknowledge',
  request_attestation: 'attest',
};

const NOT_ASKED: Readonly<Record<RecoveryStep, string>> = {
  acknowledge: 'its recovery asks for no acknowledgement',
  attest: 'its recovery asks for no attestation',
};

/** Why the statechart does not take a message: it was done before, or was never asked for. */
function refusalOf({ snapshot }: IncidentRecord, type: RecoveryEvent): IncidentDecision {
  const state = stateOf(snapshot);
  const { recovery } = snapshot.context;
  const refuse = (because: string): IncidentDecision => ({
    kind: 'refused',
    state,
    allowed: allowedIn(snapshot),
    transitions: transitionsIn(snapshot),
    because,
  });
  if (type === 'attest' || type === 'fail_attestation') return { kind: 'unchanged' };
  if (recovery === undefined) return refuse('no recovery is asked for');
  const step = STEP_OF[type];
  if (step !== undefined && !recovery.required.includes(step)) return refuse(NOT_ASKED[step]);
  if (state === 'resolved') return refuse('the incident is resolved');
  const isDone = step === undefined ? missingSteps(snapshot.context).length === 0 : true;
  return isDone ? { kind: 'unchanged' } : refuse('not possible now');
}
