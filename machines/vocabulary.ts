/**
 * The words of the incident recorder, as closed unions.
 *
 * Everything that names a class, a severity, a state or a containment action takes it from here: the statecharts, the
 * policy, the API, the audit log and the console. The nine classes and five actions are the appliance's containment
 * policy; severities run from the most to the least severe.
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

/** Severities, most severe first: the index is the rank by which lists are ordered. */
export const SEVERITIES = ['critical', 'high', 'medium', 'low'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** The outer states of an incident, in the order in which it can pass through them. */
export const STATES = ['open', 'contained', 'acknowledged', 'resolved'] as const;
export type State = (typeof STATES)[number];

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

/** What the policy says about one class of incident. */
export type Rule = {
  /** Whether the actions apply by themselves when such an incident is reported. */
  readonly auto_contain: boolean;
  /** The containment actions, in the order in which they are asked for. */
  readonly actions: readonly ContainmentAction[];
  /** The severity of a report that names none. */
  readonly default_severity: Severity;
};

/** Whether an action is to be put into force or taken back. */
export const DIRECTIVES = ['engage', 'release'] as const;
export type Directive = (typeof DIRECTIVES)[number];

/**
 * How an action reaches the service that carries it out: it is sent there (`push`), that service comes for it (`poll`),
 * or it is an entry of the audit log and done with that (`log`).
 */
export const CHANNELS = ['push', 'poll', 'log'] as const;
export type Channel = (typeof CHANNELS)[number];

/** How the containment of one incident stands as a whole. */
export const CONTAINMENT_STATUSES = ['delivering', 'confirmed', 'degraded'] as const;
export type ContainmentStatus = (typeof CONTAINMENT_STATUSES)[number];
