/**
 * What entries make of one history of a machine's log: incidents, posture, statistics, by the recorder's own code
 * (`fold`, `PostureFold`, `Tally`, `contribute`).
 *
 * It is kept in memory between batches, as far as it may grow: the row of the log in the database says how far it is
 * (`through`, `hash`), and whoever finds another head there begins again from the database.
 *
 * An entry that makes no sense where it is (a machine may send anything) changes nothing but the count of unread entries.
 */
import type { ContainmentAction } from '../../../machines/vocabulary.ts';
import { snapshotOf } from '../../../machines/decision.ts';
import type { IncidentContext } from '../../../machines/incident.ts';
import { CompactRange, type WrittenRange } from '../../audit/compact-range.ts';
import { contribute } from '../../domain/activity.ts';
import { documentOf } from '../../domain/document.ts';
import { type Entry, type EntryOf, type IncidentEntry, isAboutIncident, isOpening } from '../../domain/entries.ts';
import { foldOverGap } from '../../domain/fold-over-gap.ts';
import { fold, type Incident, type IncidentRecord, type RecordChange } from '../../domain/incident.ts';
import { type ActionPosture, PostureFold } from '../../domain/posture.ts';
import { silencesAfter, withArchived } from '../../domain/silence.ts';
import type { SilenceOnRecord } from '../../domain/silence-terms.ts';
import { Tally } from '../../domain/tally.ts';
import { readWords } from '../../search/search-words.ts';
import { isTime, requireSound } from './sound-incident.ts';

/** The incidents of one history that are kept between batches: the latest ones. */
const MOST_RECORDS = 512;
/** Their documents, in characters. */
const MOST_WEIGHT = 2 * 1024 * 1024;
/** Actions whose posture is kept; the vocabulary has five. */
const MOST_ACTIONS = 64;

/** An identifier of an incident, as a key of the database. */
const ID = /^[\w.:-]{1,128}$/;
/** A word of the vocabulary; a newer recorder may know more of them. */
const WORD = /^[a-z][a-z0-9_-]{0,63}$/;
const MOST_VERSION = 2 ** 31 - 1;
/** The longest name of a source or a finding that is kept, in UTF-16 units. */
const LONGEST_NAME = 1024;

/** A row of `incidents`, as far as a record is made of it. */
export interface StoredIncident {
  readonly id: string;
  readonly number: number;
  readonly decisive: number;
  readonly carried: number | null;
  readonly context: string;
  readonly document: string;
}

export interface GuardChange {
  readonly source: string;
  readonly heard_at: string | null;
  readonly silent_since: string | null;
}

export interface FindingChange {
  readonly finding: string;
  readonly detail: string;
  readonly found_at: string;
  readonly open: boolean;
}

/** What a batch has changed. */
export class BatchChanges {
  readonly incidents = new Map<string, RecordChange>();
  readonly documents = new Map<string, string>();
  readonly tally = new Tally();
  /** By class, then as `contribute` counts. */
  readonly hours = new Map<string, Map<string, number>>();
  readonly guards = new Map<string, GuardChange>();
  /** Undefined: it was acknowledged. */
  readonly findings = new Map<string, FindingChange | undefined>();
  /** The silences before, where they have changed. */
  silencesBefore: readonly SilenceOnRecord[] | undefined;
  /** The last anchor that the machine has recorded. */
  recorded: { readonly seq: number; readonly at: string } | undefined;
  unread = 0;
}

export class HistoryFold {
  /** The last entry that it has taken, and its hash. */
  through: number;
  hash: string;
  readonly range: CompactRange;
  readonly posture = new PostureFold();
  silences: readonly SilenceOnRecord[];
  /** Whether the history began with a later entry than 1: then earlier incidents are not known. */
  readonly hasGap: boolean;
  readonly #records = new Map<string, IncidentRecord>();
  readonly #weights = new Map<string, number>();
  #weight = 0;

  constructor(state: {
    readonly through: number;
    readonly hash: string;
    readonly range: WrittenRange;
    readonly posture: ReadonlyMap<string, ActionPosture>;
    readonly silences: readonly SilenceOnRecord[];
    readonly hasGap: boolean;
  }) {
    this.through = state.through;
    this.hash = state.hash;
    const range = CompactRange.read(state.range);
    if (range === undefined) throw new RangeError('the range of a log in the database is none');
    this.range = range;
    this.silences = state.silences;
    this.hasGap = state.hasGap;
    for (const [action, posture] of state.posture) this.posture.restore(action as ContainmentAction, posture);
  }

  /** How much memory it takes, roughly, in characters. */
  get weight(): number {
    return this.#weight + 2048;
  }

  /** The incidents that these entries are about and that are not in memory. */
  missing(entries: readonly Entry[]): readonly string[] {
    const ids = new Set<string>();
    for (const entry of entries) {
      const id = idOf(entry);
      if (id !== undefined && !this.#records.has(id)) ids.add(id);
    }
    return [...ids];
  }

  /** Takes up incidents from the database. */
  restore(rows: readonly StoredIncident[]): void {
    for (const { id, number, decisive, carried, context, document } of rows) {
      const incident = JSON.parse(document) as Incident;
      const snapshot = snapshotOf(incident.state, JSON.parse(context) as IncidentContext);
      const record = { incident, snapshot, seq: number, decisive, ...(carried === null ? {} : { carried }) };
      this.#keep(id, record, document.length);
    }
  }

  /** Takes entries, the next ones in order. `restore` has taken up what `missing` has named. */
  take(entries: readonly Entry[]): BatchChanges {
    const changes = new BatchChanges();
    for (const entry of entries) {
      this.through = entry.data.seq;
      this.hash = entry.entry_hash;
      this.range.append(Buffer.from(entry.entry_hash, 'hex'));
      try {
        this.#follow(entry, changes);
      } catch {
        // Whatever a forged entry makes the domain throw.
        changes.unread += 1;
      }
    }
    for (const [id, { before, now }] of changes.incidents) {
      const { json } = documentOf(now);
      changes.documents.set(id, json);
      this.#keep(id, now, json.length);
      if (before !== undefined) contribute(hoursOf(changes, before.incident), before.incident, -1);
      contribute(hoursOf(changes, now.incident), now.incident, 1);
    }
    this.#forget();
    return changes;
  }

  #follow(entry: Entry, changes: BatchChanges): void {
    if (isAboutIncident(entry)) {
      this.#followIncident(entry, changes);
      return;
    }
    // A recorder that is newer than this fleet may write other events: they are stored, and mean nothing here.
    switch (entry.event) {
      case 'containment.heard':
        this.#requireAction(entry.data.action);
        this.posture.hear(entry);
        return;
      case 'silence.added':
      case 'silence.ended':
        this.#setSilences(silencesAfter(this.silences, entry), changes);
        return;
      case 'guard.heard':
      case 'guard.silent':
        followGuard(entry, changes);
        return;
      case 'log.damage_found':
      case 'log.damage_acknowledged':
        followFinding(entry, changes);
        return;
      case 'log.archived':
        // The fleet keeps what the machine archives. Only what it never had is taken over from here.
        if (!this.hasGap) return;
        this.posture.leave(entry.data);
        this.#setSilences(withArchived(this.silences, entry.data), changes);
        return;
      default:
        followAnchor(entry, changes);
    }
  }

  #setSilences(silences: readonly SilenceOnRecord[], changes: BatchChanges): void {
    if (silences === this.silences) return;
    if (!silences.every(isSilence)) throw new RangeError('no silence');
    changes.silencesBefore ??= this.silences;
    this.silences = silences;
  }

  #followIncident(entry: IncidentEntry, changes: BatchChanges): void {
    const { incident: id, version } = entry.data;
    if (!ID.test(id) || !Number.isSafeInteger(version) || version < 1 || version > MOST_VERSION)
      throw new RangeError('no identifier or version of an incident');
    const before = this.#records.get(id);
    if (before === undefined && !isOpening(entry)) {
      if (this.hasGap) return;
      throw new RangeError('never reported');
    }
    if (before !== undefined && (entry.event === 'incident.reported' || entry.event === 'incident.imported'))
      throw new RangeError('reported before');
    if ('action' in entry.data) this.#requireAction(entry.data.action);
    if ('intents' in entry.data) for (const { action } of entry.data.intents ?? []) this.#requireAction(action);
    const now = folded(before, entry, changes);
    requireSound(now.incident, before?.incident);
    this.posture.follow(entry, now, before);
    changes.tally.follow(now, before);
    this.#records.delete(id);
    this.#records.set(id, now);
    const known = changes.incidents.get(id);
    changes.incidents.set(id, { before: known === undefined ? before : known.before, now });
  }

  #requireAction(action: unknown): void {
    const { all } = this.posture;
    if (typeof action !== 'string' || !WORD.test(action)) throw new RangeError('no action');
    if (!all.has(action as ContainmentAction) && all.size >= MOST_ACTIONS) throw new RangeError('too many actions');
  }

  #keep(id: string, record: IncidentRecord, weight: number): void {
    this.#weight += weight - (this.#weights.get(id) ?? 0);
    this.#weights.set(id, weight);
    // The latest is the last.
    this.#records.delete(id);
    this.#records.set(id, record);
  }

  #forget(): void {
    for (const id of this.#records.keys()) {
      if (this.#records.size <= MOST_RECORDS && this.#weight <= MOST_WEIGHT) return;
      this.#records.delete(id);
      this.#weight -= this.#weights.get(id) ?? 0;
      this.#weights.delete(id);
    }
  }
}

/** Whether lists can compare a silence with incidents: those of all machines would fail on one that is none. */
function isSilence(given: SilenceOnRecord): boolean {
  const { silence: id, seq, class: classes, source, severity, q, from, until } = given;
  const isSound =
    typeof id === 'string' &&
    ID.test(id) &&
    Number.isSafeInteger(seq) &&
    [classes, source, severity].every(areTexts) &&
    (q === undefined || typeof q === 'string') &&
    isTime(from) &&
    isTime(until);
  // Throws for what is no search.
  if (isSound && q !== undefined) readWords(q);
  return isSound;
}

const areTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.every((one: unknown) => typeof one === 'string');

/** The incident that an entry is about, if that can be one. */
function idOf(entry: Entry): string | undefined {
  const id: unknown = (entry.data as { readonly incident?: unknown }).incident;
  return typeof id === 'string' && ID.test(id) ? id : undefined;
}

/** The incident that rows of `entries` name. */
export { idOf as incidentOf };

/** Folds an entry. What contradicts the record leaves it as it was last known, with the version of the entry. */
function folded(before: IncidentRecord | undefined, entry: IncidentEntry, changes: BatchChanges): IncidentRecord {
  try {
    return fold(before, entry);
  } catch (error) {
    if (before === undefined) throw error;
    changes.unread += 1;
    return foldOverGap(before, entry);
  }
}

function hoursOf({ hours }: BatchChanges, { class: ofClass }: Incident): Map<string, number> {
  let counts = hours.get(ofClass);
  if (counts === undefined) hours.set(ofClass, (counts = new Map<string, number>()));
  return counts;
}

function followGuard(entry: EntryOf<'guard.heard'> | EntryOf<'guard.silent'>, { guards }: BatchChanges): void {
  const { source } = entry.data;
  if (typeof source !== 'string' || source.length > LONGEST_NAME) throw new RangeError('no source');
  if (entry.event === 'guard.heard') {
    guards.set(source, { source, heard_at: entry.timestamp, silent_since: null });
    return;
  }
  const heard_at = guards.get(source)?.heard_at ?? null;
  guards.set(source, { source, heard_at, silent_since: entry.timestamp });
}

function followFinding(
  entry: EntryOf<'log.damage_found'> | EntryOf<'log.damage_acknowledged'>,
  { findings }: BatchChanges,
): void {
  const { finding } = entry.data;
  if (typeof finding !== 'string' || finding.length > LONGEST_NAME) throw new RangeError('no finding');
  if (entry.event === 'log.damage_acknowledged') {
    const known = findings.get(finding);
    findings.set(finding, known && { ...known, open: false });
    return;
  }
  const { detail } = entry.data;
  if (typeof detail !== 'string') throw new RangeError('no detail');
  findings.set(finding, { finding, detail, found_at: entry.timestamp, open: true });
}

/** `log.anchored`: the machine has recorded an anchor of the fleet. */
function followAnchor(entry: Entry, changes: BatchChanges): void {
  if ((entry.event as string) !== 'log.anchored') return;
  const { anchored_seq: seq, time } = entry.data as { readonly anchored_seq?: unknown; readonly time?: unknown };
  // The fleet has written that time: the clock of the machine may be wrong.
  const at = isTime(time) ? time : entry.timestamp;
  if (Number.isSafeInteger(seq) && Number(seq) > 0 && Number(seq) < entry.data.seq)
    changes.recorded = { seq: seq as number, at };
}
