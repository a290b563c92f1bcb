import type { Clock } from '../clock.ts';

/** The pauses of one worker: each ends when its time is over, when it is cut short, or when the worker stops. */
export class Rest {
  readonly #clock: Clock;
  readonly #stopping: AbortSignal;
  #until = 0;
  #end: () => void = () => {};

  constructor(clock: Clock, stopping: AbortSignal) {
    this.#clock = clock;
    this.#stopping = stopping;
    stopping.addEventListener('abort', () => this.end(), { once: true });
  }

  /** Pauses for so many milliseconds at most. Rejects when the worker stops. */
  async for(milliseconds: number): Promise<void> {
    this.#stopping.throwIfAborted();
    this.#until = this.#clock.monotonic() + milliseconds;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#stopping.throwIfAborted();
  }

  /** Ends the pause if its time is over by the clock. */
  look(): void {
    if (this.#clock.monotonic() >= this.#until) this.end();
  }

  /** Cuts the pause short. */
  end(): void {
    this.#end();
  }
}
