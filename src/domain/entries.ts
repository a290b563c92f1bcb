/**
 * The entries of the audit log: what each event says.
 *
 * An event is a past-tense fact. `EntryDataOf` names the `data` of each, and `Entry` is their union, discriminated by
 * `event`: whoever has looked at `event` knows what `data` holds. A log is read for years, so a member that later
 * versions added is optional here.
 */
import { COMMAND_EVENTS, type CommandEvent } from '../../machines/commands.ts';
import type { Intent } from '../../machines/decision.ts';
import type {
  Channel,
  ContainmentAction,
  Directive,
  IncidentClass,
  RecoveryStep,
  Resolution,
  Role,
  Rule,
  Severity,
  State,
} from '../../machines/vocabulary.ts';
import type { JsonValue } from '../json/exact-json.ts';
import type { AttestationEvidence } from './attestation-evidence.ts';
import type { Caller, Signed } from './caller.ts';
import type { SilenceOnRecord, SilenceTerms } from './silence-terms.ts';

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
 * A request that may be sent again, as the log keeps it since keys belong to a source: both are lower-case hex hashes
 * under a secret of the recorder, so that nobody else can compute them.
 */
export type RequestTag = {
  /** Of the source and its key. */
  readonly id: string;
  /** Of the request's body. */
  readonly digest: string;
};

/** The severities of a report, where they are not simply its incident's. */
export type SeverityOrigin = {
  /** The class's, where the report lowered it. */
  readonly default_severity?: Severity;
  /** The report's, where the rule's `min_severity` or an escalation raised it. */
  readonly reported_severity?: Severity;
};

/** The rule of the policy's `escalate` by which an incident was raised, as its entry and the incident keep it. */
export type EscalatedBy = {
  readonly class: IncidentClass;
  readonly reports: number;
  readonly within_ms: number;
  readonly to: Severity;
};

/** What is known of a report from those before it. */
type AmongReports = {
  /** The rule of the policy's `escalate` that has raised the incident with this report. */
  readonly escalated_by?: EscalatedBy;
  /** Names the values in which it repeats others, as its rule asks: hex digits of a hash. */
  readonly repeat?: string;
  /** By how many milliseconds the wall clock was set since the report before, when it was. */
  readonly clock_step_ms?: number;
};

/** Why an incident needs attention: its severity rose, or it recurred after a long time without an occurrence. */
export type Attention = 'severity' | 'silence';

/**
 * An intent and how it goes to the service that carries it out: what the policy in force said when it was asked for.
 * Entries of the first version do not say: nothing was sent then.
 */
export type RoutedIntent = Intent & { readonly via?: Channel };

export const channelOfIntent = ({ action, via }: RoutedIntent): Channel =>
  via ?? (action === 'log_alert' ? 'log' : 'poll');

/** What every entry about an incident says. */
export type AboutIncident = {
  /** Identifier of the incident. */
  readonly incident: string;
  /** Counts the entries of this incident, from 1. */
  readonly version: number;
  /** The incident's state after this entry. */
  readonly state: State;
  /** What was done for its recovery and counts no more because of this entry; not there when that is nothing. */
  readonly recovery_voided?: readonly RecoveryPart[];
  /** There in every entry about a drill. */
  readonly drill?: true;
};

/** What can be done for the recovery of an incident: a step, or to waive it. */
export type RecoveryPart = RecoveryStep | 'waive';

/** `incident.reported` */
export type ReportedData = AboutIncident & {
  readonly severity: Severity;
  readonly report: Report;
  readonly rule: Rule;
  readonly intents: readonly RoutedIntent[];
  /** Whether the source mixes scripts, or looks like another one on record. */
  readonly source_suspicious?: true;
  /** In a drill: the actions of the rule that nobody is asked for, because their targets do not take part. */
  readonly not_asked?: readonly ContainmentAction[];
  /** Whether the clock had jumped a short time before. */
  readonly clock_uncertain?: true;
  readonly request?: RequestTag;
  /** In place of `request` in old entries. */
  readonly idempotency?: Idempotency;
  /** The resolved incident that a person has taken up again as this one; then the caller is that person. */
  readonly reopens?: string;
  /** With `reopens`: whose token that one was reported with, and what the person says about it. */
  readonly reported_by?: string;
  readonly note?: string;
} & SeverityOrigin &
  AmongReports &
  Partial<Caller>;

/** `incident.recurred`. Old entries have only the report: they are counted and change nothing else. */
export type RecurredData = AboutIncident & {
  /** The incident's from here on: the highest that was reported, or that it was raised to. */
  readonly severity?: Severity;
  readonly report: Report;
  /** The rule that was in force for the report. */
  readonly rule?: Rule;
  /** The actions that it asked for: new ones, and again those that had failed or were lost. */
  readonly intents?: readonly RoutedIntent[];
  readonly attention?: Attention;
  /** Broken actions that were not asked for again: no report says what they are to act on. */
  readonly unable?: readonly ContainmentAction[];
  /** Those of the intents that a person had released early. */
  readonly released_early?: readonly ContainmentAction[];
  /** Whether it is an occurrence because of a burst of reports: the first of that burst, or a later one. */
  readonly burst?: 'begun' | 'continued';
  readonly request?: RequestTag;
  /** In place of `request` in old entries. */
  readonly idempotency?: Idempotency;
} & SeverityOrigin &
  AmongReports &
  Partial<Caller>;

/** `incident.contained` and the other events of commands. */
export type CommandedData = AboutIncident &
  Signed & {
    readonly intents: readonly RoutedIntent[];
    /** In `incident.resolved`, where the person has said what it was. */
    readonly resolution?: Resolution;
  };

/** `incident.noted`: a person has noted something. */
export type NotedData = AboutIncident & Signed & { readonly note: string };

/** `incident.assigned`: who works it from here on; `null` when nobody does. */
export type AssignedData = AboutIncident & Signed & { readonly to: string | null };

/** `incident.snoozed`: until when (RFC 3339) it is acknowledged and hidden from what needs attention. */
export type SnoozedData = AboutIncident & Signed & { readonly until: string };

/** `incident.woken`: the snooze is over because its time has come, or because a person has ended it. */
export type WokenData = AboutIncident &
  Signed & {
    readonly why: 'due' | 'person';
    /** The actions that it asks for; not there when there are none. */
    readonly intents?: readonly RoutedIntent[];
  };

/** `incident.reopened`, of a resolved incident: the incident that has taken it up again. */
export type ReopenedData = AboutIncident & Signed & { readonly as: string };
/** `containment.released`: a person releases one action of an incident early, and the incident stays. */
export type ReleasedData = AboutIncident & {
  readonly action: ContainmentAction;
  readonly directive: 'release';
  readonly reason: string;
  /** The release; with the last action that was in force also that of its alert. */
  readonly intents: readonly RoutedIntent[];
  /** What its recovery needed then, where that was not complete. */
  readonly recovery_missing?: readonly RecoveryStep[];
} & Partial<Caller>;

type AboutRecovery = AboutIncident & {
  /** Lower-case hex SHA-256 of the incident as it was (`bindingForm`): what is done counts for that. */
  readonly binding: string;
};

/** `recovery.acknowledged`: a person says that the machine may be trusted again. */
export type RecoveryAcknowledgedData = AboutRecovery & Signed;

/** `recovery.attestation_requested`: the attestor is to be asked. It is, until the outcome is on record. */
export type AttestationRequestedData = AboutRecovery & Signed;

/** `recovery.attested`: the attestor has proved the machine. */
export type AttestedData = AboutRecovery & { readonly evidence: AttestationEvidence };

/** `recovery.attestation_failed`: what was wrong with its answer, or why there was none for a day. */
export type AttestationFailedData = AboutRecovery & { readonly faults?: readonly string[]; readonly error?: string };

/** `recovery.waived`: an administrator lets the incident be resolved without. */
export type RecoveryWaivedData = AboutRecovery & Signed & { readonly reason: string };
/** A whole incident at one moment: with it a replay goes on without the entries before. */
export type WholeIncident = AboutIncident & {
  /** The first report, and the rule that applied to it. */
  readonly report: Report;
  readonly rule: Rule;
  /** What the statechart remembers. */
  readonly context: JsonObject;
  /** Everything else that the incident shows, as it shows it: severity, times, who did what, notes, deliveries. */
  readonly record: JsonObject;
};

/**
 * What reports may repeat of an incident: the name of the values, `seq` of the latest entry with them, and how many
 * milliseconds, in the time of `ReportTimes`, that came before the entry that says so.
 */
export type RepeatNote = readonly [key: string, seq: number, age: number];

/** `incident.carried`: the entries about an unresolved incident go to the archive, and it stays on record. */
export type CarriedData = WholeIncident & {
  /** `seq` of the entry that reported it: its place among all incidents. */
  readonly reported_seq: number;
  /** The version of the latest entry that decided something. */
  readonly decisive: number;
  /** The requests that it was reported by, the newest ones: pairs of identifier and digest. */
  readonly requests: readonly (readonly [string, string])[];
  /** The values that reports repeat of it, the newest ones. */
  readonly repeats?: readonly RepeatNote[];
  readonly earlier: EarlierEntries;
} & Signed;

/** `incident.imported`: an incident of another recorder, taken over with its identifier, state and times. */
export type ImportedData = WholeIncident & { readonly claims: ImportedClaims } & Signed;

/** What the other recorder said and nobody here has seen. */
export type ImportedClaims = {
  readonly state: string;
  readonly containment_actions?: readonly string[];
  readonly containment_results?: readonly JsonObject[];
  readonly hash?: string;
};

/** Where the earlier entries about an incident that was carried over are. */
export type EarlierEntries = {
  /** For people: `earlier entries are in the archive: <file>`. */
  readonly note: string;
  /** The segments, by name; an `incident.carried` entry in them names those before. */
  readonly files: readonly string[];
};

/** `alert.raised` */
export type AlertData = AboutIncident & {
  readonly class: IncidentClass;
  readonly severity: Severity;
  readonly source: string;
  readonly reason: string;
};

/** `alert.raised` about the log itself, not about an incident. */
export type LogAlertData = {
  /** The finding that it is about. */
  readonly finding: string;
  readonly severity: Severity;
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
} & Partial<Caller>;

/** `containment.failed`: there will be no further attempt. */
export type FailedData = AboutDelivery & {
  /** How many attempts there were; 0 when nothing could be sent. */
  readonly attempt: number;
  /** Whether another attempt is pointless; otherwise it was tried for long enough. */
  readonly refused: boolean;
  readonly error: string;
  /** Whether a person has to act: a release was refused, or nothing says what to act on. Old entries do not have it. */
  readonly needs_person?: true;
};

/** `containment.overdue`: it was not confirmed in time. It stays asked for, and its attempts go on. */
export type OverdueData = AboutDelivery & {
  /** When it was asked for: RFC 3339. */
  readonly asked_at: string;
  /** How long that was ago when this was written, and the policy's `overdue_after`, in milliseconds. */
  readonly waited_ms: number;
  readonly overdue_after_ms: number;
  /** There when no other delivery of the action with this directive was overdue: then there is an alert. */
  readonly first?: true;
};

/** `containment.spared`: a drill does not ask for this, or for its release: that could touch a real incident. */
export type SparedData = AboutDelivery & { readonly reason: string };

/** `containment.lost` */
export type LostData = AboutDelivery & { readonly reason: string } & Partial<Caller>;

/** `containment.retried`: an operator had it tried again. */
export type RetriedData = AboutDelivery & { readonly via: Channel } & Signed;

/** `containment.heard`: a sign of life of a service that had confirmed before. */
export type HeardData = { readonly action: ContainmentAction; readonly directive: Directive } & Partial<Caller>;

/** What a sign of life of a guard was. */
export type SignOfLife = 'report' | 'heartbeat';

/**
 * `guard.heard`: a sign of life of a source that the policy expects. Not each one is in the log: the first, the one that
 * ends a silence (`silent_since`, when that was found), and one in a while.
 */
export type GuardHeardData = {
  readonly source: string;
  readonly sign: SignOfLife;
  readonly silent_since?: string;
} & Partial<Caller>;

/** `guard.silent`: a source that the policy expects was not heard in time. */
export type GuardSilentData = {
  readonly source: string;
  /** How often the policy expects it, and for how long it was not heard, in milliseconds. */
  readonly every_ms: number;
  readonly silent_ms: number;
  /** When it was heard last; not there when it never was. */
  readonly heard_at?: string;
};

/** `alert.raised` about a guard. */
export type GuardAlertData = {
  /** The source that is silent. */
  readonly guard: string;
  readonly severity: Severity;
  readonly reason: string;
};

/** A guard, as far as the log knows it. Times are RFC 3339. */
export type GuardOnRecord = {
  readonly source: string;
  readonly heard_at: string | null;
  /** When its silence was found, while it is silent. */
  readonly silent_since: string | null;
};

/** A sealed segment and its place in the chain. */
export type SegmentRange = {
  /** Name of the file. */
  readonly file: string;
  readonly first_seq: number;
  readonly last_seq: number;
  /** Its size. */
  readonly bytes: number;
  /** `prev_hash` of its first entry. */
  readonly prev_hash: string;
  /** `entry_hash` of its last entry. */
  readonly last_hash: string;
  /** The earliest and the latest `timestamp` of its entries; older entries do not have them. */
  readonly since?: string;
  readonly until?: string;
};

/** Entries one behind the other, and their place in the chain. */
export type ArchivedRange = Pick<
  SegmentRange,
  'first_seq' | 'last_seq' | 'prev_hash' | 'last_hash' | 'since' | 'until'
>;

/** The sum of some `log.archived` entries. */
export type ArchiveSummary = {
  readonly ranges: readonly ArchivedRange[];
  /** How often the incidents that have left the record had entered each state. */
  readonly entered: Readonly<Record<string, number>>;
};

/** `log.archived`: a segment was moved to the archive, and the incidents that were reported in it have left the record. */
export type ArchivedData = SegmentRange & {
  readonly incidents: number;
  /** How often these incidents had entered each state. */
  readonly entered: Readonly<Record<string, number>>;
  /** How the containment actions stood, as JSON of the posture's own, and the entry up to which that is true. */
  readonly posture: { readonly [action: string]: JsonValue };
  readonly posture_seq: number;
  /** How far each webhook had taken the log. */
  readonly notified: Readonly<Record<string, number>>;
  /** The entries that webhooks had not taken; not there when there are none, nor in older entries. */
  readonly untaken?: UntakenEntries;
  /** What webhooks with a format had told besides, by their names; not there when that is nothing. */
  readonly notices?: Readonly<Record<string, NoticeMemory>>;
  /** What all such entries before this one tell, as they may leave the log; older entries do not have it. */
  readonly earlier?: ArchiveSummary;
  /** What was found wrong with the log until then; older entries do not have it. */
  readonly findings?: readonly FindingOnRecord[];
  /** What was known of the guards until then; not there when that is nothing, nor in older entries. */
  readonly guards?: readonly GuardOnRecord[];
  /** There when an access file had been loaded until then. */
  readonly access_file?: true;
  /** The silences on record; not there when there are none, nor in older entries. */
  readonly silences?: readonly SilenceOnRecord[];
  /** The last anchor; not there when there is none, nor in older entries. */
  readonly anchor?: AnchorOnRecord;
  /**
   * Commands of the fleet that were issued until then may have left the log: an unknown one is not carried out. Not there
   * when there were none, nor in older entries.
   */
  readonly fleet_commands_until?: string;
} & Partial<Caller>;

/** An entry that a webhook did not take while it took others. It is parked: the recorder tries it again. */
export type ParkedEntry = {
  readonly seq: number;
  readonly event: string;
  /** When it was parked: RFC 3339. */
  readonly since: string;
  /** How often it was sent since then, and the pauses between these attempts, in milliseconds. */
  readonly attempts: number;
  readonly waited_ms: number;
};

/**
 * What a webhook with a format has told, as far as a restart must know it. `repeated_at` (RFC 3339): up to when
 * incidents that nobody attends to were told again. `groups`: up to which entry each group was told, and when, where
 * that is behind the webhook's position or not long ago.
 */
export type NoticeMemory = { readonly repeated_at?: string; readonly groups?: readonly ToldGroup[] };
/** Names the group (hex digits of a hash), the `seq` of the last entry about it that was told, and when: RFC 3339. */
export type ToldGroup = readonly [group: string, seq: number, at: string];

/** `notification.delivered`: how far a webhook has taken the log, or from where on it gets entries. */
export type NotifiedData = {
  readonly url: string;
  readonly through_seq: number;
  /** The entries up to there that it has not taken; not there when there are none. */
  readonly parked?: readonly ParkedEntry[];
  /** What a webhook with a format has told besides; not there for others. */
  readonly notices?: NoticeMemory;
};

/** `webhook.skipped`: an entry that a webhook did not take for as long as it is tried. It is not sent any more. */
export type WebhookSkippedData = Omit<ParkedEntry, 'seq' | 'event'> & {
  readonly url: string;
  /** The entry that was skipped. */
  readonly skipped_seq: number;
  readonly skipped_event: string;
  readonly error: string;
};

/** `webhook.retried`: an operator asks for an entry to be sent again that was skipped or is parked. */
export type WebhookRetriedData = {
  readonly url: string;
  /** The entry that is sent again. */
  readonly retried_seq: number;
  readonly retried_event: string;
} & Signed;

/** An entry that was skipped for a webhook. */
export type SkippedEntry = {
  /** Names the webhook, as entries of the log do. */
  readonly webhook: string;
  readonly seq: number;
  readonly event: string;
  /** When it was parked and when it was skipped: RFC 3339. */
  readonly parked_at: string;
  readonly skipped_at: string;
  readonly attempts: number;
  readonly error: string;
};

/** What webhooks have not taken. */
export type UntakenEntries = {
  readonly parked: Readonly<Record<string, readonly ParkedEntry[]>>;
  readonly skipped: readonly SkippedEntry[];
};

/** `service.started` */
export type ServiceStartedData = {
  readonly service_version: string;
  /** Which entries the service may write: `LOG_FORMAT`. Entries of format 1 do not say. */
  readonly log_format?: number;
  readonly policy: {
    readonly digest: string;
    readonly source: string;
    /** The actions whose target the environment names, and not the policy. */
    readonly targets_from_environment?: readonly ContainmentAction[];
  };
  /** Whether the log had a checkpoint beside it. */
  readonly checkpoint: 'present' | 'absent';
  /** In the first entry of a log: a random number in hex, so that no two logs begin alike. */
  readonly nonce?: string;
};

/** `service.stopped` */
export type ServiceStoppedData = { readonly reason: string };

/** `policy.reloaded` */
export type PolicyReloadedData = {
  readonly digest: string;
  readonly source: string;
  readonly previous_digest: string;
  /** What the policy before had and this one has not, by name. */
  readonly removed?: readonly string[];
} & Partial<Caller>;

/** `access.loaded`: who may do what from here on. */
export type AccessLoadedData = {
  /** `none`: the configuration says that there is no file, where there was one. */
  readonly source: 'file' | 'none';
  /** Identifies what the file says. */
  readonly digest?: string;
  readonly previous_digest?: string;
  /** The roles of the service token, and of each principal. */
  readonly service_token?: readonly Role[];
  readonly principals?: Readonly<Record<string, readonly Role[]>>;
  /** The key of the fleet, and the roles of those who act from there. */
  readonly fleet_key?: string;
  readonly fleet?: readonly Role[];
} & Partial<Caller>;

/** `log.repaired`: a torn tail was cut off and kept in a file of its own. */
export type RepairedData = { readonly kept_as: string; readonly bytes: number; readonly after_seq: number };

/** `log.resumed`: entries are taken again; `refused` counts those that were not, since `blocked_since` (RFC 3339). */
export type ResumedData = { readonly blocked_since: string; readonly reason: string; readonly refused: number };

/** `log.damage_found`: something that should be there is missing, or was put back. */
export type DamageFoundData = {
  /** Names this finding, for its acknowledgement: `entries_missing:4-9`. */
  readonly finding: string;
  readonly detail: string;
};

/** `log.damage_acknowledged`: an operator has taken note of a finding. */
export type DamageAcknowledgedData = { readonly finding: string } & Signed;

/** A finding, and whether it waits for an operator. */
export type FindingOnRecord = DamageFoundData & { readonly found_at: string; readonly open: boolean };

/** `log.restored`: a file of the log was removed, replaced or added to, and is as it was written again. */
export type RestoredData = {
  /** Name of the file. */
  readonly file: string;
  readonly how: 'removed' | 'replaced' | 'extended';
  /** Name of the file that keeps what was found in its place. */
  readonly kept_as?: string;
  /** How far the log reached then. */
  readonly through_seq: number;
};

/** `log.lost`: the file was cut while it was written, and the log continues in a new one. The first entry of that. */
export type LogLostData = {
  readonly first_seq: number;
  readonly last_seq: number;
  /** `entry_hash` of the last lost entry. */
  readonly last_hash: string;
  /** When the loss was found: RFC 3339. */
  readonly found_at: string;
  /** Name of the file that keeps what was left. */
  readonly kept_as?: string;
};

/** `log.continued`: the log goes on under another key. The first entry of a file, which follows the old log. */
export type LogContinuedData = {
  /** The identity of the log. */
  readonly log_id: string;
  /** The last entry under the old key, and its `entry_hash`. */
  readonly old_last_seq: number;
  readonly old_last_hash: string;
  readonly old_algorithm: string;
  /** What these say, hashed under the old key and under the new one (audit/continuation.ts). */
  readonly old_key_digest: string;
  readonly new_key_digest: string;
  readonly by?: string;
  readonly note?: string;
};

/** `log.anchored`: somebody else who holds the entries (the fleet) has signed how far they go. */
export type LogAnchoredData = {
  /** The identity of the log. */
  readonly log_id: string;
  /** The machine's name, as the fleet calls it. */
  readonly machine: string;
  /** The last entry that they hold, and its `entry_hash`. */
  readonly anchored_seq: number;
  readonly hash: string;
  /** The RFC 6962 root over the hashes of the entries up to that one, lower-case hex. */
  readonly root: string;
  /** When it was signed: RFC 3339. */
  readonly time: string;
  /** The signed note, as it came. */
  readonly anchor: string;
  /**
   * The roots of the complete subtrees, the largest first, lower-case hex: the next anchor's root is made from them. Not
   * there where entries are archived that no earlier anchor has them of; then `root` is what the fleet says.
   */
  readonly range?: readonly string[];
} & Partial<Caller>;

/** `fleet.answered`: a command of the fleet that has written nothing else: it was refused, or there was nothing to do. */
export type FleetAnsweredData = {
  readonly fleet_command: string;
  /** What it asks for. */
  readonly command: string;
  /** The incident that it is about, as far as it says. */
  readonly about?: string;
  /** The HTTP status of the answer, and what that says where it was refused. */
  readonly status: number;
  readonly answer?: JsonObject;
} & Caller;

/** An anchor, the entry that records it, and the time of that. */
export type AnchorOnRecord = LogAnchoredData & { readonly seq: number; readonly at: string };

/** `clock.jumped`: the wall clock went on from another time than it had. */
export type ClockJumpedData = {
  /** By how many milliseconds: below 0 when it was set back. */
  readonly by_ms: number;
  /** What it said at the last look before: RFC 3339. At a start, the time of the last entry. */
  readonly since: string;
  /** The last entry at that look: the times of the entries behind it are uncertain, up to this one. */
  readonly after_seq: number;
  readonly found: 'running' | 'start';
};

/** A jump of the clock, the entry that records it, and the time of that. */
export type ClockJump = ClockJumpedData & { readonly seq: number; readonly at: string };

/** `silence.added`: incidents that match it are not notified from one time until another. */
export type SilenceAddedData = SilenceTerms & { readonly silence: string } & Partial<Caller>;

/** `silence.ended`: somebody has ended a silence before its time. */
export type SilenceEndedData = { readonly silence: string; readonly reason?: string } & Partial<Caller>;

/** `forensic.export_requested`: somebody asks for a signed copy of what is on record. It holds this entry, too. */
export type ExportRequestedData = Signed;

/** `bundle.requested`: somebody asks for an evidence bundle of these incidents. */
export type BundleRequestedData = Signed & { readonly incidents: readonly string[] };

/** The `data` of each event, without its `seq`. */
export interface EntryDataOf extends Readonly<Record<CommandEvent, CommandedData>> {
  readonly 'service.started': ServiceStartedData;
  readonly 'service.stopped': ServiceStoppedData;
  readonly 'policy.reloaded': PolicyReloadedData;
  readonly 'access.loaded': AccessLoadedData;
  readonly 'log.repaired': RepairedData;
  readonly 'log.resumed': ResumedData;
  readonly 'log.archived': ArchivedData;
  readonly 'log.damage_found': DamageFoundData;
  readonly 'log.damage_acknowledged': DamageAcknowledgedData;
  readonly 'log.restored': RestoredData;
  readonly 'log.lost': LogLostData;
  readonly 'log.continued': LogContinuedData;
  readonly 'log.anchored': LogAnchoredData;
  readonly 'fleet.answered': FleetAnsweredData;
  readonly 'clock.jumped': ClockJumpedData;
  readonly 'forensic.export_requested': ExportRequestedData;
  readonly 'bundle.requested': BundleRequestedData;
  readonly 'incident.reported': ReportedData;
  readonly 'incident.recurred': RecurredData;
  readonly 'incident.carried': CarriedData;
  readonly 'incident.imported': ImportedData;
  readonly 'incident.noted': NotedData;
  readonly 'incident.assigned': AssignedData;
  readonly 'incident.snoozed': SnoozedData;
  readonly 'incident.woken': WokenData;
  readonly 'incident.reopened': ReopenedData;
  readonly 'containment.attempted': AttemptedData;
  readonly 'containment.confirmed': ConfirmedData;
  readonly 'containment.overdue': OverdueData;
  readonly 'containment.failed': FailedData;
  readonly 'containment.lost': LostData;
  readonly 'containment.retried': RetriedData;
  readonly 'containment.released': ReleasedData;
  readonly 'containment.spared': SparedData;
  readonly 'containment.heard': HeardData;
  readonly 'notification.delivered': NotifiedData;
  readonly 'webhook.skipped': WebhookSkippedData;
  readonly 'webhook.retried': WebhookRetriedData;
  readonly 'recovery.acknowledged': RecoveryAcknowledgedData;
  readonly 'recovery.attestation_requested': AttestationRequestedData;
  readonly 'recovery.attested': AttestedData;
  readonly 'recovery.attestation_failed': AttestationFailedData;
  readonly 'recovery.waived': RecoveryWaivedData;
  readonly 'guard.heard': GuardHeardData;
  readonly 'guard.silent': GuardSilentData;
  readonly 'silence.added': SilenceAddedData;
  readonly 'silence.ended': SilenceEndedData;
  readonly 'alert.raised': AlertData | LogAlertData | GuardAlertData;
}

/** Every event, in the order in which documents list them. */
export const ENTRY_EVENTS = [
  'service.started',
  'service.stopped',
  'policy.reloaded',
  'access.loaded',
  'log.repaired',
  'log.resumed',
  'log.archived',
  'log.damage_found',
  'log.damage_acknowledged',
  'log.restored',
  'log.lost',
  'log.continued',
  'log.anchored',
  'fleet.answered',
  'clock.jumped',
  'forensic.export_requested',
  'bundle.requested',
  'incident.reported',
  'incident.recurred',
  'incident.carried',
  'incident.imported',
  ...COMMAND_EVENTS,
  'incident.noted',
  'incident.assigned',
  'incident.snoozed',
  'incident.woken',
  'incident.reopened',
  'containment.attempted',
  'containment.overdue',
  'containment.confirmed',
  'containment.failed',
  'containment.lost',
  'containment.retried',
  'containment.released',
  'containment.spared',
  'containment.heard',
  'recovery.acknowledged',
  'recovery.attestation_requested',
  'recovery.attested',
  'recovery.attestation_failed',
  'recovery.waived',
  'notification.delivered',
  'webhook.skipped',
  'webhook.retried',
  'guard.heard',
  'guard.silent',
  'silence.added',
  'silence.ended',
  'alert.raised',
] as const satisfies readonly (keyof EntryDataOf)[];
export type EntryEvent = (typeof ENTRY_EVENTS)[number];

/**
 * Counts the changes of what a log may hold: one more with each version that adds an event, or that older versions would
 * misread. A service does not start on a log of a greater format.
 */
export const LOG_FORMAT = 4;

/** What webhooks may ask for: all but how far they are themselves. */
export const NOTIFIED_EVENTS = ENTRY_EVENTS.filter((event) => event !== 'notification.delivered');

/** An entry before it has a place in the chain. */
export type DraftOf<Event extends EntryEvent> = {
  /** RFC 3339, UTC, milliseconds: data, never an order. */
  readonly timestamp: string;
  readonly event: Event;
  readonly data: EntryDataOf[Event];
};
export type Draft = { readonly [Event in EntryEvent]: DraftOf<Event> }[EntryEvent];

/** An entry as it stands in the log. */
export type EntryOf<Event extends EntryEvent> = {
  /** RFC 3339, UTC, milliseconds: data, never an order. */
  readonly timestamp: string;
  readonly event: Event;
  /** `seq` counts all entries from 1 without gaps. */
  readonly data: EntryDataOf[Event] & { readonly seq: number };
  /** `entry_hash` of the entry before, `""` for the first. */
  readonly prev_hash: string;
  /** Lower-case hex of the chain's hash. */
  readonly entry_hash: string;
  readonly algorithm: string;
};
export type Entry = { readonly [Event in EntryEvent]: EntryOf<Event> }[EntryEvent];

/** The entry in a line of the log, which is not verified: whoever wrote the line is believed. @throws SyntaxError */
export const readEntry = (line: string): Entry => JSON.parse(line) as Entry;

/** Where the line of an entry stands in its file, in bytes; `length` includes the newline. */
export type LineExtent = { readonly offset: number; readonly length: number };
export type StoredEntry = { readonly [Event in EntryEvent]: EntryOf<Event> & LineExtent }[EntryEvent];

/** The events that say what a webhook has taken. */
export const WEBHOOK_EVENTS = [
  'notification.delivered',
  'webhook.skipped',
  'webhook.retried',
] as const satisfies readonly EntryEvent[];
export type WebhookEntry = {
  readonly [Event in (typeof WEBHOOK_EVENTS)[number]]: EntryOf<Event>;
}[(typeof WEBHOOK_EVENTS)[number]];

const ABOUT_WEBHOOKS: ReadonlySet<string> = new Set(WEBHOOK_EVENTS);

/** Whether an entry says what a webhook has taken. */
export const isAboutWebhook = (entry: Entry): entry is WebhookEntry => ABOUT_WEBHOOKS.has(entry.event);

/** The events that are about deliveries. */
export const DELIVERY_EVENTS = [
  'containment.attempted',
  'containment.overdue',
  'containment.confirmed',
  'containment.failed',
  'containment.lost',
  'containment.retried',
  'containment.spared',
] as const satisfies readonly EntryEvent[];
export type DeliveryEntry = {
  readonly [Event in (typeof DELIVERY_EVENTS)[number]]: EntryOf<Event>;
}[(typeof DELIVERY_EVENTS)[number]];

/** The events that are about a recovery. */
export const RECOVERY_ENTRY_EVENTS = [
  'recovery.acknowledged',
  'recovery.attestation_requested',
  'recovery.attested',
  'recovery.attestation_failed',
  'recovery.waived',
] as const satisfies readonly EntryEvent[];
export type RecoveryEntryEvent = (typeof RECOVERY_ENTRY_EVENTS)[number];
export type RecoveryEntry = {
  readonly [Event in RecoveryEntryEvent]: EntryOf<Event>;
}[RecoveryEntryEvent];

/** What an event says when it is about an incident; `never` for events that are about none. */
type IncidentDataOf<Event extends EntryEvent> = Extract<EntryDataOf[Event], AboutIncident>;

/** The events that are about one incident. An alert may also be about the log itself. */
type IncidentEventName = {
  readonly [Event in EntryEvent]: IncidentDataOf<Event> extends never ? never : Event;
}[EntryEvent];

/** An entry about one incident, before it is in the log and in it. */
export type IncidentDraft = {
  readonly [Event in IncidentEventName]: Omit<DraftOf<Event>, 'data'> & { readonly data: IncidentDataOf<Event> };
}[IncidentEventName];
export type IncidentEntry = {
  readonly [Event in IncidentEventName]: Omit<EntryOf<Event>, 'data'> & {
    readonly data: IncidentDataOf<Event> & { readonly seq: number };
  };
}[IncidentEventName];

/** Whose token an incident was reported with: for one that takes up another, that of the other. */
export const reporterOf = ({ reopens, reported_by, principal }: ReportedData): string | undefined =>
  reopens === undefined ? principal : reported_by;

/** The events whose entries hold a whole incident. */
export type WholeEvent = 'incident.carried' | 'incident.imported';

/** The events that a replay can begin an incident with. */
const OPENING_EVENTS: ReadonlySet<string> = new Set<EntryEvent>([
  'incident.reported',
  'incident.carried',
  'incident.imported',
]);

/** Whether a replay can begin an incident with an entry. */
export const isOpening = ({ event }: Pick<Entry, 'event'>): boolean => OPENING_EVENTS.has(event);

/** Whether an entry is about one incident. */
export const isAboutIncident = (entry: Entry): entry is IncidentEntry => 'incident' in entry.data;
