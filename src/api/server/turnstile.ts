/**
 * Hands out the processor to strangers, one turn for each round of the event loop.
 *
 * Between two turns the loop looks at all connections, so a trusted request waits for one turn of a stranger at most.
 * While trusted requests are in flight or connections are opened, strangers get a sixth of the time. Who has used the
 * least comes first; a new connection begins with what the one served last has used, so it gains nothing over one that is
 * kept and asks little. As many may wait as get their turn within a few seconds at the pace of the last turns; then the
 * one that has used the most is refused at once.
 */
import { type Clock, SECOND } from '../../clock.ts';

/** How long one may wait, in milliseconds. */
const PATIENCE = 4 * SECOND;
/** How many may wait whatever the pace, and at any pace: there are as many connections. */
const MIN_WAITING = 16;
const MAX_WAITING = 256;
const CROWD = 8;
/** How many are refused in one round because they have waited too long. */
const MAX_REFUSED = 16;
/** How much the last turn counts in the pace. */
const WEIGHT = 0.1;
/** While trusted requests are in flight and several wait, milliseconds from the end of one turn to the next, at the least … */
const PAUSE = 100;
/** … and as a multiple of the time that the turn took. */
const PAUSE_FACTOR = 5;

export interface Account {
  used?: number;
}

/** One who waits for a turn. */
export interface Visitor {
  /** Milliseconds of turns that its connection has used, which the turnstile keeps; undefined before the first. */
  readonly account: Account;
  /** Whether it has left. */
  readonly gone: () => boolean;
  /** Takes the turn. */
  readonly take: () => void;
  /** Ends the wait without a turn. */
  readonly refuse: () => void;
}

export class Turnstile {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #waiting: { readonly visitor: Visitor; readonly since: number }[] = [];
  #trusted = 0;
  /** Whether a turn is under way or due in this round of the loop. */
  #scheduled = false;
  #pause: NodeJS.Timeout | undefined;
  /** When the last turn ended, and how long it took. */
  #ended = 0;
  #took = 0;
  /** Whether a connection was opened since the last turn: more may come, and the loop takes one each round. */
  #arrived = false;
  /** Milliseconds from one turn to the next while some wait. */
  #pace = 1;
  #taken: Account | undefined;
  #began = 0;
  /** Whether others waited when the last turn began. */
  #crowded = false;
  /** What new connections begin with. */
  #usual = 0;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** Whether several wait already. */
  get crowded(): boolean {
    return this.#waiting.length >= CROWD;
  }

  /** Waits for a turn; one visitor is refused at once when too many wait. */
  enter(visitor: Visitor): void {
    visitor.account.used ??= this.#usual;
    if (this.#isFull()) {
      const worst = this.#place((one, other) => one > other);
      if (usedBy(this.#waiting[worst]!.visitor) <= usedBy(visitor)) {
        visitor.refuse();
        return;
      }
      this.#waiting.splice(worst, 1)[0]!.visitor.refuse();
    }
    this.#waiting.push({ visitor, since: this.#clock.monotonic() });
    this.#schedule();
  }

  /** A trusted request has begun; strangers step back until it ends. */
  begin(): void {
    this.#trusted++;
  }

  /** A connection was opened; strangers leave time to open others, which may be trusted. */
  arrive(): void {
    this.#arrived = true;
  }

  end(): void {
    this.#trusted--;
    if (this.#trusted > 0 || this.#pause === undefined) return;
    clearTimeout(this.#pause);
    this.#pause = undefined;
    this.#schedule();
  }

  /** Refuses those that have waited too long; a few at a time, since that takes time as well. */
  sweep(most = MAX_REFUSED): void {
    const before = this.#clock.monotonic() - PATIENCE;
    for (let count = 0; count < most && this.#waiting.length > 0 && this.#waiting[0]!.since < before; count++) {
      this.#waiting.shift()!.visitor.refuse();
    }
  }

  close(): void {
    clearTimeout(this.#pause);
  }

  #schedule(): void {
    if (this.#scheduled || this.#pause !== undefined || this.#waiting.length === 0) return;
    const pause = this.#pauseDue();
    if (pause > 0) {
      this.#pause = setTimeout(() => {
        this.#pause = undefined;
        this.#arrived = false;
        this.#schedule();
      }, pause);
      return;
    }
    this.#scheduled = true;
    // Two in the same round: what the first starts and its promises have run before the second looks at the time.
    setImmediate(this.#next);
    setImmediate(this.#measure);
  }

  #pauseDue(): number {
    if (this.#trusted === 0 && !this.#arrived) return 0;
    // A report that waits for its sync takes no time: a few readers need not wait with it.
    const least = this.#trusted > 0 && this.crowded ? PAUSE : 0;
    return this.#ended + Math.max(least, PAUSE_FACTOR * this.#took) - this.#clock.monotonic();
  }

  readonly #next = (): void => {
    this.sweep(1);
    while (this.#waiting.length > 0) {
      const best = this.#place((one, other) => one < other);
      const { visitor } = this.#waiting.splice(best, 1)[0]!;
      if (visitor.gone()) continue;
      this.#taken = visitor.account;
      this.#usual = Math.max(this.#usual, usedBy(visitor));
      this.#keepPace();
      visitor.take();
      return;
    }
  };

  #keepPace(): void {
    const now = this.#clock.monotonic();
    if (this.#crowded) this.#pace += WEIGHT * (now - this.#began - this.#pace);
    this.#crowded = this.#waiting.length > 0;
    this.#began = now;
  }

  /** Whether nobody more may wait. Forgets those that have left, when that helps. */
  #isFull(): boolean {
    const most = Math.min(MAX_WAITING, Math.max(MIN_WAITING, PATIENCE / this.#pace));
    if (this.#waiting.length < most) return false;
    const here = this.#waiting.filter(({ visitor }) => !visitor.gone());
    this.#waiting.splice(0, this.#waiting.length, ...here);
    return here.length >= most;
  }

  readonly #measure = (): void => {
    this.#scheduled = false;
    if (this.#taken !== undefined) {
      const now = this.#clock.monotonic();
      this.#took = now - this.#began;
      this.#taken.used = (this.#taken.used ?? 0) + this.#took;
      this.#taken = undefined;
      this.#ended = now;
    }
    this.#schedule();
  };

  /** The place of the first visitor that none other is before. */
  #place(isBefore: (used: number, other: number) => boolean): number {
    let first = 0;
    for (let at = 1; at < this.#waiting.length; at++) {
      if (isBefore(usedBy(this.#waiting[at]!.visitor), usedBy(this.#waiting[first]!.visitor))) first = at;
    }
    return first;
  }
}

const usedBy = ({ account }: Visitor): number => account.used ?? 0;
