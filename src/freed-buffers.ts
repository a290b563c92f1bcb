/**
 * Has the memory of buffers freed that nobody uses any more.
 *
 * V8 frees a buffer when it next collects young objects, and does that when its own heap asks for it. A buffer takes
 * little there, so tens of MiB of them may wait outside. Whoever sends many bytes through the process counts them here,
 * and a collection follows once they are enough to matter. It takes about half a millisecond.
 */

/** In bytes. */
const EVERY = 4 * 1024 * 1024;

/** There under `--expose-gc`, which the hardened host has. Elsewhere memory is not that scarce. */
const { gc } = globalThis;

export class FreedBuffers {
  #passed = 0;

  /** Counts bytes that have come and are soon of no more use. */
  count(bytes: number): void {
    this.#passed += bytes;
    if (this.#passed < EVERY) return;
    this.#passed = 0;
    gc?.({ type: 'minor', execution: 'sync' });
  }
}
