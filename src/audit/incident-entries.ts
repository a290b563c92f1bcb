/** What the entries about incidents say, beside `seq`: the shapes of their `data`. */
import type { Intent } from '../../machines/decision.ts';
import type { IncidentClass, Rule, Severity, State } from '../../machines/vocabulary.ts';
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
  readonly intents: readonly Intent[];
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
  readonly intents: readonly Intent[];
};

/** `alert.raised` */
export type AlertData = AboutIncident & {
  readonly class: IncidentClass;
  readonly severity: Severity;
  readonly source: string;
  readonly reason: string;
};
