/**
 * Notices that the wall clock has jumped: it then says another time than it would if it had gone on. The log's order never
 * depends on it, but its times do, so the jump is recorded (`clock.jumped`).
 *
 * Once a second the wall clock is compared with one that never jumps and goes on while the machine sleeps. A clock that is
 * adjusted slowly differs by less than a tenth of the time between; a jump of under two seconds is not told from that.
 * After a start only a clock that is behind the last entry shows a jump.
 */
import { type Clock, MINUTE, SECOND, timestamp } from '../clock.ts';
import type { ClockJumpedData, DraftOf } from '../domain/entries.ts';

/** The least difference that is a jump, in milliseconds, and as a part of the time since the last look. */
const LEAST = 2 * SECOND;
const LEAST_PART = 0.1;
/** How long the times of incidents are marked as uncertain after a jump was found, in milliseconds. */
const UNCERTAIN = 1 * MINUTE;

interface Look {
  readonly wall: number;
  readonly steady: number;
  /** The last entry at that time. */
  readonly seq: number;
}

export class ClockWatch {
  readonly #clock: Clock;
  #last: Look | undefined;
  /** When the last jump was found, by the clock that never jumps; undefined while none was. */
  #foundAt: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether a jump was found a short time ago, so that what is reported now may have another time soon, or had before. */
  get isUncertain(): boolean {
    // Asked for each report: nearly always there is no clock to be read.
    return this.#foundAt !== undefined && this.#clock.monotonic() - this.#foundAt < UNCERTAIN;
  }

  /**
   * Compares the clock with the last entry of the log, at a start.
   * @returns what to record; undefined when the clock is not behind
   */
  begin(last: { readonly seq: number; readonly timestamp: string } | undefined): DraftOf<'clock.jumped'> | undefined {
    const look = this.#look(last?.seq ?? 0);
    this.#last = look;
    if (last === undefined) return undefined;
    const by = look.wall - Date.parse(last.timestamp);
    return by < -LEAST ? this.#found(look, { by, since: last.timestamp, after: last.seq, found: 'start' }) : undefined;
  }

  /**
   * Compares the clock with the last look.
   * @param seq of the last entry of the log
   * @returns what to record; undefined when the clock has gone on as it should
   */
  look(seq: number): DraftOf<'clock.jumped'> | undefined {
    const [before, now] = [this.#last, this.#look(seq)];
    this.#last = now;
    if (before === undefined) return undefined;
    const steady = now.steady - before.steady;
    const by = now.wall - before.wall - steady;
    if (Math.abs(by) < LEAST + LEAST_PART * Math.max(0, steady)) return undefined;
    return this.#found(now, { by, since: timestamp(before.wall), after: before.seq, found: 'running' });
  }

  #look(seq: number): Look {
    const clock = this.#clock;
    return { wall: clock.now(), steady: clock.sinceBoot?.() ?? clock.monotonic(), seq };
  }

  #found(
    { wall }: Look,
    jump: { readonly by: number; readonly since: string; readonly after: number } & Pick<ClockJumpedData, 'found'>,
  ): DraftOf<'clock.jumped'> {
    this.#foundAt = this.#clock.monotonic();
    const { by, since, after, found } = jump;
    const data = { by_ms: Math.round(by), since, after_seq: after, found };
    return { timestamp: timestamp(wall), event: 'clock.jumped', data };
  }
}
