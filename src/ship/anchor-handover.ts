/**
 * Hands the fleet's anchors to the recorder. Only the latest one counts, so one waits at most; the recorder itself
 * decides which of them it records.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { type Clock, MINUTE } from '../clock.ts';
import type { LocalRecorder, RecorderAnswer } from './local-recorder.ts';
import { persist } from './persist.ts';
import type { ShipLog } from './ship-log.ts';

/** The recorder records one in an hour, or in 10,000 entries; every batch brings one. In milliseconds. */
const AT_MOST_EVERY = MINUTE;
const PASSING: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

export type AnchorOutcome = 'recorded' | 'not_needed' | 'refused';

export interface AnchorHandoverOptions {
  readonly recorder: Pick<LocalRecorder, 'anchor'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly say: ShipLog;
  readonly count: (outcome: AnchorOutcome) => void;
}

export class AnchorHandover {
  readonly #options: AnchorHandoverOptions;
  #latest: string | undefined;
  #handedAt = -Infinity;
  #wake: (() => void) | undefined;

  constructor(options: AnchorHandoverOptions) {
    this.#options = options;
  }

  /** An anchor that the fleet has sent. */
  offer(anchor: string): void {
    this.#latest = anchor;
    this.#wake?.();
  }

  /** Hands over anchors until `signal` is aborted. @throws its reason */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      if (this.#latest === undefined) await this.#offered(signal);
      const pause = this.#handedAt + AT_MOST_EVERY - this.#options.clock.monotonic();
      if (pause > 0) await wait(pause, undefined, { signal });
      await this.#handOver(signal);
    }
  }

  /** Hands over the one that waits. @throws the reason of `signal` */
  async flush(signal: AbortSignal): Promise<void> {
    if (this.#latest !== undefined) await this.#handOver(signal);
  }

  async #handOver(signal: AbortSignal): Promise<void> {
    const { recorder, say, clock } = this.#options;
    const attempt = async (): Promise<RecorderAnswer> => {
      // A later one may have come since the last attempt.
      const anchor = this.#latest!;
      const answer = await recorder.anchor(anchor, signal);
      if (PASSING.has(answer.status)) throw new Error(`the recorder answered ${answer.status}`);
      if (this.#latest === anchor) this.#latest = undefined;
      return answer;
    };
    const failed = (error: unknown): void =>
      say('warn', 'an anchor could not be handed to the recorder', { why: (error as Error).message });
    this.#judge(await persist(attempt, failed, signal));
    this.#handedAt = clock.monotonic();
  }

  #judge({ status, body }: RecorderAnswer): void {
    const { say, count } = this.#options;
    const { recorded, seq, error, code } = body as Readonly<Record<string, unknown>>;
    if (status === 200 || status === 201) {
      count(recorded === true ? 'recorded' : 'not_needed');
      if (recorded === true) say('info', 'the recorder has recorded an anchor of the fleet', { seq: Number(seq) });
      return;
    }
    count('refused');
    const why = typeof error === 'string' ? error : `status ${status}`;
    if (status === 409 || code === 'anchor_mismatch')
      say('error', 'THE LOG IS NOT THE ONE THAT THE FLEET HAS SIGNED: the recorder refused an anchor', { why });
    else say('warn', 'the recorder refused an anchor of the fleet', { status, why });
  }

  async #offered(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    let abort = (): void => {};
    try {
      await new Promise<void>((resolve, reject) => {
        this.#wake = resolve;
        abort = () => reject(signal.reason as Error);
        signal.addEventListener('abort', abort, { once: true });
      });
    } finally {
      this.#wake = undefined;
      signal.removeEventListener('abort', abort);
    }
  }
}
