/**
 * A token in a file, and its rotation.
 *
 * States:
 * - good: the file was read. A `stat` shows whether it changed since; then it is read again.
 * - faulty: the file is missing or unusable. No token is this one, and each look tries to read the file again.
 *
 * So a token is rotated by replacing its file, without a timer: the new token is valid at once, the old one for another
 * 100 ms at most. A failed rotation refuses everything.
 */
import { timingSafeEqual } from 'node:crypto';
import { statSync, type BigIntStats } from 'node:fs';
import type { Clock } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import { proofKeyIdOf, proofKeyOf } from '../proof.ts';
import { readClosedFile } from './closed-file.ts';

const SHORTEST = 16;
const LONGEST = 4096;

/** How long the right token is accepted without another look at its file, in milliseconds. */
const LOOK_EVERY = 100;

export class TokenFile {
  readonly #path: string;
  readonly #name: string;
  readonly #trustedBelow: string | undefined;
  readonly #clock: Pick<Clock, 'monotonic'>;
  #lookedAt = -Infinity;
  #token: Buffer | undefined;
  /** As long as the token: what is presented is written here to be compared. */
  #presented: Buffer = NOTHING;
  /** The key of the proofs for the token, and the name of that key. */
  #proof: { readonly key: Buffer; readonly id: string } | undefined;
  #fingerprint = '';
  #fault: string | undefined;

  private constructor(path: string, name: string, clock: Pick<Clock, 'monotonic'>, trustedBelow: string | undefined) {
    this.#path = path;
    this.#name = name;
    this.#trustedBelow = trustedBelow;
    this.#clock = clock;
  }

  /**
   * Reads the token from its file: 16 to 4,096 printable ASCII characters without spaces, in a
   * regular file that is closed to others, also by every directory on the way to it. White space around them does not
   * count.
   * @param name whose token it is, for messages: `service token`
   * @param trustedBelow directories above this one are not checked
   * @throws RecorderError `config`, which says what to do and never shows the token
   */
  static open(path: string, name: string, clock: Pick<Clock, 'monotonic'>, trustedBelow?: string): TokenFile {
    const token = new TokenFile(path, name, clock, trustedBelow);
    token.reload();
    if (token.#fault !== undefined) throw new RecorderError('config', token.#fault);
    return token;
  }

  /** Whether this is the token. The time that it takes may reveal the length of the token, but nothing else. */
  matches(presented: string | undefined): boolean {
    this.#lookIfDue();
    if (this.#isToken(presented)) return true;
    // The file may hold a new one.
    this.#look();
    return this.#isToken(presented);
  }

  /** The key of the proofs for the token, which is its SHA-256; undefined while there is no usable token. */
  get key(): Buffer | undefined {
    this.#lookIfDue();
    return this.#proof?.key;
  }

  /** The same, after a look at the file. */
  get freshKey(): Buffer | undefined {
    this.#look();
    return this.#proof?.key;
  }

  /** The key of the proofs for the token, when it has this name (`proofKeyIdOf`); otherwise undefined. */
  proofKey(id: string): Buffer | undefined {
    if (this.#clock.monotonic() - this.#lookedAt >= LOOK_EVERY || this.#proof?.id !== id) this.#look();
    return this.#proof?.id === id ? this.#proof.key : undefined;
  }

  /** Why every token is refused; undefined while the token is good. */
  fault(): string | undefined {
    this.#look();
    return this.#fault;
  }

  /** Reads the file again, even when it looks unchanged. */
  reload(): void {
    try {
      const { content, stats } = readClosedFile(this.#path, this.#trustedBelow);
      const token = tokenIn(content, this.#path);
      const key = proofKeyOf(token);
      this.#token = bytesOf(token);
      this.#presented = Buffer.alloc(token.length);
      this.#proof = { key, id: proofKeyIdOf(key) };
      this.#fingerprint = fingerprintOf(stats);
      this.#fault = undefined;
    } catch (error) {
      if (!(error instanceof RecorderError)) throw error;
      this.#token = undefined;
      this.#proof = undefined;
      const missing = (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
      const remedy = missing ? `; ${remedyFor(this.#path)}` : '';
      this.#fault = `no usable ${this.#name}: ${error.message}${remedy}`;
    }
  }

  #lookIfDue(): void {
    if (this.#clock.monotonic() - this.#lookedAt >= LOOK_EVERY) this.#look();
  }

  #isToken(presented: string | undefined): boolean {
    if (this.#token === undefined || presented?.length !== this.#token.length) return false;
    this.#presented.write(presented, 'latin1');
    return timingSafeEqual(this.#presented, this.#token);
  }

  #look(): void {
    this.#lookedAt = this.#clock.monotonic();
    if (this.#fault !== undefined || this.#currentFingerprint() !== this.#fingerprint) this.reload();
  }

  #currentFingerprint(): string | undefined {
    try {
      return fingerprintOf(statSync(this.#path, { bigint: true }));
    } catch {
      // The read that follows meets the same error and explains it.
      return undefined;
    }
  }
}

const NOTHING = Buffer.alloc(0);

/** Node reads headers as latin-1. */
const bytesOf = (token: string): Buffer => Buffer.from(token, 'latin1');

const fingerprintOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  [dev, ino, size, mtimeNs, ctimeNs].join();

const remedyFor = (path: string): string => `write one: (umask 027; openssl rand -base64 32 > ${path})`;

const tokenIn = (content: Buffer, path: string): string => {
  const token = content.toString('latin1').trim();
  const refuse = (what: string): never => {
    throw new RecorderError('config', `${path} ${what}; ${remedyFor(path)}`);
  };
  if (token === '') refuse('is empty');
  if (!/^[!-~]+$/.test(token)) refuse('holds something else than printable ASCII without spaces');
  if (token.length < SHORTEST) refuse(`holds fewer than ${SHORTEST} characters`);
  if (token.length > LONGEST) refuse(`holds more than ${LONGEST} characters`);
  return token;
};
