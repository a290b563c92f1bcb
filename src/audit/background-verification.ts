/**
 * Verifies, while the service is up, what recovery has not read: the log from its first entry on.
 *
 * It goes in slices of a millisecond or a few and rests after each for several times as long, so that requests hardly
 * notice. Files may be sealed meanwhile; before damage is believed, the log is looked at once more with its files as they
 * are then.
 */
import { existsSync } from 'node:fs';
import { setTimeout as rest } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { ChainHash } from './chain-hash.ts';
import type { AuditLog } from './log.ts';
import type { Recovered } from './recovery.ts';
import { sealedPath } from './segments.ts';
import { type Damage, type Walked, walkFiles } from './verify-chain.ts';

const SLICE_BYTES = 16 * 1024;
/** How long to rest after a slice, as a multiple of what the slice took. */
const REST = 4;
/** Slices are so short that the rest is taken once in a while, in milliseconds. */
const SHORTEST_REST = 5;

export interface BackgroundParts {
  readonly path: string;
  readonly hash: ChainHash;
  readonly clock: Clock;
  readonly log: Pick<AuditLog, 'sealed'>;
  /** What recovery has found; the log is verified as far as it went then. */
  readonly recovered: Recovered;
}

export class BackgroundVerification {
  readonly #parts: BackgroundParts;
  readonly #abort = new AbortController();
  #verified: number | undefined;

  constructor(parts: BackgroundParts) {
    this.#parts = parts;
    const { head, unread } = parts.recovered;
    if (unread === 0) this.#verified = head.entries;
  }

  /** The `seq` up to which the chain is known to be valid from its first entry on; `undefined` until that is known. */
  get verified(): number | undefined {
    return this.#verified;
  }

  /**
   * Verifies what recovery has not read; gives what is wrong with it.
   * @throws whatever reading the files throws; the reason of the abort after `stop`
   */
  async run(): Promise<Damage | undefined> {
    if (this.#verified !== undefined) return undefined;
    const first = await this.#walk();
    const { head, damage } = first.damage === undefined ? first : await this.#walk();
    if (damage === undefined) this.#verified = head.entries;
    return damage;
  }

  get stopped(): boolean {
    return this.#abort.signal.aborted;
  }

  stop(): void {
    this.#abort.abort();
  }

  #walk(): Promise<Walked> {
    const { path, hash, clock, log, recovered } = this.#parts;
    const { signal } = this.#abort;
    const sealedSince = sealedPath(path, recovered.first);
    const last = existsSync(sealedSince) ? sealedSince : path;
    const before = log.sealed.filter(({ first }) => first < recovered.first);
    let owed = 0;
    let began = clock.monotonic();
    const onEntries = async (): Promise<void> => {
      owed += REST * (clock.monotonic() - began);
      if (owed >= SHORTEST_REST) {
        await rest(owed, undefined, { signal, ref: false });
        owed = 0;
      } else {
        await new Promise(setImmediate);
        signal.throwIfAborted();
      }
      began = clock.monotonic();
    };
    return walkFiles([...before, { path: last, to: recovered.size }], hash, onEntries, SLICE_BYTES);
  }
}
