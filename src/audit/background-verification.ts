/**
 * Verifies the log while the service runs: first what recovery has not read, then all of it, again and again.
 *
 * It works in slices of a few milliseconds and rests several times as long after each, so it takes a fifth of what the
 * processor gives, and requests hardly notice. Files may be sealed, archived or put back meanwhile. So before it reports
 * anything it verifies again, with the files as they are then.
 */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as rest } from 'node:timers/promises';
import { type Clock, MINUTE, SECOND } from '../clock.ts';
import type { ChainHash } from './chain-hash.ts';
import type { AuditLog } from './log.ts';
import type { Recovered } from './recovery.ts';
import { restBetween } from './slices.ts';
import { type Damage, type LogFile, type MissingEntries, type ValidPrefix, verifyChain } from './verify-chain.ts';
import type { StoredEntry } from '../domain/entries.ts';

const SLICE_BYTES = 16 * 1024;
/** How often the files are read before it is believed that something is wrong: they may change meanwhile. */
const ATTEMPTS = 3;
/**
 * The pauses before the first run is tried again, when a file could not be read: each twice as long as the one before.
 */
const SHORTEST_PAUSE = SECOND;
const LONGEST_PAUSE = MINUTE;
/** How long to rest after the last entry, unless somebody touches the log: reading takes time from everything else. */
const BETWEEN_RUNS = 10 * MINUTE;

export interface BackgroundVerificationOptions {
  readonly path: string;
  readonly hash: ChainHash;
  readonly clock: Clock;
  readonly log: Pick<AuditLog, 'sealed' | 'fileOf' | 'status' | 'isInPlace'>;
  /** The result of recovery. At first the log is verified up to where it ended then. */
  readonly recovered: Recovered;
  /** Receives entries that are missing. The log goes on without them. */
  readonly onMissing: (missing: readonly MissingEntries[]) => void;
  /** Begins a proof of something made from the log, for the first run; undefined when that needs none. */
  readonly prove?: (() => Proof) | undefined;
  /** Receives what the proof found to differ. */
  readonly onDifference?: (difference: string) => void;
  /** How long to rest between two runs, in milliseconds. */
  readonly betweenRuns?: number;
}

/** Proves something that is made from the log, while that is verified. */
export interface Proof {
  take(entries: readonly StoredEntry[]): void;
  /** Ends the proof after the last entry, resting now and then; returns what differs. */
  end(rest: () => Promise<void>, missing: readonly MissingEntries[]): Promise<string | undefined>;
  /** Ends the part that nobody waits for, after `end`. Rests and returns like it. */
  endLater(rest: () => Promise<void>): Promise<string | undefined>;
}

export class BackgroundVerification {
  readonly #options: BackgroundVerificationOptions;
  readonly #abort = new AbortController();
  #hurry = new AbortController();
  #verified: number | undefined;
  #verifiedAt: number | undefined;
  #fault: string | undefined;
  #pause = SHORTEST_PAUSE;
  /** The proof, while a part of it is left. */
  #proof: Proof | undefined;
  #isMoot = false;
  #running: Promise<unknown> | undefined;
  #isProved = false;
  readonly #proved = Promise.withResolvers<void>();

  constructor(options: BackgroundVerificationOptions) {
    this.#options = options;
    const { head, unread } = options.recovered;
    if (unread === 0) this.#verified = head.entries;
    if (options.prove === undefined) this.#setProved();
  }

  /** Whether what is made from the log was proved, or made, by this process. */
  get isProved(): boolean {
    return this.#isProved;
  }

  /** Resolves when that is so, or never. */
  get proved(): Promise<void> {
    return this.#proved.promise;
  }

  /** Ends the proof: the database that it was about is rebuilt from the log. */
  endProof(): void {
    this.#isMoot = true;
    this.#setProved();
  }

  /**
   * Ends the part of the proof that nobody waits for, while the log is not being verified.
   * @throws whatever reading the log throws; after `stop`, the reason of the abort
   */
  async proveRest(): Promise<void> {
    const rests = this.rests();
    const turn = async (): Promise<void> => {
      await this.#running?.catch(() => {});
      await rests();
    };
    this.#report(await this.#proof?.endLater(turn));
    this.#proof = undefined;
  }

  #report(difference: string | undefined): void {
    if (difference !== undefined && !this.#isMoot) this.#options.onDifference?.(difference);
  }

  #setProved(): void {
    this.#isProved = true;
    this.#proved.resolve();
  }

  /** The `seq` up to which the chain is valid from its first entry on; undefined until that is known. */
  get verified(): number | undefined {
    return this.#verified;
  }

  /** When the whole log was verified last, in milliseconds since the epoch; undefined until it was. */
  get verifiedAt(): number | undefined {
    return this.#verifiedAt;
  }

  /**
   * Verifies what recovery has not read, and proves what is made from the log.
   * @returns the damage; undefined when there is none
   * @throws whatever reading the files throws; after `stop`, the reason of the abort
   */
  run(): Promise<Damage | undefined> {
    const { prove } = this.#options;
    if (this.#verified === undefined || prove !== undefined) return this.#verify(() => this.#filesAtStart(), prove);
    this.#verifiedAt = this.#options.clock.now();
    return Promise.resolve(undefined);
  }

  /** Why the log can't be verified now: a file can't be read. Undefined when it could be, or was not tried. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /**
   * Rests before `run` is tried again after it has thrown: longer each time.
   * @throws after `stop`, the reason of the abort
   */
  async pause(): Promise<void> {
    const pause = this.#pause;
    this.#pause = Math.min(2 * pause, LONGEST_PAUSE);
    await rest(pause, undefined, { signal: this.#abort.signal, ref: false });
  }

  /** Verifies the whole log, as it is after a rest. Returns and throws like `run`. */
  async runAgain(): Promise<Damage | undefined> {
    const { betweenRuns = BETWEEN_RUNS } = this.#options;
    const signal = AbortSignal.any([this.#abort.signal, this.#hurry.signal]);
    await rest(betweenRuns, undefined, { signal, ref: false }).catch(() => {});
    this.#abort.signal.throwIfAborted();
    this.#hurry = new AbortController();
    // A file that was taken away is put back within a second.
    if (!this.#options.log.isInPlace) return undefined;
    return this.#verify(() => this.#filesNow());
  }

  /** Ends the rest between two runs: somebody has touched the log. */
  hurry(): void {
    this.#hurry.abort();
  }

  /** Gives a function to await between two slices of work of the same kind; it throws after `stop`. */
  rests(): () => Promise<void> {
    return restBetween(this.#options.clock, this.#abort.signal);
  }

  get stopped(): boolean {
    return this.#abort.signal.aborted;
  }

  stop(): void {
    this.#abort.abort();
  }

  async #verify(files: () => Files, prove?: () => Proof): Promise<Damage | undefined> {
    try {
      const running = this.#verifyAll(files, prove);
      this.#running = running;
      const damage = await running;
      this.#fault = undefined;
      return damage;
    } catch (error) {
      if (!this.stopped) this.#fault = reasonOf(error as NodeJS.ErrnoException);
      throw error;
    } finally {
      this.#running = undefined;
    }
  }

  async #verifyAll(files: () => Files, prove?: () => Proof): Promise<Damage | undefined> {
    let proof = prove?.();
    let result = await this.#verifyOnce(files(), proof);
    for (let attempt = 1; attempt < ATTEMPTS && !isSound(result); attempt++) {
      proof = prove?.();
      result = await this.#verifyOnce(files(), proof);
    }
    const { head, damage, missing } = result;
    if (damage !== undefined) return damage;
    if (proof !== undefined && !this.#isProved) {
      this.#report(await proof.end(this.rests(), missing));
      this.#setProved();
      if (!this.#isMoot) this.#proof = proof;
    }
    this.#verified = head.entries;
    this.#verifiedAt = this.#options.clock.now();
    this.#options.onMissing(missing.filter(({ lost }) => !lost));
    return undefined;
  }

  #filesAtStart(): Files {
    const { log, recovered } = this.#options;
    const { first, size, head } = recovered;
    // What can't be found at all is missing.
    const isThere = ({ path }: LogFile): boolean => this.#fault === undefined || existsSync(path);
    const before = log.sealed.filter((segment) => segment.first < first && isThere(segment));
    return { files: [...before, this.#growing(first, size)], entries: head.entries };
  }

  #filesNow(): Files {
    const { log } = this.#options;
    const { bytes, entries } = log.status;
    const growing = this.#growing(log.fileOf(Infinity).first, bytes);
    return { files: [...log.sealed.filter(({ path }) => existsSync(path)), growing], entries };
  }

  /** The file that grows, as far as it is written. Its path is looked up when it is due, for it may be sealed by then. */
  #growing(first: number, to: number): LogFile {
    const { log } = this.#options;
    return {
      get path() {
        return log.fileOf(first).path;
      },
      to,
    };
  }

  async #verifyOnce({ files, entries }: Files, proof?: Proof): Promise<ValidPrefix> {
    const { hash, path, log } = this.#options;
    const rests = this.rests();
    const onEntries = (read: readonly StoredEntry[]): Promise<void> => {
      proof?.take(read);
      return rests();
    };
    const prefix = await verifyChain(files, hash, onEntries, SLICE_BYTES);
    // It was taken away meanwhile.
    if (!log.isInPlace) return { ...prefix, head: { ...prefix.head, entries }, damage: undefined, missing: [] };
    if (prefix.damage !== undefined || prefix.head.entries >= entries) return prefix;
    const { head, first, end: offset } = prefix;
    const reason = `the log ends after entry ${head.entries}, ${entries} were written`;
    const line = head.entries - first + 2;
    return { ...prefix, damage: { file: basename(path), line, offset, reason, finding: 'log_cut' } };
  }
}

const reasonOf = ({ code, path, message }: NodeJS.ErrnoException): string =>
  code === undefined ? message : `${code}${path === undefined ? '' : `, ${basename(path)}`}`;

const isSound = ({ damage, missing }: ValidPrefix): boolean => damage === undefined && missing.length === 0;

/** Files of the log, and how many entries they have to lead to. */
interface Files {
  readonly files: readonly LogFile[];
  readonly entries: number;
}
