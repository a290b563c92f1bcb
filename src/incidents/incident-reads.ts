/**
 * What is on record of incidents, to be shown: from the projections, and the history from the log's own lines.
 *
 * While the projections are behind the log, an incident that was recorded may be missing from them. Reads then answer
 * `log_unavailable`, never "not found".
 */
import { transitionsIn } from '../../machines/decision.ts';
import type { NextTransition } from '../../machines/transitions.ts';
import type { State } from '../../machines/vocabulary.ts';
import { readEntriesAt, type Turn } from '../audit/log-reader.ts';
import type { ReadableLog } from '../audit/log.ts';
import { isAboutIncident } from '../domain/entries.ts';
import { RecorderError } from '../errors.ts';
import type { ListPage, ListQuery } from '../projections/incident-list.ts';
import type { IncidentDocument } from '../domain/document.ts';
import type { IncidentKind } from '../projections/incidents.ts';
import type { Projections } from '../projections/projections.ts';

export interface HistoryPage {
  /** Lines of the audit log in UTF-8, oldest first. */
  readonly lines: readonly Buffer[];
  /** The version behind which the next page begins, when there is one. */
  readonly next?: number;
}

export class IncidentReads {
  readonly #log: ReadableLog;
  readonly #projections: Projections;

  constructor(log: ReadableLog, projections: Projections) {
    this.#log = log;
    this.#projections = projections;
  }

  /** @throws RecorderError `log_unavailable`, like the others that ask for one incident */
  get(id: string): IncidentDocument | undefined {
    return this.#found(this.#projections.incidents.get(id));
  }

  kindOf(id: string): IncidentKind | undefined {
    return this.#found(this.#projections.incidents.kindOf(id));
  }

  list(query: ListQuery): ListPage {
    return this.#projections.list.read(query);
  }

  /**
   * The entries about an incident from behind its version `after` on, each as it was written; undefined when the incident
   * is not on record.
   * @param turn awaited before each line is verified
   * @throws RecorderError like `readEntriesAt`
   */
  async history(id: string, after: number, turn?: Turn): Promise<HistoryPage | undefined> {
    const page = this.#projections.entriesOf(id, after);
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
    const situation = this.#found(this.#projections.incidents.situation(id));
    return situation && { state: situation.value, transitions: transitionsIn(situation) };
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
