/**
 * Something of the service's that is shown as it is now: read when it is first looked at, and again when an entry of the
 * log says that it has changed, or the whole page is read anew.
 *
 * Entries come in bursts, so it is read at once and then at most once a `pause`, the last time after the last entry.
 */
import { effect, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { SECOND } from '../clock.ts';
import { epoch, listen } from './live-entries.ts';
import { read, reasonOf } from './request.ts';
import type { Entry } from '../domain/entries.ts';

export class LiveResource<Body> {
  /** What the service said last. */
  readonly value = signal<Body | undefined>(undefined);
  /** Why it could not be read the last time. */
  readonly fault = signal<string | undefined>(undefined);
  readonly #path: () => string;
  readonly #concerns: (entry: Entry) => boolean;
  readonly #pause: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isDue = false;
  #users = 0;
  #end: () => void = () => {};

  /** `path` may depend on signals: when they change it is read anew. `pause` is in milliseconds. */
  constructor(path: () => string, concerns: (entry: Entry) => boolean, pause: number = 1 * SECOND) {
    this.#path = path;
    this.#concerns = concerns;
    this.#pause = pause;
  }

  /** Keeps it current until what this gives is called. */
  use(): () => void {
    this.#users += 1;
    if (this.#users === 1) this.#begin();
    return () => {
      this.#users -= 1;
      if (this.#users === 0) this.#end();
    };
  }

  /** Reads it, now or after the pause. */
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

/** Keeps it current for as long as the component is on the page, and gives what is known. */
export const useLiveResource = <Body>(kept: LiveResource<Body>): Body | undefined => {
  useEffect(() => kept.use(), [kept]);
  return kept.value.value;
};
