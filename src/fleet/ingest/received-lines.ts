/**
 * The lines that a machine sends: read, checked for their form, for the links between them, and, where the machine's key
 * is here, for the hash of each.
 *
 * A machine may send anything. What passes is stored as it came.
 */
import { isUtf8 } from 'node:buffer';
import { type ChainHash, chainHash } from '../../audit/chain-hash.ts';
import { faultOfContinuation } from '../../audit/continuation.ts';
import { EntryFault, MAX_ENTRY_BYTES, NewerEntry, parseGenuine } from '../../audit/entry.ts';
import type { Entry, EntryOf } from '../../domain/entries.ts';
import { RecorderError } from '../../errors.ts';
import { holdsMore, isDeeper, type JsonValue } from '../../json/exact-json.ts';

/** The most lines of a batch, and its greatest size in bytes once it is unpacked. */
export const MOST_LINES = 1000;
export const MOST_BYTES = 4 * 1024 * 1024;

export interface ReceivedLine {
  readonly seq: number;
  /** Without its newline. */
  readonly text: string;
  readonly entry: Entry;
  /** Whether its hash was verified. */
  readonly verified: boolean;
}

/** Why a line is not the entry that it should be. */
export class LineFault extends Error {
  override readonly name = 'LineFault';
  readonly seq: number;

  constructor(seq: number, why: string) {
    super(`entry ${seq}: ${why}`);
    this.seq = seq;
  }
}

/** What verifies the hashes of a machine's entries. */
export interface Keys {
  /** With the keys that it has enrolled, the newest first; none: its hashes are not verified. */
  readonly hashes: readonly ChainHash[];
  /** Whether its log goes on under a key that it has not enrolled. */
  isLost: boolean;
}

const PLAIN = chainHash(undefined);

/**
 * Reads the lines of a batch.
 * @param from `seq` of the first
 * @param keys `isLost` is set where the batch shows it
 * @throws LineFault for a line that is no entry, is not the next one, or does not link to the one before it
 * @throws RecorderError `too_large`
 */
export function readReceived(body: Buffer, from: number, keys: Keys): readonly ReceivedLine[] {
  if (!isUtf8(body)) throw new LineFault(from, 'the batch is not UTF-8');
  const texts = body.toString('utf8').split('\n');
  // Whoever leaves out the last newline has sent a whole entry all the same: one that was cut is no JSON.
  if (texts.at(-1) === '') texts.pop();
  if (texts.length > MOST_LINES)
    throw new RecorderError('too_large', `at most ${MOST_LINES} entries at once, found ${texts.length}`);
  let before: string | undefined;
  return texts.map((text, index) => {
    const seq = from + index;
    if (text.length > MAX_ENTRY_BYTES) throw new LineFault(seq, 'longer than an entry may be');
    const entry = readShape(text, seq);
    if (entry.data.seq !== seq) throw new LineFault(seq, `its seq is ${entry.data.seq}`);
    if (before !== undefined && entry.prev_hash !== before)
      throw new LineFault(seq, 'its prev_hash is not the entry_hash of the entry before it');
    before = entry.entry_hash;
    return { seq, text, entry, verified: isVerified(text, seq, entry, keys) };
  });
}

/** @throws LineFault when the key is here and the hash is wrong */
function isVerified(text: string, seq: number, entry: Entry, keys: Keys): boolean {
  const { algorithm } = entry;
  if (algorithm === PLAIN.algorithm) {
    // Anybody can make such hashes, so they prove little; a wrong one is wrong all the same.
    const fault = faultOf(text, PLAIN);
    if (fault !== undefined) throw new LineFault(seq, fault);
    return false;
  }
  const { hashes } = keys;
  if (hashes.length === 0) return false;
  const faults = hashes.map((hash) => faultOf(text, hash));
  if (faults.includes(undefined)) {
    keys.isLost = false;
    return true;
  }
  if (keys.isLost) return false;
  if (entry.event !== 'log.continued' || !isContinued(entry, hashes)) throw new LineFault(seq, faults[0]!);
  keys.isLost = true;
  return false;
}

/** Why a line is not as whoever has the key wrote it. */
function faultOf(text: string, hash: ChainHash): string | undefined {
  try {
    parseGenuine(text, hash);
    return undefined;
  } catch (error) {
    if (error instanceof NewerEntry) return undefined;
    if (error instanceof EntryFault) return error.message;
    throw error;
  }
}

/** Whether somebody with a key that is known here says that the log goes on under another. */
const isContinued = ({ data, prev_hash: hash }: EntryOf<'log.continued'>, hashes: readonly ChainHash[]): boolean =>
  hashes.some((oldHash) => {
    const newHash = { ...oldHash, digest: () => data.new_key_digest };
    return faultOfContinuation(data, { entries: data.seq - 1, hash }, { oldHash, newHash }) === undefined;
  });

/** Deeper than what recorders take: what nests deeper than the stack can be neither hashed nor written. */
const DEEPEST = 64;

const FIELDS = ['timestamp', 'event', 'data', 'prev_hash', 'entry_hash', 'algorithm'];
const TIMESTAMP = /^[12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const EVENT = /^[a-z][a-z0-9_.-]{0,127}$/;
const HASH = /^[0-9a-f]{64}$/;
const ALGORITHM = /^[a-z0-9-]{1,32}$/;

/** What may be a number beyond those of IEEE 754, in JSON. */
const HUGE_NUMBER = /[:,[]\s*-?(?:\d+(?:\.\d+)?[eE]\+?\d{3}|\d{200})/;

/** Whether all numbers in a value are finite. It nests no deeper than `DEEPEST`. */
function isFinite(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value !== 'object' || value === null || Object.values(value).every(isFinite);
}

function readShape(text: string, seq: number): Entry {
  // Streams give lines as they came: white space before the object, or a carriage return, would end an event early.
  if (!text.startsWith('{') || text.includes('\r')) throw new LineFault(seq, 'not a JSON object on one line');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new LineFault(seq, 'not a line of JSON');
  }
  if (!isObject(value)) throw new LineFault(seq, 'not a JSON object');
  if (holdsMore(text, DEEPEST) && isDeeper(value as JsonValue, DEEPEST))
    throw new LineFault(seq, 'it nests deeper than an entry');
  // What is read as infinite could not be written again.
  if (HUGE_NUMBER.test(text) && !isFinite(value)) throw new LineFault(seq, 'it has a number that is too large');
  const { timestamp, event, data, prev_hash, entry_hash, algorithm } = value;
  const keys = Object.keys(value);
  if (keys.length !== FIELDS.length || !FIELDS.every((field) => Object.hasOwn(value, field)))
    throw new LineFault(seq, `must have the fields ${FIELDS.join(', ')} and no others`);
  if (typeof timestamp !== 'string' || !TIMESTAMP.test(timestamp) || !isTime(timestamp))
    throw new LineFault(seq, 'its timestamp is no time');
  if (typeof event !== 'string' || !EVENT.test(event)) throw new LineFault(seq, 'its event is no name');
  if (!isObject(data) || !Number.isSafeInteger(data.seq)) throw new LineFault(seq, 'its data has no seq');
  if (
    typeof prev_hash !== 'string' ||
    (prev_hash !== '' && !HASH.test(prev_hash)) ||
    (prev_hash === '') !== (seq === 1)
  )
    throw new LineFault(seq, 'its prev_hash is no hash');
  if (typeof entry_hash !== 'string' || !HASH.test(entry_hash)) throw new LineFault(seq, 'its entry_hash is no hash');
  if (typeof algorithm !== 'string' || !ALGORITHM.test(algorithm)) throw new LineFault(seq, 'its algorithm is no name');
  return value as unknown as Entry;
}

/** Whether there is such a day and such an hour. */
function isTime(timestamp: string): boolean {
  const time = Date.parse(timestamp);
  return !Number.isNaN(time) && new Date(time).toISOString() === timestamp;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The hash of an entry, from its line as it is stored. */
export const hashOfLine = (line: string): string =>
  /"entry_hash":"([0-9a-f]{64})","algorithm":"[a-z0-9-]+"\}$/.exec(line)?.[1] ?? (JSON.parse(line) as Entry).entry_hash;
