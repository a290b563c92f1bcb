/**
 * The data between a service and the recorder, as plain types that need no other package.
 *
 * The recorder itself uses schemas and records. In `test/client/shapes.types.ts` the compiler checks that these types
 * say the same.
 */
import type {
  ContainmentAction,
  ContainmentStatus,
  Directive,
  IncidentClass,
  RecoveryStep,
  Resolution,
  Role,
  Severity,
  State,
  Channel,
} from '../../machines/vocabulary.ts';

export type {
  ContainmentAction,
  ContainmentStatus,
  Directive,
  IncidentClass,
  RecoveryStep,
  Resolution,
  Role,
  Severity,
  State,
  Channel,
};

type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export type JsonObject = { readonly [name: string]: JsonValue };

/** What a service sends. */
export interface Report {
  readonly class: IncidentClass;
  /** Who reports: at most 256 characters that can be seen, with single spaces between. */
  readonly source: string;
  /** What happened. */
  readonly description: string;
  /** Overrides the severity of the policy's rule. */
  readonly severity?: Severity;
  /** Any JSON object. */
  readonly evidence?: { readonly [name: string]: unknown };
  /** 1 to 256 characters. While an incident with the same key, class and source is unresolved, a report is an occurrence of it. */
  readonly dedup_key?: string;
}

type EnteredState = Exclude<State, 'open'>;

/** When the incident entered each state, and who brought it there: `contained_at`, `contained_by`. */
type IncidentStamps = { readonly [Field in `${EnteredState}_at` | `${EnteredState}_by`]?: string };

/** What a further report of an incident says. */
export interface LatestReport {
  readonly severity: Severity;
  readonly description: string;
  readonly evidence?: JsonObject;
}

/** A rule of `escalate` in the policy. */
export interface EscalatedBy {
  readonly class: IncidentClass;
  readonly reports: number;
  readonly within_ms: number;
  readonly to: Severity;
}

/** An incident. Times are RFC 3339 in UTC with milliseconds. */
export interface Incident extends IncidentStamps {
  readonly id: string;
  /** The machine that it is on; only a fleet says it. */
  readonly machine?: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly class: IncidentClass;
  /** The highest that was reported, or that it was raised to. */
  readonly severity: Severity;
  /** The class's severity, where the report lowered it. */
  readonly default_severity?: Severity;
  /** The severity in the report, where the rule's `min_severity` or an escalation raised it. */
  readonly reported_severity?: Severity;
  /** The rule of `escalate` in the policy by which it was raised. */
  readonly escalated_by?: EscalatedBy;
  readonly state: State;
  readonly source: string;
  /** Whether the source mixes scripts, or looks like another source on record. */
  readonly source_suspicious?: true;
  /** The principal whose token the report had; `service-token` is the token that several share. */
  readonly reported_by?: string;
  /** Whether the clock had jumped a short time before it was reported: its times may be wrong. */
  readonly clock_uncertain?: true;
  readonly description: string;
  readonly evidence?: JsonObject;
  /** Whether it is a drill: a rehearsal, which counts nowhere. */
  readonly drill?: true;
  /** In a drill that has ended: the releases of what it had asked for. */
  readonly drill_releases?: readonly Delivery[];
  /** What the latest further report says, if there was one. It came at `last_seen_at`. */
  readonly latest_report?: LatestReport;
  /** The actions that applied, once contained. */
  readonly containment_actions?: readonly ContainmentAction[];
  /** The state of its containment, once contained. */
  readonly containment?: Containment;
  /** The outcomes that are known of its actions. */
  readonly containment_results?: readonly ContainmentResult[];
  /** What must be done before it may be resolved, if its rule asks for that. */
  readonly recovery?: Recovery;
  /** The latest note of a person. */
  readonly note?: string;
  /** The newest notes, oldest first, and how many there are in all. */
  readonly notes?: readonly IncidentNote[];
  readonly notes_count?: number;
  /** Who works it, since when, and who said so. */
  readonly assignee?: string;
  readonly assigned_at?: string;
  readonly assigned_by?: string;
  /** There when nothing but the request says who that was. */
  readonly assigned_by_claimed?: true;
  /** Until when it is acknowledged and hidden from what needs attention, and who wanted that. */
  readonly snoozed_until?: string;
  readonly snoozed_by?: string;
  /** There when nothing but the request says who that was. */
  readonly snoozed_by_claimed?: true;
  /** The resolved incident that this one takes up again. */
  readonly reopens?: string;
  /** The incident that has taken this one up again, and since when. */
  readonly reopened_as?: string;
  readonly reopened_at?: string;
  /** What it was, where the person who resolved it has said so. */
  readonly resolution?: Resolution;
  readonly dedup_key?: string;
  readonly occurrences: number;
  readonly last_seen_at?: string;
  /** How many entries of the audit log are about it. It is also the entity tag. */
  readonly version: number;
  /** `entry_hash` of the latest of them. */
  readonly hash: string;
}

/** What a person has noted, and when. */
interface IncidentNote {
  readonly at: string;
  readonly by?: string;
  /** There when nothing but the request says who that was. */
  readonly claimed?: true;
  readonly role?: Role;
  readonly note: string;
}

/** What can be done for the recovery of an incident: a step, or to waive it. */
type RecoveryPart = RecoveryStep | 'waive';

/** When something was done for a recovery, and by whom. */
interface RecoveryStamp {
  readonly at: string;
  readonly by?: string;
  /** Nothing but the request itself says who it was. */
  readonly claimed?: true;
  readonly on_behalf_of?: string;
}

/** What the rules of an incident ask for before it may be resolved, and what is done. */
export interface Recovery {
  readonly required: readonly RecoveryStep[];
  /** Still to be done; empty when it may be resolved. */
  readonly missing: readonly RecoveryStep[];
  readonly acknowledged?: RecoveryStamp;
  /** The attestor is asked, and the outcome is not known yet. */
  readonly attestation?: RecoveryStamp;
  readonly attested?: { readonly at: string; readonly evidence: JsonObject };
  /** Why the latest attestation failed. */
  readonly failed?: { readonly at: string; readonly faults?: readonly string[]; readonly last_error?: string };
  readonly waived?: RecoveryStamp & { readonly reason: string };
  readonly completed_at?: string;
  /** What was done and counts no more, and why, until the recovery is complete. */
  readonly voided?: { readonly at: string; readonly parts: readonly RecoveryPart[]; readonly reason: string };
}

export type DeliveryStatus =
  | 'pending'
  | 'delivering'
  | 'recorded'
  | 'confirmed'
  | 'failed'
  | 'lost'
  | 'needs_person'
  | 'superseded';

/** The containment of one incident: as a whole, and for each of its actions. */
export interface Containment {
  readonly status: ContainmentStatus;
  readonly actions: readonly Delivery[];
}

/** What became of one action of an incident. */
export interface ContainmentResult {
  readonly action: ContainmentAction;
  readonly success: boolean;
  /** Why it is not a success. */
  readonly error?: string;
  /** When the outcome was known. */
  readonly completed_at: string;
}

/** The delivery of one action of one incident to the service that carries it out. */
export interface Delivery {
  readonly action: ContainmentAction;
  readonly status: DeliveryStatus;
  readonly via: Channel;
  /** How many times it was sent. */
  readonly attempts: number;
  /** The pauses between its attempts so far, in milliseconds. */
  readonly waited_ms: number;
  /** When it was asked for, and by which entry of the log. */
  readonly asked_at: string;
  readonly asked_seq: number;
  /** When it was found overdue, which is not confirmed in time; given while it is. */
  readonly overdue_at?: string;
  readonly last_error?: string;
  readonly next_attempt_at?: string;
  readonly confirmed_at?: string;
  /** What the service answered, or confirmed by itself. */
  readonly receipt?: Receipt;
  /** Given once a person has released it early: then it is not asked for any more. */
  readonly released_early?: ReleasedEarly;
  /** How often it was released early before it was asked for again. */
  readonly round?: number;
}

/** When an action was released early, by whom, in which role, and why. */
export interface ReleasedEarly {
  readonly at: string;
  readonly by?: string;
  /** There when nothing but the request says who that was. */
  readonly claimed?: true;
  readonly role?: string;
  readonly reason: string;
}

export type Receipt =
  | { readonly by: 'answer'; readonly status?: number; readonly body?: string }
  | { readonly by: 'confirmation'; readonly observed?: Observed };

/** What a service observes of its own state. */
export type Observed = 'engaged' | 'released';

/**
 * The posture of one action. It keeps apart what is asked for, what of it is known to be carried out, and of what that
 * is not known.
 */
export interface Posture {
  readonly action: ContainmentAction;
  /** Whether it is asked for now. */
  readonly engaged: boolean;
  /** Given while that is not yet proved from the log since the recorder started: "not engaged" is no release then. */
  readonly verified?: false;
  /** Since when that is asked for; null when it never was. */
  readonly since: string | null;
  /** What is asked for now; null when it never was. */
  readonly asked: { readonly directive: Directive; readonly since: string } | null;
  /** What of it is known to be carried out, and who says so; null when nothing is. */
  readonly carried_out: {
    readonly incidents: number;
    readonly at: string;
    readonly by: 'answer' | 'confirmation' | 'log';
    readonly heard_at: string | null;
  } | null;
  /** For how many incidents that is not known; null when it is known of all. */
  readonly not_known: {
    readonly incidents: number;
    readonly overdue: number;
    readonly oldest_asked_at: string | null;
  } | null;
  /** Given while a person has to release it by hand; until the release is confirmed. */
  readonly to_do?: 'release by hand';
  /** How many unresolved incidents hold it. */
  readonly holders: number;
  /** The oldest of them, up to a hundred. */
  readonly held_by: readonly string[];
  /** How its service learns of it: by a request to it, by asking the recorder, by an entry of the log, or by hand. */
  readonly via: Channel;
  /** When the recorder last heard from that service. */
  readonly heard_at: string | null;
  /** Null when the action was never asked for. */
  readonly delivery: PostureDelivery | null;
  /** All who hold it, by class and source, and how many more groups there are; when there are. */
  readonly holder_groups?: readonly HolderGroup[];
  readonly more_groups?: number;
  /** The newest unresolved incidents of which a person has released it early, and how many there are. */
  readonly released_early?: readonly (ReleasedEarly & { readonly incident: string })[];
  readonly released_early_count?: number;
}

/** The incidents of one class and source that hold an action. */
export interface HolderGroup {
  readonly class: IncidentClass;
  readonly source: string;
  readonly count: number;
  /** The worst of their severities. */
  readonly severity: Severity;
  /** When the oldest of those that are named was reported. */
  readonly first?: string;
  /** The oldest of them, as far as they are named, and how many more there are. */
  readonly ids: readonly string[];
  readonly more: number;
}

/** The deliveries of an action: the most significant one, and how many have each status. */
export interface PostureDelivery extends Omit<Delivery, 'action'> {
  readonly incident: string;
  readonly directive: Directive;
  readonly counts: Readonly<Partial<Record<DeliveryStatus, number>>>;
}

/** What a command would release. */
export interface ReleasePreview {
  readonly command: 'resolve' | 'release';
  /** Each action that one of the incidents holds: whether it would be released, and who holds it besides. */
  readonly actions: readonly {
    /** Where; only a fleet says it. */
    readonly machine?: string;
    readonly action: ContainmentAction;
    readonly releases: boolean;
    readonly holders: number;
    readonly others: number;
    readonly last: boolean;
  }[];
  readonly incidents: readonly {
    readonly id: string;
    readonly state: State;
    readonly possible: boolean;
    readonly actions: readonly ContainmentAction[];
    readonly missing?: readonly RecoveryStep[];
  }[];
  readonly unknown: readonly string[];
  /** At a fleet: the machines whose incidents may be others by now; not there when there is none. */
  readonly uncertain?: readonly {
    readonly machine: string;
    readonly silent: boolean;
    readonly heard_at: string | null;
    readonly behind: number;
  }[];
}

/** Confirms that an action was carried out. */
export interface Confirmation {
  readonly action: ContainmentAction;
  readonly directive: Directive;
  /** For one incident; by default for all holders. */
  readonly incident_id?: string;
  /** What the service observes of itself, when that says more than `directive`. */
  readonly observed?: Observed;
}

/** The result of a confirmation. */
export interface Confirmed {
  readonly action: ContainmentAction;
  readonly directive: Directive;
  /** How many deliveries it confirmed, and how many it showed to be lost. */
  readonly confirmed: number;
  readonly lost: number;
  /** How many deliveries remain for the next confirmation. */
  readonly remaining: number;
}
