/**
 * What has changed since an entry or a time, for whoever takes over: for each incident what people and reports have done
 * to it, without the noise of deliveries that went well, and what concerns the recorder itself.
 *
 * It is read from the log, so that it says what is on record and who did it; what an incident is now comes from the
 * projections. One page takes a bounded part of the log, and says where the next one begins. It ends with the log: it is
 * no stream.
 */
import type { Role, Severity, State } from '../../machines/vocabulary.ts';
import { firstSeqOf, goneTo } from '../audit/log-position.ts';
import { LogCursor } from '../audit/log-cursor.ts';
import { readEntriesAt, type Turn } from '../audit/log-reader.ts';
import type { ReadableLog } from '../audit/log.ts';
import { beginningOf } from '../domain/beginning.ts';
import { SERVICE_TOKEN } from '../domain/caller.ts';
import { type Entry, isAboutIncident, isOpening } from '../domain/entries.ts';
import type { Incident } from '../domain/incident.ts';
import { withoutAnswer } from '../domain/withheld.ts';
import { RecorderError } from '../errors.ts';
import type { Projections } from '../projections/projections.ts';

/** One page takes no more entries of the log than this, and no more incidents. */
const MOST_ENTRIES = 2000;
const MOST_INCIDENTS = 500;
/** Nor more bytes of it, nor more characters of what is shown, by a line or two. */
const MOST_BYTES = 4 * 1024 * 1024;
const MOST_CHARACTERS = 512 * 1024;
/** How many characters of a description are shown, and how many besides its texts a change takes at most, roughly. */
const LONGEST_DESCRIPTION = 500;
const OF_CHANGE = 200;

/** Where to begin: behind an entry, or with what was written since a time, in milliseconds since the epoch. */
export interface ChangesQuery {
  readonly after?: number | undefined;
  readonly since?: number | undefined;
}

/** One thing that was done. Times are RFC 3339. */
export interface ChangeEvent {
  readonly seq: number;
  readonly at: string;
  readonly event: string;
  /** Who did it, and in which role. */
  readonly by?: string;
  /** There when nothing but the request says who that was. */
  readonly claimed?: true;
  readonly role?: Role;
  /** What they said about it: a note, a reason, or why it failed. */
  readonly note?: string;
  /** The state of the incident after it. */
  readonly state?: State;
  /** How many further reports this stands for, when more than one. */
  readonly count?: number;
  /** What it is about, as its entry says it: `action`, `to`, `until`, and so on. */
  readonly [detail: string]: unknown;
}

/** What of an incident is shown besides what has changed. */
const SUMMARY = [
  'class',
  'source',
  'severity',
  'state',
  'description',
  'created_at',
  'updated_at',
  'occurrences',
  'containment_actions',
  'resolution',
  'drill',
  'assignee',
  'snoozed_until',
  'reopens',
  'reopened_as',
] as const satisfies readonly (keyof Incident)[];

/** What has changed of one incident. */
export type ChangedIncident = Partial<Pick<Incident, (typeof SUMMARY)[number]>> & {
  readonly id: string;
  /** Its latest change in the page. */
  readonly seq: number;
  readonly at: string;
  /** Its state before; not there when it is new. */
  readonly was?: State;
  /** How far its containment is, and what its recovery needs, while it is unresolved. */
  readonly containment_status?: string;
  readonly recovery_missing?: readonly string[];
  readonly events: readonly ChangeEvent[];
};

export interface ChangesPage {
  /** The page is about the entries behind this one, up to `through`. */
  readonly after: number;
  readonly through: number;
  /** The incidents that have changed, in the order of their latest change. */
  readonly changes: readonly ChangedIncident[];
  /** What concerns the recorder itself: policies, silences, damage, guards, restarts. */
  readonly others: readonly ChangeEvent[];
  /** Whether `through` is the end of the log. */
  readonly complete: boolean;
  /** Ask for what is after this entry for the next page; not there at the end. */
  readonly next?: number;
  /** The entries up to this one are archived, so that the page may lack what was asked for. */
  readonly archived_through?: number;
}

/** What is no news to whoever takes over. */
const NOISE: ReadonlySet<string> = new Set([
  'alert.raised',
  'containment.attempted',
  'containment.confirmed',
  'containment.spared',
  'containment.heard',
  'notification.delivered',
  'guard.heard',
  'incident.carried',
  'log.archived',
  'log.anchored',
]);

/** What entries say about themselves that is shown as it is. */
const DETAILS = [
  'action',
  'directive',
  'attention',
  'class',
  'severity',
  'q',
  'resolution',
  'to',
  'until',
  'why',
  'as',
  'silence',
  'finding',
  'source',
  'digest',
  'url',
  'service_version',
  'by_ms',
] as const;

/** What an incident's changes gather to. */
interface Gathered {
  readonly firstVersion: number;
  isNew: boolean;
  readonly events: ChangeEvent[];
}

type Reads = Pick<Projections, 'current' | 'clockJumps' | 'placeOf'>;

export class IncidentChanges {
  readonly #log: ReadableLog;
  readonly #projections: Reads;
  readonly #logId: () => string | undefined;

  /** @param logId the identity of the log, when it is known */
  constructor(log: ReadableLog, projections: Reads, logId: () => string | undefined) {
    this.#log = log;
    this.#projections = projections;
    this.#logId = logId;
  }

  /**
   * A page of what has changed.
   * @param words whether the reader gets the words of services
   * @param turn awaited before each part of the work
   * @throws RecorderError `gone` when the entry is archived or of another log, `damaged_log`, `log_unavailable`,
   *   `overloaded`
   */
  async read({ after, since }: ChangesQuery, words: boolean, turn?: Turn): Promise<ChangesPage> {
    const current = this.#projections.current();
    const first = firstSeqOf(this.#log);
    if (after !== undefined && after > this.#log.status.entries) {
      throw goneTo(`the log ends before entry ${after}`, this.#log, this.#logId());
    }
    const begin = after ?? (await this.#placeOf(since ?? 0, first, turn)) - 1;
    const cursor = new LogCursor(this.#log, begin);
    const incidents = new Map<string, Gathered>();
    const others: ChangeEvent[] = [];
    const taken = { entries: 0, bytes: 0, characters: 0 };
    const hasRoom = (): boolean =>
      taken.entries < MOST_ENTRIES &&
      taken.bytes < MOST_BYTES &&
      taken.characters < MOST_CHARACTERS &&
      incidents.size < MOST_INCIDENTS;
    while (!cursor.atEnd && hasRoom()) {
      const lines = await cursor.next(turn);
      taken.entries += lines.length;
      for (const line of lines) {
        taken.bytes += line.bytes.length;
        if (!NOISE.has(line.event)) taken.characters += gather(line.entry(), incidents, others, words);
      }
    }
    const changes: ChangedIncident[] = [];
    for (const [id, gathered] of incidents) {
      await turn?.();
      // Whoever has a token never waits for a turn, and the others have to be served all the same.
      await new Promise(setImmediate);
      changes.push(await this.#changed(id, gathered, current.document(id)?.json));
    }
    const complete = cursor.atEnd;
    return {
      after: begin,
      through: cursor.position,
      changes: changes.toSorted((one, other) => one.seq - other.seq),
      others,
      complete,
      ...(complete ? {} : { next: cursor.position }),
      ...(after === undefined && begin === first - 1 && first > 1 ? { archived_through: first - 1 } : {}),
    };
  }

  async #changed(id: string, { firstVersion, isNew, events }: Gathered, json: string | undefined) {
    const { seq, at, state } = events.at(-1)!;
    const was = isNew ? undefined : await this.#stateAt(id, firstVersion - 1);
    const document = json === undefined ? undefined : (JSON.parse(json) as Incident);
    const summary = SUMMARY.filter((name) => document?.[name] !== undefined).map((name) => [name, document?.[name]]);
    const description = document && { description: beginningOf(document.description, LONGEST_DESCRIPTION) };
    const isOver = document === undefined || document.state === 'resolved';
    const missing = isOver ? undefined : document.recovery?.missing;
    return {
      id,
      ...(state === undefined ? {} : { state }),
      ...Object.fromEntries(summary),
      ...description,
      seq,
      at,
      ...(was === undefined ? {} : { was }),
      ...(isOver || document.containment === undefined ? {} : { containment_status: document.containment.status }),
      ...(missing === undefined || missing.length === 0 ? {} : { recovery_missing: missing }),
      events,
    } as ChangedIncident;
  }

  /** The state of an incident after one of its entries; undefined when that is not in the log any more. */
  async #stateAt(id: string, version: number): Promise<State | undefined> {
    const place = this.#projections.placeOf(id, version);
    if (place === undefined) return undefined;
    try {
      const [line] = await readEntriesAt(this.#log, [place]);
      const entry = line?.entry();
      return entry !== undefined && isAboutIncident(entry) && entry.data.incident === id ? entry.data.state : undefined;
    } catch (error) {
      if (!(error instanceof RecorderError) || error.code !== 'gone') throw error;
      return undefined;
    }
  }

  /**
   * The first entry that was written since a time. Entries follow each other in time but for jumps of the clock: between
   * two of them the first is found by halves, and the earliest of all counts.
   */
  async #placeOf(since: number, first: number, turn?: Turn): Promise<number> {
    const last = this.#log.status.entries;
    const ends = this.#projections.clockJumps
      .newest()
      .map(({ after_seq: end }) => end)
      .filter((end) => end >= first && end < last);
    let begin = first;
    for (const end of [...ends, last]) {
      const found = await this.#firstSince(since, begin, end, turn);
      if (found !== undefined) return found;
      begin = Math.max(begin, end + 1);
    }
    return last + 1;
  }

  /** The first of some entries that follow each other in time that was written since a time. */
  async #firstSince(since: number, from: number, to: number, turn?: Turn): Promise<number | undefined> {
    let [low, high] = [from, to + 1];
    while (low < high) {
      await turn?.();
      const middle = Math.floor((low + high) / 2);
      const [line] = await new LogCursor(this.#log, middle - 1).next();
      if (line === undefined || Date.parse(line.entry().timestamp) >= since) high = middle;
      else low = middle + 1;
    }
    return low > to ? undefined : low;
  }
}

/** Adds an entry to what is shown. @returns how many characters that takes, roughly */
function gather(entry: Entry, incidents: Map<string, Gathered>, others: ChangeEvent[], words: boolean): number {
  const event = eventOf(entry, words);
  const characters = lengthOf(event);
  if (!isAboutIncident(entry)) {
    others.push(event);
    return characters;
  }
  const { incident, version, state } = entry.data;
  const known = incidents.get(incident) ?? { firstVersion: version, isNew: false, events: [] };
  known.isNew ||= isOpening(entry);
  incidents.set(incident, known);
  const before = known.events.at(-1);
  const isCounted = entry.event === 'incident.recurred' && isPlain(entry);
  if (isCounted && before?.event === entry.event && before.attention === undefined) {
    known.events[known.events.length - 1] = { ...event, state, count: (before.count ?? 1) + 1 };
    return 0;
  }
  known.events.push({ ...event, state });
  return before === undefined ? characters + LONGEST_DESCRIPTION : characters;
}

const lengthOf = (event: ChangeEvent): number =>
  Object.values(event).reduce<number>((sum, value) => sum + (typeof value === 'string' ? value.length : 0), OF_CHANGE);

/** Whether a further report is only counted: it has asked for nothing and needs no attention. */
const isPlain = ({ data }: Extract<Entry, { readonly event: 'incident.recurred' }>): boolean =>
  data.attention === undefined && (data.intents ?? []).length === 0;

/** An empty list, as of the severities of a silence, says nothing. */
const isSaid = (value: unknown): boolean => value !== undefined && !(Array.isArray(value) && value.length === 0);

function eventOf({ event, timestamp: at, data }: Entry, words: boolean): ChangeEvent {
  const said = data as Readonly<Record<string, unknown>>;
  const text = (name: string): string | undefined => (typeof said[name] === 'string' ? said[name] : undefined);
  const principal = text('principal');
  const by = text('by') ?? (principal === SERVICE_TOKEN ? undefined : principal);
  const reason = text('note') ?? text('reason') ?? text('error') ?? text('detail');
  const note = reason === undefined || words ? reason : withoutAnswer(reason);
  const details = DETAILS.filter((name) => isSaid(said[name])).map((name) => [name, said[name]]);
  const report = said.report as { readonly severity?: Severity; readonly description?: string } | undefined;
  return {
    seq: data.seq,
    at,
    event,
    ...(by === undefined ? {} : { by }),
    ...(said.claimed === true && { claimed: true }),
    ...(text('role') === undefined ? {} : { role: said.role as Role }),
    ...(note === undefined ? {} : { note }),
    ...Object.fromEntries(details),
    ...(event === 'incident.recurred' &&
      report?.description !== undefined && { description: beginningOf(report.description, LONGEST_DESCRIPTION) }),
  };
}
