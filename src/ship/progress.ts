/** How far the fleet has the local log, how fast it gets there, and when it will be there. */
import { type Clock, SECOND } from '../clock.ts';
import type { ShipLog } from './ship-log.ts';

/** How often a line says how far it is while the fleet is behind. */
const SAY_EVERY = 10 * SECOND;
/** Being behind by fewer entries than this is not worth a line. */
const WORTH_SAYING = 1000;
/** The rate is that of about the last minute. */
const MEMORY = 60 * SECOND;

export class Progress {
  readonly #clock: Clock;
  readonly #say: ShipLog;
  log: string | undefined;
  /** The sequence number of the last entry of the local log, as far as it is known. */
  entries = 0;
  /** That of the last entry that the fleet has. */
  through = 0;
  /** The time of the last entry that the fleet has taken from here, in milliseconds since the epoch. */
  takenAt: number | undefined;
  /** When the fleet last took a batch, in milliseconds since the epoch. */
  acceptedAt = 0;
  /** Whether the fleet holds another past of this log as well. */
  diverged = false;
  /** Whether the fleet knows this log as that of another machine, and takes nothing of it. */
  isOthers = false;
  /** Whether that was found by this process. */
  foundDivergence = false;
  #marks: { readonly at: number; readonly through: number }[] = [];
  #saidAt = -Infinity;
  #catchingUp = false;

  constructor(clock: Clock, say: ShipLog) {
    this.#clock = clock;
    this.#say = say;
  }

  /** How many entries the fleet lacks. */
  get behind(): number {
    return Math.max(0, this.entries - this.through);
  }

  /** Entries in a second, over about the last minute. */
  get rate(): number {
    const [first, last] = [this.#marks[0], this.#marks.at(-1)];
    if (first === undefined || last === undefined || last.at === first.at) return 0;
    return ((last.through - first.through) / (last.at - first.at)) * SECOND;
  }

  /** When the fleet will have every entry, in seconds from now; undefined while nothing moves. */
  get eta(): number | undefined {
    return this.rate > 0 ? Math.ceil(this.behind / this.rate) : undefined;
  }

  /** A log begins to be shipped, or its shipping is resumed. */
  begin(log: string, entries: number, through: number): void {
    this.log = log;
    this.entries = entries;
    this.through = through;
    this.#marks = [{ at: this.#clock.monotonic(), through }];
    this.#catchingUp = this.behind >= WORTH_SAYING;
    this.#saidAt = this.#clock.monotonic();
    this.#say('info', 'shipping', { log, from: through + 1, entries, behind: this.behind });
  }

  /** The log is not what the fleet holds: the fleet gets the other history, and keeps both. */
  foundToDiverge(): void {
    this.diverged = true;
    this.foundDivergence = true;
  }

  /** More of the local log is known. */
  seen(entries: number): void {
    this.entries = Math.max(this.entries, entries);
  }

  /** The fleet has taken entries. @param lastTime that of the last one, as its line has it */
  took(through: number, lastTime: number | undefined): void {
    this.through = through;
    this.takenAt = lastTime ?? this.takenAt;
    this.acceptedAt = this.#clock.now();
    const now = this.#clock.monotonic();
    this.#marks.push({ at: now, through });
    while (this.#marks.length > 2 && now - this.#marks[0]!.at > MEMORY) this.#marks.shift();
    this.#report(now);
  }

  #report(now: number): void {
    if (this.behind >= WORTH_SAYING) {
      this.#catchingUp = true;
      if (now - this.#saidAt < SAY_EVERY) return;
      this.#saidAt = now;
      const { through, entries, behind, eta } = this;
      const rate = Math.round(this.rate);
      this.#say('info', 'catching up', { through, entries, behind, entries_per_second: rate, eta_seconds: eta });
    } else if (this.#catchingUp && this.behind === 0) {
      this.#catchingUp = false;
      this.#say('info', 'the fleet has every entry', { through: this.through });
    }
  }
}
