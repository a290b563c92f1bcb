import { type Clock, SECOND } from './clock.ts';

/** How many lines of each status are written in each `PERIOD`. */
const MAX_LINES = 20;
const PERIOD = 10 * SECOND;

/**
 * Limits how many lines about refusals are written, so that whoever is refused can't fill the process log:
 *
 *     if (refusals.admits(404)) log.info({ status: 404 }, 'request refused');
 *
 * How many of a status were left out is reported at the end of the period. A status has lines of its own: refusals that
 * anybody can cause hide none that take the service token.
 */
export class RefusalLog {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #reportLeftOut: (leftOut: { readonly status: number; readonly left_out: number }) => void;
  /** By status: there are few. */
  readonly #counts = new Map<number, { since: number; written: number; leftOut: number }>();
  #timer: NodeJS.Timeout | undefined;

  /** @param reportLeftOut called for each status of which lines were left out since the last call */
  constructor(
    clock: Pick<Clock, 'monotonic'>,
    reportLeftOut: (leftOut: { readonly status: number; readonly left_out: number }) => void,
  ) {
    this.#clock = clock;
    this.#reportLeftOut = reportLeftOut;
  }

  /** Whether the next line of this status may be written; counts it as left out otherwise. */
  admits(status: number): boolean {
    const now = this.#clock.monotonic();
    let count = this.#counts.get(status);
    if (count === undefined) this.#counts.set(status, (count = { since: now, written: 0, leftOut: 0 }));
    if (now - count.since >= PERIOD) {
      count.since = now;
      count.written = 0;
    }
    if (count.written < MAX_LINES) {
      count.written++;
      return true;
    }
    count.leftOut++;
    this.#timer ??= setTimeout(() => this.close(), PERIOD).unref();
    return false;
  }

  /** Reports what was left out until now. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [status, count] of this.#counts) {
      if (count.leftOut === 0) continue;
      this.#reportLeftOut({ status, left_out: count.leftOut });
      count.leftOut = 0;
    }
  }
}
