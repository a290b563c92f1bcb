/**
 * A resource of the API that is kept current while it is used: it is read on first use, and again when an entry of the log
 * may have changed it or `epoch` increases.
 *
 * Entries come in bursts: the first causes a read at once, later ones at most one per `pause`, the last entry included.
 * What changes without an entry (an hour that ends, a policy that was read again) is read once a minute. A read that
 * has failed is tried again while the stream is live.
 */
import { batch, effect, signal, untracked } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { MINUTE, SECOND } from '../clock.ts';
import { connection, epoch, listen } from './live-entries.ts';
import { now } from './now.ts';
import { read } from './operator.ts';
import { reasonOf, Refusal } from './request.ts';
import { serviceTime } from './service-time.ts';
import type { Entry } from '../domain/entries.ts';

/** The oldest that a body gets without being read again. */
const OLDEST = 1 * MINUTE;

export class LiveResource<Body> {
  /** The last body that was read. */
  readonly value = signal<Body | undefined>(undefined);
  /** Why the last read failed; undefined when it did not. */
  readonly fault = signal<string | undefined>(undefined);
  /** When the last body was read; milliseconds by the service's clock. */
  readonly readAt = signal(0);
  readonly #path: () => string | undefined;
  readonly #concerns: (entry: Entry) => boolean;
  readonly #pause: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isDue = false;
  /** Whether the last read failed for a reason that may pass by itself. */
  #mayPass = false;
  #users = 0;
  /** How many reads were begun, and which of them has answered last. */
  #begun = 0;
  #answered = 0;
  /** Counts how often it was about something else. */
  #subject = 0;
  #end: () => void = () => {};

  /**
   * @param path may depend on signals: a change of theirs causes a read; undefined while there is nothing to read
   * @param concerns whether an entry may have changed the resource
   * @param pause milliseconds between two reads
   */
  constructor(path: () => string | undefined, concerns: (entry: Entry) => boolean, pause: number = 1 * SECOND) {
    this.#path = path;
    this.#concerns = concerns;
    this.#pause = pause;
  }

  /** Keeps it current until the returned function is called. */
  use(): () => void {
    this.#users += 1;
    if (this.#users === 1) this.#begin();
    return () => {
      this.#users -= 1;
      if (this.#users === 0) this.#end();
    };
  }

  /** Reads it, at once or after the pause. */
  refresh(): void {
    this.#isDue = true;
    if (this.#timer === undefined) void this.#read();
  }

  #begin(): void {
    const stopListening = listen((entry) => {
      if (this.#concerns(entry)) this.refresh();
    });
    const stopFollowing = effect(() => {
      void epoch.value;
      this.#path();
      this.#subject += 1;
      this.refresh();
    });
    const stopRenewing = effect(() => {
      const isTooOld = now.value - this.readAt.peek() > OLDEST && this.fault.peek() === undefined;
      const isDue = connection.value === 'live' && (this.#mayPass || isTooOld);
      if (isDue && this.#timer === undefined) untracked(() => this.refresh());
    });
    this.#end = () => {
      stopListening();
      stopRenewing();
      stopFollowing();
      clearTimeout(this.#timer);
      this.#timer = undefined;
    };
  }

  async #read(): Promise<void> {
    this.#isDue = false;
    const path = this.#path();
    if (path === undefined) return;
    const subject = this.#subject;
    const nth = (this.#begun += 1);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#isDue && this.#users > 0) void this.#read();
    }, this.#pause);
    try {
      const { body } = await read<Body>(path);
      // An answer that comes late is older than what is shown, or about something else.
      if (nth < this.#answered || subject !== this.#subject) return;
      this.#answered = nth;
      this.#mayPass = false;
      batch(() => {
        this.value.value = body;
        this.readAt.value = serviceTime();
        this.fault.value = undefined;
      });
    } catch (error) {
      if (nth < this.#answered || subject !== this.#subject) return;
      this.#mayPass = !(error instanceof Refusal) || error.status === 0 || error.status === 429 || error.status >= 500;
      this.fault.value = reasonOf(error);
    }
  }
}

/** Keeps a resource current while the component is on the page. @returns its last body */
export const useLiveResource = <Body>(resource: LiveResource<Body>): Body | undefined => {
  useEffect(() => resource.use(), [resource]);
  return resource.value.value;
};
