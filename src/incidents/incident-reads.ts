/**
 * What is on record of incidents, to be shown: from the projections, and the history from the log's own lines.
 *
 * While the projections are behind the log, an incident that was recorded may be missing from them. Reads then answer
 * `log_unavailable`, never "not found".
 */
import type { CommandName } from '../../machines/commands.ts';
import { transitionsIn } from '../../machines/decision.ts';
import type { NextTransition } from '../../machines/transitions.ts';
import type { ContainmentAction, State } from '../../machines/vocabulary.ts';
import { firstSeqOf, goneTo, shortIdentity } from '../audit/log-position.ts';
import { readEntriesAt, type Turn } from '../audit/log-reader.ts';
import type { ReadableLog } from '../audit/log.ts';
import { isAboutIncident } from '../domain/entries.ts';
import { RecorderError } from '../errors.ts';
import type { GroupsPage, GroupsQuery } from '../query/incident-groups.ts';
import type { ListPage, Unsearched, WalkSlice } from '../projections/incident-list.ts';
import { beginningAt, type Cursor, type ListQuery, type UsualPlace } from '../query/list-query.ts';
import type { IncidentDocument } from '../domain/document.ts';
import type { IncidentKind } from '../projections/incidents.ts';
import type { Projections } from '../projections/projections.ts';
import type { SimilarIncident } from '../query/similar-evidence.ts';
import { type Foreseen, foreseen, type SnoozeEvent } from './foreseen.ts';

export interface HistoryPage {
  /** Lines of the audit log in UTF-8, oldest first. */
  readonly lines: readonly Buffer[];
  /** The version behind which the next page begins, when there is one. */
  readonly next?: number;
}

/** How much of the identifier of an incident a place in the list repeats: what is random in it. */
const OF_INCIDENT = -8;

export class IncidentReads {
  readonly #log: ReadableLog;
  readonly #projections: Projections;
  readonly #logId: () => string | undefined;

  /** @param logId the identity of the log, when it is known */
  constructor(log: ReadableLog, projections: Projections, logId: () => string | undefined) {
    this.#log = log;
    this.#projections = projections;
    this.#logId = logId;
  }

  /** @throws RecorderError `log_unavailable` or `gone`, like the others that ask for one incident */
  get(id: string): IncidentDocument | undefined {
    return this.#onRecord(id, this.#projections.incidents.get(id));
  }

  kindOf(id: string): IncidentKind | undefined {
    return this.#found(this.#projections.incidents.kindOf(id));
  }

  /** @throws RecorderError `gone` for a place in another log */
  list(query: ListQuery): ListPage {
    if (query.after?.log !== undefined) this.#requireIsHere(query.after);
    const page = this.#projections.list.read(query);
    if (page.next === undefined) return page;
    const log = this.#placeMark(page.next.head);
    return log === undefined ? page : { ...page, next: { ...page.next, log } };
  }

  /**
   * The incidents whose evidence has the same values under the same keys, at most `limit`.
   * @throws RecorderError like `get`
   */
  similar(id: string, limit: number): readonly SimilarIncident[] | undefined {
    return this.#onRecord(id, this.#projections.similar.find(id, limit));
  }

  /**
   * A page of the incidents in groups.
   * @param turn awaited before each slice of the work
   * @throws RecorderError `gone` for a place in another log
   */
  async groups(
    query: GroupsQuery & Partial<Pick<Cursor, 'log'>>,
    turn: Turn,
  ): Promise<GroupsPage & Pick<Cursor, 'log'> & { readonly unsearched?: readonly Unsearched[] }> {
    const { log, head } = query;
    if (log !== undefined && head !== undefined) this.#requireIsHere({ log, head });
    const page = await this.#projections.groups.read(query, async () => {
      await turn();
      // Whoever has a token never waits for a turn, and the others have to be served all the same.
      await new Promise(setImmediate);
    });
    const mark = this.#placeMark(page.head);
    const unsearched = this.#projections.list.unsearched(query.filter);
    return {
      ...page,
      ...(mark !== undefined && { log: mark }),
      ...(unsearched.length > 0 && { unsearched }),
    };
  }

  /**
   * A place before the first incident of every list of now.
   * @throws RecorderError `starting`, `log_unavailable` while the projections are behind the log
   */
  beginning(): UsualPlace {
    this.#projections.current();
    const head = this.#projections.list.newest;
    const log = this.#placeMark(head);
    return { ...beginningAt(head), ...(log !== undefined && { log }) };
  }

  /**
   * What filters select, a few incidents at a time from behind a place on; the record may go on in between.
   * Commands follow, so nothing may be missing.
   * @throws RecorderError `gone` for a place in another log; `starting`, `log_unavailable` while the projections are behind
   *   the log
   */
  walk(query: Omit<ListQuery, 'sort'> & { readonly after: UsualPlace }): Iterable<WalkSlice> {
    this.#projections.current();
    if (query.after.log !== undefined) this.#requireIsHere(query.after);
    return this.#projections.list.walk(query);
  }

  /** The actions of an incident: those of its rule, and those that were asked for since. */
  actionsOf(id: string): readonly ContainmentAction[] {
    const context = this.#projections.incidents.situation(id)?.context;
    if (context === undefined) return [];
    return [...new Set([...context.actions, ...(Object.keys(context.standings) as ContainmentAction[])])];
  }

  /** What an incident's statechart says to a command or a snooze now; undefined when the incident is not on record. */
  wouldDo(id: string, type: CommandName | SnoozeEvent): Foreseen | undefined {
    const situation = this.#projections.incidents.situation(id);
    return situation === undefined ? undefined : foreseen(situation, type);
  }

  /** Which log a list was read from whose newest incident was `head`: its identity, and the end of that incident's. */
  #placeMark(head: number): string | undefined {
    const identity = this.#logId();
    const newest = this.#projections.list.idOf(head)?.slice(OF_INCIDENT) ?? '';
    return identity === undefined ? undefined : `${shortIdentity(identity)}${newest}`;
  }

  /** @throws RecorderError `gone` unless the place is in this log, as it was when the place was written */
  #requireIsHere({ log, head }: Pick<Cursor, 'log' | 'head'>): void {
    const mark = this.#placeMark(head);
    if (log === mark) return;
    // The newest incident may have been archived meanwhile.
    if (head < firstSeqOf(this.#log) && mark !== undefined && log?.startsWith(mark)) return;
    throw goneTo('the list was begun in another log than this one', this.#log, this.#logId());
  }

  /**
   * The entries about an incident from behind its version `after` on, each as it was written; undefined when the incident
   * is not on record.
   * @param turn awaited before each line is verified
   * @throws RecorderError like `readEntriesAt`
   */
  async history(id: string, after: number, turn?: Turn): Promise<HistoryPage | undefined> {
    const page = this.#onRecord(id, this.#projections.entriesOf(id, after));
    if (page === undefined) return undefined;
    const lines = await readEntriesAt(this.#log, page.places, turn).catch(asUnavailable);
    // The places come from the database, which proves nothing.
    let version = after;
    const isHistory = lines.every((line) => {
      const entry = line.entry();
      if (!isAboutIncident(entry) || entry.data.incident !== id || entry.data.version <= version) return false;
      ({ version } = entry.data);
      return true;
    });
    if (isHistory) return { ...page, lines: lines.map(({ bytes }) => bytes) };
    throw new RecorderError('log_unavailable', `the database does not have the entries of ${id} in their places`);
  }

  /** What each event of the statechart would do to an incident now. */
  transitions(id: string): { readonly state: State; readonly transitions: readonly NextTransition[] } | undefined {
    const situation = this.#onRecord(id, this.#projections.incidents.situation(id));
    return situation && { state: situation.value, transitions: transitionsIn(situation) };
  }

  /** @throws RecorderError `gone` when the incident may be in the archive */
  #onRecord<Found>(id: string, value: Found | undefined): Found | undefined {
    const found = this.#found(value);
    const absence = found === undefined ? this.#projections.absenceOf(id) : undefined;
    if (absence?.code === 'gone') throw absence;
    return found;
  }

  #found<Found>(value: Found | undefined): Found | undefined {
    if (value === undefined && this.#projections.unfinished) {
      throw new RecorderError('log_unavailable', 'what is on record is behind the audit log; try again');
    }
    return value;
  }
}

/** What is not as it was written can't be shown, and the client should know why. */
function asUnavailable(error: unknown): never {
  if (!(error instanceof RecorderError) || error.code !== 'damaged_log') throw error;
  throw new RecorderError('log_unavailable', error.message, { cause: error });
}
