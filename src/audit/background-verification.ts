/**
 * Verifies, while the service runs, what recovery has not read: the log from its first entry on.
 *
 * It works in slices of a few milliseconds and rests several times as long after each, so that requests hardly notice.
 * Files may be sealed meanwhile. So before it reports anything it verifies once more, with the files as they are then.
 */
import { existsSync } from 'node:fs';
import { setTimeout as rest } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { ChainHash } from './chain-hash.ts';
import type { AuditLog } from './log.ts';
import type { Recovered } from './recovery.ts';
import { sealedPath } from './segments.ts';
import { type Damage, type MissingEntries, type ValidPrefix, verifyChain } from './verify-chain.ts';

const SLICE_BYTES = 16 * 1024;
/** How long to rest after a slice, as a multiple of the time that the slice took. */
const REST = 4;
/** Rests are collected until they are this long, in milliseconds: slices are too short to rest after each. */
const SHORTEST_REST = 5;

export interface BackgroundVerificationOptions {
  readonly path: string;
  readonly hash: ChainHash;
  readonly clock: Clock;
  readonly log: Pick<AuditLog, 'sealed'>;
  /** The result of recovery. The log is verified up to where it ended then. */
  readonly recovered: Recovered;
  /** Receives entries that are missing. The log goes on without them. */
  readonly onMissing: (missing: readonly MissingEntries[]) => void;
}

export class BackgroundVerification {
  readonly #options: BackgroundVerificationOptions;
  readonly #abort = new AbortController();
  #verified: number | undefined;

  constructor(options: BackgroundVerificationOptions) {
    this.#options = options;
    const { head, unread } = options.recovered;
    if (unread === 0) this.#verified = head.entries;
  }

  /** The `seq` up to which the chain is valid from its first entry on; undefined until that is known. */
  get verified(): number | undefined {
    return this.#verified;
  }

  /**
   * Verifies what recovery has not read.
   * @returns the damage; undefined when there is none
   * @throws whatever reading the files throws; after `stop`, the reason of the abort
   */
  async run(): Promise<Damage | undefined> {
    if (this.#verified !== undefined) return undefined;
    const first = await this.#verify();
    const isSound = first.damage === undefined && first.missing.length === 0;
    const { head, damage, missing } = isSound ? first : await this.#verify();
    if (damage !== undefined) return damage;
    this.#verified = head.entries;
    this.#options.onMissing(missing.filter(({ lost }) => !lost));
    return undefined;
  }

  get stopped(): boolean {
    return this.#abort.signal.aborted;
  }

  stop(): void {
    this.#abort.abort();
  }

  #verify(): Promise<ValidPrefix> {
    const { path, hash, clock, log, recovered } = this.#options;
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
    return verifyChain([...before, { path: last, to: recovered.size }], hash, onEntries, SLICE_BYTES);
  }
}
