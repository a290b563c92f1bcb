/** What the entries about incidents say, beside `seq`: the shapes of their `data`. */
import type { Intent } from '../../machines/decision.ts';
import type {
  ContainmentAction,
  Directive,
  IncidentClass,
  Rule,
  Severity,
  State,
  Channel,
} from '../../machines/vocabulary.ts';
import type { JsonValue } from '../json/exact-json.ts';

export type JsonObject = { readonly [key: string]: JsonValue };

/** What a service sends, as it was sent. */
export type Report = {
  readonly class: IncidentClass;
  readonly source: string;
  readonly description: string;
  /** Overrides the rule's severity. */
  readonly severity?: Severity;
  readonly evidence?: JsonObject;
  /** Reports with the same key, class and source are one incident while that is unresolved. */
  readonly dedup_key?: string;
};

/** The key under which a report may be sent again, and what it was sent with. */
export type Idempotency = {
  readonly key: string;
  /** Lower-case hex SHA-256 over the canonical form of the request's body. */
  readonly fingerprint: string;
};

/**
 * An intent and how it goes to the service that carries it out: what the policy in force said when it was asked for.
 * Entries of the first version do not say: nothing was sent then.
 */
export type RoutedIntent = Intent & { readonly via?: Channel };

export const channelOfIntent = ({ action, via }: RoutedIntent): Channel =>
  via ?? (action === 'log_alert' ? 'log' : 'poll');

type AboutIncident = {
  /** Identifier of the incident. */
  readonly incident: string;
  /** Counts the entries of this incident, from 1. */
  readonly version: number;
  /** The incident's state after this entry. */
  readonly state: State;
};

/** `incident.reported` */
export type ReportedData = AboutIncident & {
  readonly severity: Severity;
  readonly report: Report;
  readonly rule: Rule;
  readonly intents: readonly RoutedIntent[];
  readonly idempotency?: Idempotency;
};

/** `incident.recurred` */
export type RecurredData = AboutIncident & {
  readonly report: Report;
  readonly idempotency?: Idempotency;
};

/** `incident.contained`, `incident.acknowledged`, `incident.resolved` */
export type CommandedData = AboutIncident & {
  readonly by?: string;
  readonly note?: string;
  readonly intents: readonly RoutedIntent[];
};

/** `alert.raised` */
export type AlertData = AboutIncident & {
  readonly class: IncidentClass;
  readonly severity: Severity;
  readonly source: string;
  readonly reason: string;
};

type AboutDelivery = AboutIncident & {
  readonly action: ContainmentAction;
  readonly directive: Directive;
};

/** `containment.attempted`: an attempt came to nothing, and another follows. */
export type AttemptedData = AboutDelivery & {
  /** Counts the attempts of this delivery, from 1. */
  readonly attempt: number;
  readonly error: string;
  /** The pause before the next attempt in milliseconds, and when that is due: RFC 3339. */
  readonly wait_ms: number;
  readonly next_attempt_at: string;
};

/** What a service has said about having carried out an action. */
export type Receipt =
  /** Its answer to an attempt. */
  | { readonly by: 'answer'; readonly status?: number; readonly body?: string }
  /** It came by itself. */
  | { readonly by: 'confirmation'; readonly observed?: Observed };

/** What a service sees of its own state. */
export const OBSERVED = ['engaged', 'released'] as const;
export type Observed = (typeof OBSERVED)[number];

/** `containment.confirmed`; `attempt` when an attempt has shown it. */
export type ConfirmedData = AboutDelivery & {
  readonly attempt?: number;
  readonly receipt: Receipt;
};

/** `containment.failed`: there will be no further attempt. */
export type FailedData = AboutDelivery & {
  readonly attempt: number;
  /** Whether the answer made another attempt pointless; otherwise it was tried for long enough. */
  readonly refused: boolean;
  readonly error: string;
};

/** `containment.lost` */
export type LostData = AboutDelivery & { readonly reason: string };

/** `containment.retried`: an operator had it tried again. */
export type RetriedData = AboutDelivery & { readonly via: Channel; readonly by?: string; readonly note?: string };

export type DeliveryData = AttemptedData | ConfirmedData | FailedData | LostData | RetriedData;

/** `containment.heard`: a sign of life of a service that had confirmed before. */
export type HeardData = { readonly action: ContainmentAction; readonly directive: Directive };
