/**
 * The tables of the fleet, as Kysely sees them. `migrations.ts` creates them.
 *
 * Every key begins with the machine, so that the rows of one machine are in one place of a distributed database. Texts
 * that come from a machine are kept as they are; JSON is text, except where SQL looks into it.
 *
 * `log` is the name of one history of a machine's log: the first 12 digits of the log's identity, or those with `~2`,
 * `~3`, … where the machine came back with another past. `identity` is what the machine itself calls its log.
 */
import type { ColumnType, Generated, JSONColumnType } from 'kysely';

/** A time; in milliseconds, without a zone of its own. */
export type Time = ColumnType<Date, Date | string, Date | string>;
export type OptionalTime = ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;

/** What the fleet knows about its own tables; `machine` is empty. */
interface MetaTable {
  readonly machine: string;
  readonly name: string;
  value: string;
}

/** A machine that was enrolled. */
export interface MachinesTable {
  readonly machine: string;
  /** How it is shown since it was renamed; null: as `machine`. */
  name: string | null;
  /** `{"site": "berlin"}` */
  labels: JSONColumnType<Record<string, string>>;
  enrolled_at: OptionalTime;
  revoked_at: OptionalTime;
  /** Lower-case hex. */
  token_sha256: string | null;
  /** Ed25519, as the machine has given it. */
  public_key: string | null;
  /** Since when it signs its requests with that; from then on its token alone is not enough. */
  signs_since: OptionalTime;
  /** The keys of its audit chain, sealed with the fleet's key; null where its hashes are not verified. */
  audit_key_sealed: string | null;
  /** When it was heard last. */
  heard_at: OptionalTime;
  version: string | null;
  /** The identity of its log, and how far that goes, as the machine has said last. */
  log: string | null;
  entries: number | null;
  policy_digest: string | null;
  policy_source: string | null;
  policy_text: string | null;
  health: JSONColumnType<object> | null;
  /** How far its clock is ahead of the fleet's. */
  clock_skew_ms: number | null;
  /** Since when it is known to be silent. */
  silent_since: OptionalTime;
  /** Up to when it has used its quota, by the clock of the database, to the microsecond. */
  sent_until: OptionalTime;
}

/** The one-time secrets. */
interface EnrolmentsTable {
  readonly machine: string;
  readonly secret_sha256: string;
  created_at: Time;
  expires_at: Time;
  used_at: OptionalTime;
}

/** One history of a log of a machine. */
export interface LogsTable {
  readonly machine: string;
  readonly log: string;
  readonly identity: string;
  /** Counts the histories of a machine; the one that the machine goes on with has the highest. */
  ordinal: number;
  active: boolean;
  /** The first entry that is here: 1, unless the machine had archived it before it was enrolled. */
  first_seq: number;
  /** The last entry that is here, and its hash; 0 and '' before the first. */
  through: number;
  hash: string;
  /** How far the read models are made: equal to `through`, except while they are made again. */
  built: number;
  /** The compact range over the entries' hashes up to `built`: JSON. */
  range: string;
  first_at: OptionalTime;
  /** The time of the last entry. */
  last_at: OptionalTime;
  /** When an entry was stored last, by the clock of the database: what streams look for. */
  advanced_at: OptionalTime;
  /** How far the log goes on the machine, as far as that is known. */
  entries: number;
  /** The last anchor that was given to the machine. */
  anchored_seq: number | null;
  anchored_at: OptionalTime;
  anchor: string | null;
  /** The last anchor that the machine has recorded, as its log says: up to which entry, and when. */
  recorded_seq: number | null;
  recorded_at: OptionalTime;
  /** The first entry whose hash was not verified, because the machine's key is not here; null when all were. */
  unverified_from: number | null;
  /** The `log.continued` from which on the log has another key than the machine has enrolled; null while it is known. */
  key_lost_from: number | null;
  /** How many entries the fleet could not make sense of. */
  unread: number;
  /** The history that this one has left, and its first entry that differs. */
  diverged_from: string | null;
  diverged_at_seq: number | null;
}

/** The entries, as the machine has written them. Those before `diverged_at_seq` are in the history that was left. */
interface EntriesTable {
  readonly machine: string;
  readonly log: string;
  readonly seq: number;
  at: Time;
  event: string;
  incident: string | null;
  /** Without its newline. */
  line: string;
  /** When it was stored, by the clock of the database, never earlier than the entry before it: where streams go on. */
  readonly stored_at: Generated<Date>;
}

/** One row an incident of a history. */
export interface IncidentsTable {
  readonly machine: string;
  readonly log: string;
  readonly id: string;
  /** `seq` of the entry that it begins with. */
  number: number;
  class: string;
  /** 0 critical, 1 high, 2 medium, 3 low. */
  rank: number;
  state: string;
  source: string;
  created_at: Time;
  updated_at: Time;
  assignee: string | null;
  /** 0 none, 1 confirmed, 2 delivering, 3 overdue, 4 degraded. */
  containment: number;
  /** 0 none or resolved, 1 incomplete, 2 complete. */
  recovery: number;
  /** Whether it needs attention, apart from silences. */
  attention: boolean;
  snoozed_until: OptionalTime;
  resolution: string | null;
  /** 0 a real incident; for a drill 1 until it is over, then 2. */
  drill: number;
  version: number;
  decisive: number;
  /** `seq` of the entry that carried it over, if one did. */
  carried: number | null;
  dedup_key: string | null;
  /** Whether lists show it: false where a later history of the machine has the same incident. */
  current: boolean;
  /** Whether it was ever contained. */
  contained: boolean;
  /** When it was acknowledged and resolved, and when the last of its actions was confirmed, once all are. */
  acknowledged_at: OptionalTime;
  resolved_at: OptionalTime;
  confirmed_at: OptionalTime;
  /** Whether a delivery of it waits, is overdue or is broken, while it is not resolved. */
  waited: boolean;
  /** How long its document is, in UTF-8. */
  bytes: number;
}

/** The texts of incidents: what is read of those alone that are shown or go on. */
interface DocumentsTable {
  readonly machine: string;
  readonly log: string;
  readonly id: string;
  /** What the statechart of the incident remembers: JSON. */
  context: string;
  /** The incident as the recorder's API shows it: JSON. */
  document: string;
}

/** What incidents are found by: in `words` what their reports say, and in `later_words` what was added, where there is any. */
interface WordsTable {
  readonly machine: string;
  readonly log: string;
  readonly id: string;
  /** Words and marks: `lexeme.ts` and `search/`. */
  search: string;
}

/** The deliveries of unresolved incidents: what holds an action in force. */
interface DeliveriesTable {
  readonly machine: string;
  readonly log: string;
  readonly action: string;
  readonly incident: string;
  /** `engage`; how a release stands is in `posture`. */
  readonly directive: string;
  /** `superseded` where a person has released it early. */
  status: string;
  /** Why it is not known to be carried out: 0 it is, 1 waiting, 2 overdue, 3 broken. */
  wait: number;
  asked_at: Time;
  asked_seq: number;
  overdue_at: OptionalTime;
  /** When it is to be sent, if it is. */
  due_at: OptionalTime;
}

/** How each action stands on a machine. */
interface PostureTable {
  readonly machine: string;
  readonly log: string;
  readonly action: string;
  /** How many unresolved incidents hold it: it is in force when that is more than 0. */
  holders: number;
  /** Since when it is in force, or released. */
  since: OptionalTime;
  heard_at: OptionalTime;
  /** How many of its deliveries wait, are overdue, or are broken. */
  unconfirmed: number;
  overdue: number;
  /** The last entry that changed it. */
  seq: number;
  /** `ActionPosture` of the domain: JSON. */
  document: string;
}

/** What happened in each hour: as `activity` of the recorder, by class. */
interface HoursTable {
  readonly machine: string;
  readonly log: string;
  /** Hours since the epoch. */
  readonly hour: number;
  readonly class: string;
  /** A severity that was reported, or `contained` or `resolved`. */
  readonly what: string;
  /** For those two: how long it had taken, as a step of the scale in `domain/activity.ts`; else 0. */
  readonly step: number;
  count: number;
}

/** How many incidents there are of each kind. */
interface StatsTable {
  readonly machine: string;
  readonly log: string;
  /**
   * `population` (name: class, severity, state and 1 for drills or 0, with a space between), `entered` (a state that was
   * ever entered), `containment` (a status), `recovery` (a stage), `resolution`.
   */
  readonly kind: string;
  readonly name: string;
  count: number;
}

interface SilencesTable {
  readonly machine: string;
  readonly log: string;
  readonly id: string;
  seq: number;
  /** `SilenceOnRecord`: JSON. */
  silence: string;
}

interface GuardsTable {
  readonly machine: string;
  readonly log: string;
  readonly source: string;
  heard_at: OptionalTime;
  silent_since: OptionalTime;
}

interface FindingsTable {
  readonly machine: string;
  readonly log: string;
  readonly finding: string;
  detail: string;
  found_at: Time;
  open: boolean;
}

/** What the fleet itself has found: a rewritten past, a silent machine. */
export interface FleetIncidentsTable {
  readonly machine: string;
  readonly id: string;
  /** `log_diverged`, `machine_silent`, … */
  kind: string;
  opened_at: Time;
  closed_at: OptionalTime;
  detail: JSONColumnType<object>;
  acknowledged_at: OptionalTime;
  acknowledged_by: string | null;
  note: string | null;
}

/** What people ask of a machine. */
export interface CommandsTable {
  readonly machine: string;
  readonly id: string;
  log: string | null;
  command: string;
  /** What it is about, if it is about one. */
  incident: string | null;
  body: JSONColumnType<object>;
  /** The signed note that the machine fetches. */
  signed: string;
  by: string;
  role: string;
  issued_at: Time;
  expires_at: Time;
  fetched_at: OptionalTime;
  finished_at: OptionalTime;
  /** `pending`, `fetched`, `done`, `refused`, `expired`. */
  state: string;
  /** What the machine has answered: an HTTP status and a body. */
  status: number | null;
  result: string | null;
  /** The act with many machines that it belongs to. */
  act: string | null;
}

/** What was done at the fleet itself. `machine` is empty where it concerns none. */
interface ActsTable {
  readonly machine: string;
  readonly id: string;
  at: Time;
  who: string;
  what: string;
  detail: JSONColumnType<object>;
  /** What of it is long, and not in lists: the incidents of a command on many. */
  selection: JSONColumnType<object> | null;
  /** Of an act that goes on as long as its client asks: how many of its selection were asked for. */
  asked: Generated<number>;
  /** How many commands it gives. */
  size: Generated<number>;
}

/** How far the entries of a log were looked through for campaigns, and how far what they have become was counted. */
interface CampaignProgressTable {
  readonly machine: string;
  readonly log: string;
  through: number;
  counted: number;
}

/** The incidents that may be part of a campaign, as they were when they were counted. */
interface CampaignMembersTable {
  readonly machine: string;
  readonly log: string;
  readonly incident: string;
  /** SHA-256 over the rule, the class and the values: the same for incidents that belong together. */
  signature: string;
  /** When it was reported, and when the fleet stored that. */
  at: Time;
  stored_at: Time;
  unresolved: boolean;
  rank: number | null;
}

/** `machine` is empty: a campaign belongs to none. Its members are those with its signature from its first to its last time. */
interface CampaignsTable {
  readonly machine: string;
  readonly campaign: string;
  signature: string;
  /** The name of the rule in the fleet's policy. */
  rule: string;
  class: string;
  /** The values that its members have in common, by their paths: JSON. */
  shared: string;
  first_at: Time;
  last_at: Time;
  raised_at: Time;
  /** How many machines and incidents it has, how many of these are not resolved, and the worst rank. */
  machines: Generated<number>;
  incidents: Generated<number>;
  unresolved: Generated<number>;
  rank: number | null;
}

/** What a campaign has on one machine. */
interface CampaignCountsTable {
  readonly machine: string;
  readonly campaign: string;
  incidents: number;
  unresolved: number;
  rank: number | null;
  first_at: Time;
  last_at: Time;
  /** How many incidents the campaign had on all machines when this one joined it, and when it last grew on this one. */
  joined: number;
  grown: number;
}

/** What a batch has marked: hours whose sums are not what they were. See `read-models/marks.ts`. */
interface MarksTable {
  readonly machine: string;
  readonly log: string;
  /** A number at random. */
  readonly batch: number;
  /** Hours since the epoch: those in `hour_sums`, and those in `created_sums`. */
  readonly activity: number[];
  readonly created: number[];
}

/** `hours` of all machines, by any class; `machine` is empty. */
interface HourSumsTable {
  readonly machine: string;
  readonly hour: number;
  readonly what: string;
  readonly step: number;
  count: number;
}

/** The incidents of all machines by when they were created, without drills; `machine` is empty. */
interface CreatedSumsTable {
  readonly machine: string;
  /** In hours: 1 or 24; and the beginning in hours since the epoch. */
  readonly length: number;
  readonly beginning: number;
  readonly class: string;
  readonly source: string;
  readonly rank: number;
  count: number;
  /** How many wait to be contained, acknowledged, resolved; and when the oldest of these was created, in milliseconds. */
  contain: number;
  contain_oldest: number | null;
  acknowledge: number;
  acknowledge_oldest: number | null;
  resolve: number;
  resolve_oldest: number | null;
}

/** The same by the minute (minutes since the epoch), and how many alone. */
interface MinuteSumsTable {
  readonly machine: string;
  readonly minute: number;
  count: number;
}

export interface FleetTables {
  readonly meta: MetaTable;
  readonly machines: MachinesTable;
  readonly enrolments: EnrolmentsTable;
  readonly logs: LogsTable;
  readonly entries: EntriesTable;
  readonly incidents: IncidentsTable;
  readonly documents: DocumentsTable;
  readonly words: WordsTable;
  readonly later_words: WordsTable;
  readonly deliveries: DeliveriesTable;
  readonly posture: PostureTable;
  readonly hours: HoursTable;
  readonly stats: StatsTable;
  readonly left_counts: StatsTable;
  readonly silences: SilencesTable;
  readonly guards: GuardsTable;
  readonly findings: FindingsTable;
  readonly fleet_incidents: FleetIncidentsTable;
  readonly commands: CommandsTable;
  readonly acts: ActsTable;
  readonly campaign_progress: CampaignProgressTable;
  readonly campaign_members: CampaignMembersTable;
  readonly campaigns: CampaignsTable;
  readonly campaign_counts: CampaignCountsTable;
  readonly marks: MarksTable;
  readonly hour_sums: HourSumsTable;
  readonly created_sums: CreatedSumsTable;
  readonly minute_sums: MinuteSumsTable;
}

/** Those with rows of machines, in the order in which they are distributed. */
export const TABLES = [
  'meta',
  'machines',
  'enrolments',
  'logs',
  'entries',
  'incidents',
  'documents',
  'words',
  'later_words',
  'deliveries',
  'posture',
  'hours',
  'stats',
  'left_counts',
  'silences',
  'guards',
  'findings',
  'fleet_incidents',
  'commands',
  'acts',
  'campaign_progress',
  'campaign_members',
  'campaigns',
  'campaign_counts',
  'marks',
  'hour_sums',
  'created_sums',
  'minute_sums',
] as const satisfies readonly (keyof FleetTables)[];
