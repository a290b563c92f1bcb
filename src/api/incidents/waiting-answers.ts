/**
 * The answers to reports that wait until the containment of their incident is settled: each of its actions is carried
 * out, has failed, needs a person or was lost, or the incident is resolved.
 *
 * Nothing is polled: the entries that are on disk wake who waits. Few may wait, because each holds a connection; a
 * further one is answered at once. Of a report that waits only the identifier of its incident is kept.
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

export class WaitingAnswers {
  readonly #dependencies: WaitingAnswersDependencies;
  /** By the identifier of the incident: what ends each wait. */
  readonly #waiting = new Map<string, Set<() => void>>();
  #count = 0;
  #isStopped = false;

  constructor(dependencies: WaitingAnswersDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Waits until the containment of an incident is settled, or for a time, or until `left` aborts.
   * @param time in milliseconds
   * @returns undefined when none more may wait
   */
  wait(id: string, time: number, left: AbortSignal): Promise<void> | undefined {
    if (left.aborted || this.#isSettled(id)) return Promise.resolve();
    return this.#count >= MOST_WAITING || this.#isStopped ? undefined : this.#wait(id, time, left);
  }

  async #wait(id: string, time: number, left: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, time);
    left.addEventListener('abort', () => resolve(), { once: true });
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting.add(resolve));
    this.#count += 1;
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#count -= 1;
      waiting.delete(resolve);
      if (waiting.size === 0) this.#waiting.delete(id);
    }
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
      if (settled) for (const wake of waiting) wake();
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
    for (const waiting of this.#waiting.values()) for (const wake of waiting) wake();
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

/** Whether nothing more is expected of the containment of an incident. One that was never contained is settled. */
const isContainmentSettled = ({ state, containment }: Incident): boolean =>
  state === 'resolved' || (containment?.actions.every(isSettled) ?? true);
