/**
 * The reads that a decision may rest on.
 *
 * `Projections.current()` is the only way to them, and it throws while the projections are behind the log: so no actor
 * wakes from an old snapshot, no key counts as new that was used, and no service gets an old posture. What is
 * only shown to people is read from the projections themselves.
 */
import type { IncidentClass } from '../../machines/vocabulary.ts';
import type { LinePlace } from '../audit/log-reader.ts';
import type {
  ArchivedData,
  CarriedData,
  GuardOnRecord,
  Idempotency,
  RepeatNote,
  RequestTag,
  SegmentRange,
  SkippedEntry,
} from '../domain/entries.ts';
import type { SilenceOnRecord } from '../domain/silence-terms.ts';
import type { ReportTimes } from '../domain/report-times.ts';
import type { RecorderError } from '../errors.ts';
import { absenceOf } from './absence.ts';
import type { AccessFiles } from './access-files.ts';
import type { Anchors } from './anchors.ts';
import type { ArchivedIncidents, EntryRange } from './archived-incidents.ts';
import type { EntryPlaces } from './entry-places.ts';
import type { Findings } from './findings.ts';
import type { FleetCommands } from './fleet-commands.ts';
import type { Guards } from './guards.ts';
import type { IdempotencyKeys, ReportedUnder } from './idempotency-keys.ts';
import type { IncidentDocument } from '../domain/document.ts';
import type { Incidents, PersistedIncident } from './incidents.ts';
import type { DueMoments, IncidentsOfKinds, KindCursor, KindPage, Kinds } from './incidents-of-kinds.ts';
import type { Posture } from './posture.ts';
import type { PendingRecoveries } from './recoveries.ts';
import type { RecentReports, Repeated } from './recent-reports.ts';
import type { HalfReopened } from './half-reopened.ts';
import type { Snoozes } from './snoozes.ts';
import type { Silences } from './silences.ts';
import type { Sources } from './sources.ts';
import type { WebhookPosition, Webhooks } from './webhooks.ts';

export interface CurrentReadsSources {
  readonly incidents: Incidents;
  readonly posture: Posture;
  readonly recoveries: PendingRecoveries;
  readonly snoozes: Snoozes;
  readonly halfReopened: HalfReopened;
  readonly keys: IdempotencyKeys;
  readonly names: Sources;
  readonly reports: RecentReports;
  readonly webhooks: Webhooks;
  readonly kinds: IncidentsOfKinds;
  /** Made when it is first asked. */
  readonly archive: () => ArchivedIncidents;
  readonly findings: Findings;
  readonly guards: Guards;
  readonly places: EntryPlaces;
  readonly accessFiles: AccessFiles;
  readonly silences: Silences;
  readonly anchors: Anchors;
  readonly fleetCommands: FleetCommands;
  /** `seq` of the last entry that was applied. */
  readonly lastSeq: () => number;
}

export class CurrentReads {
  /** Which actions are in force, and the deliveries that hold them. */
  readonly posture: Posture;
  /** The names of sources on record. */
  readonly sources: Pick<Sources, 'suspicion' | 'has'>;
  /** The incidents that need a recovery. */
  readonly recoveries: PendingRecoveries;
  /** The incidents that are snoozed. */
  readonly snoozes: Pick<Snoozes, 'due'>;
  /** The last anchor of the log. */
  readonly anchors: Pick<Anchors, 'last'>;
  /** The commands of the fleet that were given. */
  readonly fleetCommands: Pick<FleetCommands, 'find' | 'forgottenUntil'>;
  readonly #sources: CurrentReadsSources;

  constructor(sources: CurrentReadsSources) {
    this.#sources = sources;
    this.posture = sources.posture;
    this.sources = sources.names;
    this.recoveries = sources.recoveries;
    this.snoozes = sources.snoozes;
    this.anchors = sources.anchors;
    this.fleetCommands = sources.fleetCommands;
  }

  /** An incident with the persisted snapshot of its actor. */
  incident(id: string): PersistedIncident | undefined {
    return this.#sources.incidents.persisted(id);
  }

  /** What the statechart is asked about an incident, and whether that is a drill. */
  situation(id: string): ReturnType<Incidents['situation']> {
    return this.#sources.incidents.situation(id);
  }

  /** Why an incident is not on record: it may have been archived, or there never was one. */
  absenceOf(id: string): RecorderError {
    return absenceOf(id, this.#sources.archive());
  }

  document(id: string): IncidentDocument | undefined {
    return this.#sources.incidents.get(id);
  }

  hasIncident(id: string): boolean {
    return this.#sources.incidents.has(id);
  }

  /** The unresolved incident that a report with this `dedup_key` belongs to. `owner`: whose the key is (`keysOwner`). */
  unresolved(dedupKey: string, incidentClass: IncidentClass, source: string, owner: string): string | undefined {
    return this.#sources.incidents.findUnresolved(dedupKey, incidentClass, source, owner);
  }

  /** The newest unresolved incident of a class and source, of all or of one that this owner of keys has reported. */
  newestUnresolved(incidentClass: IncidentClass, source: string, owner?: string): string | undefined {
    return this.#sources.incidents.newestUnresolved(incidentClass, source, owner);
  }

  /**
   * How many incidents of a class and source an owner of keys has reported since a time (milliseconds since the epoch),
   * at most `most`.
   */
  reportedSince(incidentClass: IncidentClass, source: string, since: number, most: number, owner: string): number {
    return this.#sources.incidents.reportedSince(incidentClass, source, since, most, owner);
  }

  /** When the latest reports came; another object once anything but a further report has changed it. */
  get reportTimes(): ReportTimes {
    return this.#sources.reports.times;
  }

  /** The latest report with the values that a key names, if its incident is not resolved. */
  repeated(key: string): Repeated | undefined {
    return this.#sources.reports.find(key);
  }

  /** The incidents that take up another one which does not name them yet. */
  halfReopened(most: number): readonly string[] {
    return this.#sources.halfReopened.all(most);
  }

  /** The drills that are not over. */
  runningDrills(): readonly string[] {
    return this.#sources.incidents.runningDrills();
  }

  /** How many bytes of the log are about the incidents of each source that were created since a time. */
  bytesSince(since: number): ReadonlyMap<string, number> {
    return this.#sources.incidents.bytesSince(since);
  }

  /** What was reported by a request, or in old entries by this source under this idempotency key. */
  reportedBy(request: RequestTag, source: string, idempotency: Idempotency, owner: string): ReportedUnder | undefined {
    return this.#sources.keys.find(request, source, idempotency, owner);
  }

  /** How far a webhook has taken the log; undefined when it is new. */
  takenBy(url: string): WebhookPosition | undefined {
    return this.#sources.webhooks.position(url);
  }

  /** A page of the incidents of some kinds: see `IncidentsOfKinds`. */
  incidentsOf(kinds: Kinds, after: KindCursor | undefined, most: number, due?: DueMoments): KindPage {
    return this.#sources.kinds.page(kinds, after, most, due);
  }

  /** An entry that was skipped for a webhook; undefined when that one was not. */
  skippedFor(url: string, seq: number): SkippedEntry | undefined {
    return this.#sources.webhooks.findSkipped(url, seq);
  }

  /** A guard on record; undefined when the log says nothing about it. */
  guard(source: string): GuardOnRecord | undefined {
    return this.#sources.guards.get(source);
  }

  /** The silences that are active at a time: milliseconds since the epoch. */
  silences(at: number): readonly SilenceOnRecord[] {
    return this.#sources.silences.active(at);
  }

  /** A silence on record; undefined when there is no such. */
  silence(id: string): SilenceOnRecord | undefined {
    return this.#sources.silences.get(id);
  }

  /** All silences on record, oldest first. */
  allSilences(): readonly SilenceOnRecord[] {
    return this.#sources.silences.all();
  }

  /**
   * The unresolved incidents that these entries hold the beginning of, oldest first: they have to be carried over before
   * the entries can leave the log.
   * @param range one of `windowsOf` where others wait
   */
  toCarry(range: EntryRange): readonly string[] {
    return this.#sources.archive().unresolved(range);
  }

  /** Where the entry stands that a replay begins an incident with; undefined when that is not known. */
  openingOf(id: string): LinePlace | undefined {
    return this.#sources.places.opening(id);
  }

  /** The entries about an incident that are in the log, by `seq`. */
  seqsOf(id: string): readonly number[] {
    return this.#sources.places.page(id, 0).places.map(({ seq }) => seq);
  }

  /** The newest requests by which an incident was reported. @param number its place among all */
  requestsOf(number: number): CarriedData['requests'] {
    return this.#sources.keys.newest(number);
  }

  /**
   * The newest values that reports may repeat of an incident.
   * @param number its place among all
   * @param timestamp that of the entry that carries it over
   */
  repeatsOf(number: number, timestamp: string): readonly RepeatNote[] {
    return this.#sources.reports.newest(number, timestamp);
  }

  /** Why these entries have to stay in the log even if all their incidents were resolved, or undefined. */
  immovable(range: EntryRange): string | undefined {
    return this.#sources.archive().runningDrill(range) ?? this.posture.obstacle(range);
  }

  /** The same because of incidents that begin in entries that stay: see `ArchivedIncidents.stray`. */
  stray(range: EntryRange, staying: readonly EntryRange[], turn: () => Promise<void>): Promise<string | undefined> {
    return this.#sources.archive().stray(range, staying, turn);
  }

  /** Why these entries have to stay in the log, when none of their incidents strays; or undefined. */
  obstacle(range: EntryRange): string | undefined {
    return this.#sources.archive().obstacle(range) ?? this.posture.obstacle(range);
  }

  /** The incidents that leave with these entries, all resolved: see `ArchivedIncidents.counts`. */
  counts(range: EntryRange, turn: () => Promise<void>): Promise<Pick<ArchivedData, 'incidents' | 'entered'>> {
    return this.#sources.archive().counts(range, turn);
  }

  /** The incidents reported in these entries whose releases are still on record, each once. */
  releasedBy(range: EntryRange): readonly string[] {
    return this.posture.releasedBy(range);
  }

  /** What a `log.archived` entry records besides `counts` of what leaves with these entries. */
  summary(range: EntryRange): Omit<ArchivedData, keyof SegmentRange | 'earlier' | 'incidents' | 'entered'> {
    const { webhooks, findings, guards, accessFiles, silences, anchors, fleetCommands, lastSeq } = this.#sources;
    const anchor = anchors.last();
    const until = fleetCommands.untilWithout(range.last);
    const found = findings.all();
    const known = guards.all();
    const untaken = webhooks.untaken();
    const notices = webhooks.notices();
    return {
      posture: this.posture.memory(range),
      posture_seq: lastSeq(),
      notified: webhooks.all(),
      ...(untaken === undefined ? {} : { untaken }),
      ...(notices === undefined ? {} : { notices }),
      ...(found.length === 0 ? {} : { findings: found }),
      ...(known.length === 0 ? {} : { guards: known }),
      ...(accessFiles.had ? { access_file: true } : {}),
      ...(silences.all().length === 0 ? {} : { silences: silences.all() }),
      ...(anchor === undefined ? {} : { anchor }),
      ...(until === undefined ? {} : { fleet_commands_until: until }),
    };
  }
}
