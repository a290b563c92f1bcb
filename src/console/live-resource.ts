/**
 * A resource of the API that is kept current while it is used: it is read on first use, and again when an entry of the log
 * may have changed it or `epoch` increases.
 *
 * Entries come in bursts: the first causes a read at once, later ones at most one per `pause`, the last entry included.
 */
import { effect, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { SECOND } from '../clock.ts';
import { epoch, listen } from './live-entries.ts';
import { read } from './operator.ts';
import { reasonOf } from './request.ts';
import type { Entry } from '../domain/entries.ts';

export class LiveResource<Body> {
  /** The last body that was read. */
  readonly value = signal<Body | undefined>(undefined);
  /** Why the last read failed; undefined when it did not. */
  readonly fault = signal<string | undefined>(undefined);
  readonly #path: () => string;
  readonly #concerns: (entry: Entry) => boolean;
  readonly #pause: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isDue = false;
  #users = 0;
  #end: () => void = () => {};

  /**
   * @param path may depend on signals: a change of theirs causes a read
   * @param concerns whether an entry may have changed the resource
   * @param pause milliseconds between two reads
   */
  constructor(path: () => string, concerns: (entry: Entry) => boolean, pause: number = 1 * SECOND) {
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
      this.refresh();
    });
    this.#end = () => {
      stopListening();
      stopFollowing();
      clearTimeout(this.#timer);
      this.#timer = undefined;
    };
  }

  async #read(): Promise<void> {
    this.#isDue = false;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#isDue && this.#users > 0) void this.#read();
    }, this.#pause);
    try {
      const { body } = await read<Body>(this.#path());
      this.value.value = body;
      this.fault.value = undefined;
    } catch (error) {
      this.fault.value = reasonOf(error);
    }
  }
}

/** Keeps a resource current while the component is on the page. @returns its last body */
export const useLiveResource = <Body>(resource: LiveResource<Body>): Body | undefined => {
  useEffect(() => resource.use(), [resource]);
  return resource.value.value;
};
