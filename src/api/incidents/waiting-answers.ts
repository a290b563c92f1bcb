/**
 * The answers to reports that wait until the containment of their incident is settled: each of its actions is carried
 * out, has failed, needs a person or was lost, or the incident is resolved.
 *
 * Nothing is polled: the entries that are on disk wake who waits. Few may wait, because each holds a connection; a
 * further one is answered at once. No principal keeps the places from another: when all are taken, the one with the most
 * gives one up. Of a report that waits only the identifier of its incident is kept.
 */
import { isSettled } from '../../domain/containment-results.ts';
import { type IncidentDocument, documentOf } from '../../domain/document.ts';
import { isAboutIncident } from '../../domain/entries.ts';
import type { Incident, IncidentRecord, TakenEntry } from '../../domain/incident.ts';
import { RecorderError } from '../../errors.ts';

/** How many answers may wait at the same time. */
const MOST_WAITING = 32;

export interface WaitingAnswersDependencies {
  /** An incident as its actor has it. @throws RecorderError while that can't be said */
  readonly read: (id: string) => IncidentRecord;
  /** The document of an incident. @throws RecorderError while what is on record is behind the log */
  readonly document: (id: string) => IncidentDocument | undefined;
}

/** Ends a wait, and says whether it kept its place until then. */
type End = (kept: boolean) => void;

export class WaitingAnswers {
  readonly #dependencies: WaitingAnswersDependencies;
  /** By the identifier of the incident, and by the principal, the longest wait first. */
  readonly #waiting = new Map<string, Set<End>>();
  readonly #places = new Map<string, Set<End>>();
  #count = 0;
  #isStopped = false;

  constructor(dependencies: WaitingAnswersDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Waits until the containment of an incident is settled, or for a time, or until `left` aborts.
   * @param time in milliseconds
   * @param principal the name of who reports
   * @returns with false when it gave its place to another principal before; undefined when none more may wait
   */
  wait(id: string, time: number, left: AbortSignal, principal: string): Promise<boolean> | undefined {
    if (left.aborted || this.#isSettled(id)) return Promise.resolve(true);
    if (this.#isStopped || (this.#count >= MOST_WAITING && !this.#makeRoom(principal))) return undefined;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const end: End = (kept) => {
      if (!leave(this.#waiting, id, end)) return;
      leave(this.#places, principal, end);
      clearTimeout(timer);
      this.#count -= 1;
      resolve(kept);
    };
    const timer = setTimeout(end, time, true);
    left.addEventListener('abort', () => end(true), { once: true });
    enter(this.#waiting, id, end);
    enter(this.#places, principal, end);
    this.#count += 1;
    return promise;
  }

  /** Ends the longest wait of the principal that has the most places, unless the other one has as many then. */
  #makeRoom(principal: string): boolean {
    let most: ReadonlySet<End> = new Set();
    for (const places of this.#places.values()) if (places.size > most.size) most = places;
    const own = this.#places.get(principal)?.size ?? 0;
    if (most.size <= own + 1) return false;
    const [longest] = most;
    longest?.(false);
    return true;
  }

  /** Wakes who waits for what these entries have settled. They are on disk. */
  take(taken: readonly TakenEntry[]): void {
    if (this.#count === 0) return;
    for (const { entry, change } of taken) {
      if (!isAboutIncident(entry)) continue;
      const { incident: id } = entry.data;
      const waiting = this.#waiting.get(id);
      if (waiting === undefined) continue;
      const settled = change === undefined ? this.#isSettled(id) : isContainmentSettled(change.now.incident);
      if (settled) for (const end of waiting) end(true);
    }
  }

  /**
   * An incident as it is now.
   * @throws RecorderError when that can't be said
   */
  incident(id: string): IncidentDocument {
    // Many may be answered at once, so their actors are not woken for it.
    return this.#document(id) ?? documentOf(this.#dependencies.read(id));
  }

  /** Ends all waiting, and lets nobody wait any more. */
  stop(): void {
    this.#isStopped = true;
    for (const waiting of this.#waiting.values()) for (const end of waiting) end(true);
  }

  #document(id: string): IncidentDocument | undefined {
    try {
      return this.#dependencies.document(id);
    } catch (error) {
      if (error instanceof RecorderError) return undefined;
      throw error;
    }
  }

  #isSettled(id: string): boolean {
    try {
      return isContainmentSettled(this.#dependencies.read(id).incident);
    } catch (error) {
      // Whether it is settled can't be said now; its next entry says it.
      if (error instanceof RecorderError) return false;
      throw error;
    }
  }
}

function enter(sets: Map<string, Set<End>>, key: string, end: End): void {
  const ends = sets.get(key) ?? new Set();
  sets.set(key, ends.add(end));
}

/** @returns whether it was there */
function leave(sets: Map<string, Set<End>>, key: string, end: End): boolean {
  const ends = sets.get(key);
  const wasThere = ends?.delete(end) ?? false;
  if (ends?.size === 0) sets.delete(key);
  return wasThere;
}

/** Whether nothing more is expected of the containment of an incident. One that was never contained is settled. */
const isContainmentSettled = ({ state, containment }: Incident): boolean =>
  state === 'resolved' || (containment?.actions.every(isSettled) ?? true);
