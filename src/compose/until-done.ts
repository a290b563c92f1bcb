import { RecorderError } from '../errors.ts';

/** Work that has to be done once, sooner or later: it is tried again until the recorder does not refuse it. */
export class UntilDone {
  readonly #work: () => Promise<void>;
  #isDone = false;

  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  /** Tries, unless it is done. Rejects only with errors that are not the recorder's own. */
  async attempt(): Promise<void> {
    if (this.#isDone) return;
    try {
      await this.#work();
      this.#isDone = true;
    } catch (error) {
      if (!(error instanceof RecorderError)) throw error;
    }
  }
}
