/**
 * Listens for guards: sources that the policy expects to hear from (`expect`). A report that is on disk and a heartbeat are
 * signs of life. A guard that was not heard for `every`, and a fifth of that in grace, is silent: the log says so, with
 * an alert. Its next sign of life ends the silence.
 *
 * What is in the log. A silence and its end are entries, so a restart forgets neither: a guard that was silent stays so
 * until it is heard, without a second alert. Of other signs of life the first is an entry, and then one each half of
 * `every`, at most one in ten minutes.
 *
 * Deadlines are not in the log. They begin at the start of the recorder, when the policy first expects the guard, and
 * with each sign of life, and the monotonic clock measures them: while the recorder was down a guard could not be
 * heard, so a restart invents no silence, and a jump of the wall clock neither. Time in which reports are refused, or in
 * which this process did not run, does not count either.
 */
import type { AuditLog } from '../audit/log.ts';
import { type Clock, MINUTE, SECOND, timestamp } from '../clock.ts';
import type { Caller } from '../domain/caller.ts';
import type { Draft, GuardOnRecord, SignOfLife } from '../domain/entries.ts';
import { RecorderError } from '../errors.ts';
import type { Expectation } from '../policy/policy.ts';
import type { CurrentReads } from '../projections/current-reads.ts';

/** What part of `every` is waited besides, and how long that is at most: a guard is seldom exact. */
const GRACE_SHARE = 0.2;
const LONGEST_GRACE = 1 * MINUTE;
/** Signs of life that say nothing new are written at most so often. */
const WRITE_EVERY = 10 * MINUTE;
/** Two looks that are farther apart than this: this process did not run in between. */
const LONGEST_BEAT = 5 * SECOND;

/** How a guard is. Times are RFC 3339. */
export interface GuardStatus {
  readonly source: string;
  /** How often it is expected, in seconds. */
  readonly every_seconds: number;
  /** `awaited`: not heard since the recorder started or the policy expects it, and not overdue yet. */
  readonly status: 'heard' | 'awaited' | 'silent';
  /** The last sign of life; null when there was none. */
  readonly heard_at: string | null;
  /** When its silence was found, while it is silent. */
  readonly silent_since?: string;
}

export interface GuardWatchDependencies {
  readonly log: Pick<AuditLog, 'append'>;
  /** @throws RecorderError `log_unavailable`, `starting` while it is not known what the log says of guards */
  readonly current: () => Pick<CurrentReads, 'guard'>;
  /** What the policy in force expects. */
  readonly expect: () => readonly Expectation[];
  /** Whether reports and heartbeats are refused now. */
  readonly isDeaf: () => boolean;
  readonly clock: Clock;
  /** Receives errors that should never happen. */
  readonly onFault: (error: unknown) => void;
}

interface Guard {
  readonly source: string;
  every: number;
  /** When its present deadline began, by the monotonic clock. */
  since: number;
  /** Its last sign of life to this process, RFC 3339, and what it was. */
  heardAt: string | undefined;
  heardBy: SignOfLife;
  /** Who sent it, when it was a heartbeat. */
  caller: Caller | undefined;
  /** What the log says of it; undefined until that is known. */
  onRecord: Pick<GuardOnRecord, 'heard_at' | 'silent_since'> | undefined;
  /** When a sign of life was written last, by the monotonic clock; what was written before the start is long ago. */
  writtenAt: number;
}

export class GuardWatch {
  readonly #dependencies: GuardWatchDependencies;
  #guards: ReadonlyMap<string, Guard> = new Map();
  #expected: readonly Expectation[] = [];
  #lookedAt: number;
  /** The entries of guards are written one after the other. */
  #writing: Promise<unknown> = Promise.resolve();
  #looking: Promise<void> | undefined;
  #isStopped = false;

  constructor(dependencies: GuardWatchDependencies) {
    this.#dependencies = dependencies;
    this.#lookedAt = dependencies.clock.monotonic();
    this.followPolicy();
  }

  /** Whether the policy in force expects anybody. */
  get isListening(): boolean {
    return this.#guards.size > 0;
  }

  /** How each guard is, in the order of the policy. */
  get status(): readonly GuardStatus[] {
    return [...this.#guards.values()].map((guard) => this.#statusOf(guard));
  }

  /** Goes on under the policy in force. What is expected from now on has its first deadline from now on. */
  followPolicy(): void {
    const { expect, clock } = this.#dependencies;
    const expected = expect();
    if (expected === this.#expected) return;
    this.#expected = expected;
    const known = this.#guards;
    this.#guards = new Map(
      expected.map(({ source, every }) => {
        const before = known.get(source);
        if (before !== undefined) before.every = every;
        return [source, before ?? newGuard(source, every, clock.monotonic())];
      }),
    );
  }

  /**
   * Takes a heartbeat. It resolves when what it changes is on disk.
   * @throws RecorderError `not_found` (with `allowed`) for a source that the policy does not expect; `log_unavailable` and
   *   the other errors of an append where an entry is due and the log refuses it
   */
  async heartbeat(source: string, caller?: Caller): Promise<GuardStatus> {
    const guard = this.#guards.get(source);
    if (guard === undefined) {
      const allowed = [...this.#guards.keys()];
      const message = `the policy expects no heartbeat of this source; expected: ${allowed.join(', ') || 'none'}`;
      throw new RecorderError('not_found', message, { fields: { allowed } });
    }
    this.#note(guard, 'heartbeat', caller);
    await this.#writeHeard(guard);
    return this.#statusOf(guard);
  }

  /** Takes the sources of reports that are on disk. Never throws; what it has to write is written later. */
  heard(source: string): void {
    const guard = this.#guards.get(source);
    if (guard === undefined) return;
    this.#note(guard, 'report', undefined);
    // The next look tries again what the log refuses.
    this.#writeHeard(guard).catch((error: unknown) => this.#unlessRefused(error));
  }

  /** Finds the guards that have fallen silent. To be called every second or so. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch((error: unknown) => this.#unlessRefused(error))
      .finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  /** Ends what is being written. Further looks do nothing. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#looking;
    await this.#writing.catch(() => {});
  }

  #note(guard: Guard, by: SignOfLife, caller: Caller | undefined): void {
    const { clock } = this.#dependencies;
    guard.since = clock.monotonic();
    guard.heardAt = timestamp(clock.now());
    guard.heardBy = by;
    guard.caller = caller;
  }

  async #look(): Promise<void> {
    const { clock, isDeaf } = this.#dependencies;
    const now = clock.monotonic();
    const passed = now - this.#lookedAt;
    this.#lookedAt = now;
    if (this.#isStopped) return;
    this.followPolicy();
    const lost = isDeaf() ? passed : Math.max(0, passed - LONGEST_BEAT);
    for (const guard of this.#guards.values()) {
      guard.since = Math.min(now, guard.since + lost);
      if (isLate(guard, now)) await this.#writeSilent(guard);
      else if (guard.heardAt !== undefined) await this.#writeHeard(guard);
    }
  }

  /** Writes that a guard is silent, unless the log says so or it was heard meanwhile. */
  #writeSilent(guard: Guard): Promise<void> {
    return this.#inTurn(async () => {
      const { log, clock } = this.#dependencies;
      const record = this.#recordOf(guard);
      const silence = clock.monotonic() - guard.since;
      if (record.silent_since !== null || !isLate(guard, clock.monotonic())) return;
      const time = timestamp(clock.now());
      const heardAt = guard.heardAt ?? record.heard_at ?? undefined;
      await log.append(silentDrafts(guard, time, Math.round(silence), heardAt));
      guard.onRecord = { heard_at: heardAt ?? null, silent_since: time };
    });
  }

  /** Writes the last sign of life of a guard, when that is due. */
  #writeHeard(guard: Guard): Promise<void> {
    if (guard.onRecord !== undefined && !this.#isDue(guard, guard.onRecord)) return Promise.resolve();
    return this.#inTurn(async () => {
      const { log, clock } = this.#dependencies;
      const record = this.#recordOf(guard);
      if (!this.#isDue(guard, record)) return;
      const { source, heardBy: sign, heardAt: time = timestamp(clock.now()), caller } = guard;
      const { silent_since } = record;
      const data = { source, sign, ...caller, ...(silent_since === null ? {} : { silent_since }) };
      await log.append([{ timestamp: time, event: 'guard.heard', data }]);
      guard.onRecord = { heard_at: time, silent_since: null };
      guard.writtenAt = clock.monotonic();
    });
  }

  /** Whether the last sign of life of a guard is to be written: it says something new, or it is time. */
  #isDue(guard: Guard, { heard_at, silent_since }: NonNullable<Guard['onRecord']>): boolean {
    if (guard.heardAt === undefined || guard.heardAt === heard_at) return false;
    if (heard_at === null || silent_since !== null) return true;
    return guard.since - guard.writtenAt >= Math.max(guard.every / 2, WRITE_EVERY);
  }

  /** @throws RecorderError `log_unavailable`, `starting` while it is not known */
  #recordOf(guard: Guard): NonNullable<Guard['onRecord']> {
    guard.onRecord ??= this.#dependencies.current().guard(guard.source) ?? { heard_at: null, silent_since: null };
    return guard.onRecord;
  }

  #statusOf(guard: Guard): GuardStatus {
    const { source, every, heardAt } = guard;
    const record = guard.onRecord ?? this.#shownRecordOf(guard);
    const silentSince = record?.silent_since ?? undefined;
    return {
      source,
      every_seconds: every / SECOND,
      status: silentSince !== undefined ? 'silent' : heardAt === undefined ? 'awaited' : 'heard',
      heard_at: heardAt ?? record?.heard_at ?? null,
      ...(silentSince === undefined ? {} : { silent_since: silentSince }),
    };
  }

  #shownRecordOf(guard: Guard): Guard['onRecord'] {
    try {
      return this.#recordOf(guard);
    } catch {
      // What the log says is being read.
      return undefined;
    }
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#writing.catch(() => {}).then(work);
    this.#writing = done;
    return done;
  }

  #unlessRefused(error: unknown): void {
    if (!(error instanceof RecorderError)) this.#dependencies.onFault(error);
  }
}

const newGuard = (source: string, every: number, since: number): Guard => ({
  source,
  every,
  since,
  heardAt: undefined,
  heardBy: 'heartbeat',
  caller: undefined,
  onRecord: undefined,
  writtenAt: -Infinity,
});

const isLate = ({ every, since }: Guard, now: number): boolean =>
  now - since >= every + Math.min(GRACE_SHARE * every, LONGEST_GRACE);

function silentDrafts(
  { source, every }: Guard,
  time: string,
  silence: number,
  heardAt: string | undefined,
): readonly Draft[] {
  const heard = heardAt === undefined ? 'it was never heard' : `it was heard last at ${heardAt}`;
  const reason = `the guard ${source} is silent: it is expected every ${every / SECOND} s, and ${heard}`;
  const data = {
    source,
    every_ms: every,
    silent_ms: silence,
    ...(heardAt === undefined ? {} : { heard_at: heardAt }),
  };
  return [
    { timestamp: time, event: 'guard.silent', data },
    { timestamp: time, event: 'alert.raised', data: { guard: source, severity: 'high', reason } },
  ];
}
