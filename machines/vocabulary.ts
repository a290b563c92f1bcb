/**
 * The words of the incident recorder, as closed unions.
 *
 * The statecharts, the policy, the API, the audit log and the console take every class, severity, state and containment
 * action from here. The nine classes and five actions are those of the appliance's containment policy.
 */

/** The nine kinds of incident that services report. */
export const CLASSES = [
  'attestation_failure',
  'policy_bypass_attempt',
  'manifest_mismatch',
  'forbidden_airlock_request',
  'prompt_injection',
  'tool_call_burst',
  'model_behavior_anomaly',
  'integrity_violation',
  'unauthorized_access',
] as const;
export type IncidentClass = (typeof CLASSES)[number];

/** Severities, most severe first. The index is the rank that lists are ordered by. */
export const SEVERITIES = ['critical', 'high', 'medium', 'low'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** The outer states of an incident, in the order in which it can enter them. */
export const STATES = ['open', 'contained', 'acknowledged', 'resolved'] as const;
export type State = (typeof STATES)[number];

/** What an incident turned out to be, in the eyes of the person who resolves it. */
export const RESOLUTIONS = ['true_positive', 'false_positive', 'benign', 'duplicate'] as const;
export type Resolution = (typeof RESOLUTIONS)[number];

/** The states of incidents that nobody has taken on yet. */
export const UNATTENDED_STATES: readonly State[] = ['open', 'contained'];

/** The containment actions that a rule may ask for. */
export const ACTIONS = [
  'freeze_agent',
  'disable_airlock',
  'force_vault_relock',
  'quarantine_model',
  'log_alert',
] as const;
export type ContainmentAction = (typeof ACTIONS)[number];

/**
 * What a rule may ask for before an incident may be resolved, in the order in which lists show it: a person acknowledges
 * that the machine may be trusted again, and the attestor proves it.
 */
export const RECOVERY_STEPS = ['acknowledge', 'attest'] as const;
export type RecoveryStep = (typeof RECOVERY_STEPS)[number];

/** What a rule asks for. A step that is false or left out is not asked for. */
export type RecoveryRule = { readonly [Step in RecoveryStep]?: boolean } & {
  /** Whether it may be done from the fleet, and not only by a person at the machine. */
  readonly from_fleet?: boolean;
};

/** The steps that a rule asks for, in their order. */
export const stepsOf = (rule: RecoveryRule | undefined): readonly RecoveryStep[] =>
  RECOVERY_STEPS.filter((step) => rule?.[step] === true);

/** What the policy says about one class of incident. */
export type Rule = {
  /** Whether a report of this class engages the actions at once. */
  readonly auto_contain: boolean;
  /** The containment actions, in the order in which they are engaged. */
  readonly actions: readonly ContainmentAction[];
  /** The severity of a report without one. */
  readonly default_severity: Severity;
  /** The least severity of an incident of this class, whatever its report says. */
  readonly min_severity?: Severity;
  /** How long the answer to a report of this class waits for its containment, in milliseconds; it waits for none by default. */
  readonly answer_after?: number;
  /** What must be done before an incident of this class may be resolved; nothing when it is left out. */
  readonly recovery?: RecoveryRule;
  /** Which further reports are occurrences of an unresolved incident although they have no `dedup_key`. */
  readonly repeat?: Repeat;
};

/** Reports with the same values repeat each other. */
export type Repeat = {
  /** Where the values are: `source`, `description`, `severity`, or `evidence.` and a path of keys. */
  readonly same: readonly string[];
  /** How long after the report before, in milliseconds. */
  readonly within: number;
};

/**
 * What a principal may be allowed to do. There is no order: who has one role has no other one by that.
 *
 * - `reader` reads, where reads need a token;
 * - `reporter` reports, from its own sources and of its own classes;
 * - `implementer` carries actions out: reads their posture and confirms them;
 * - `operator` works incidents: contains, acknowledges and resolves them, has deliveries tried again;
 * - `recovery` says that an incident is over where its rule asks for a recovery;
 * - `auditor` takes evidence away: exports and bundles;
 * - `anchor` records anchors of the log;
 * - `admin` looks after the recorder: policy, archive, findings.
 */
export const ROLES = [
  'reader',
  'reporter',
  'implementer',
  'operator',
  'recovery',
  'auditor',
  'anchor',
  'admin',
] as const;
export type Role = (typeof ROLES)[number];

/** Whether a severity is above another. */
export const isMoreSevere = (one: Severity, other: Severity): boolean =>
  SEVERITIES.indexOf(one) < SEVERITIES.indexOf(other);

/** Whether to put an action into force or to take it back. */
export const DIRECTIVES = ['engage', 'release'] as const;
export type Directive = (typeof DIRECTIVES)[number];

/**
 * How an action reaches the service that carries it out: it is sent there (`push`), the service fetches it (`poll`), or
 * its entry in the audit log is all there is to do (`log`).
 */
export const CHANNELS = ['push', 'poll', 'log'] as const;
/** How an action is released whose service takes no request for that: a person does it. */
export const BY_HAND = 'manual';
export type Channel = (typeof CHANNELS)[number] | typeof BY_HAND;

/** The containment of one incident, summed up. */
export const CONTAINMENT_STATUSES = ['delivering', 'overdue', 'confirmed', 'degraded'] as const;
export type ContainmentStatus = (typeof CONTAINMENT_STATUSES)[number];
