/**
 * The audit entry: one line of JSON, chained to the line before it.
 *
 * The hash covers the canonical form of `{data, event, prev_hash, timestamp}`, and the line is written in a form that
 * parses back to the same canonical form, so the appliance's existing chain verifier reads it. The line has exactly one
 * spelling: `parseEntry` writes what it read once more and refuses a line that comes out different, so nothing can be
 * hidden in white space, escapes, a duplicate key or an extra field.
 */
import { canonicalForm, spell } from '../json/canonical-form.ts';
import type { JsonValue } from '../json/exact-json.ts';
import type { ChainHash } from './chain-hash.ts';
import { type Draft, type Entry, ENTRY_EVENTS } from '../domain/entries.ts';

/** The most that one entry may take in the log, in bytes, its newline included. */
export const MAX_ENTRY_BYTES = 256 * 1024;

/** What the next entry follows: the count of entries so far and the hash of the last. */
export interface Head {
  readonly entries: number;
  readonly hash: string;
}

export const EMPTY_HEAD: Head = { entries: 0, hash: '' };

/** Makes the entry that follows `head`, and its line with the newline. */
export function chainEntry(
  draft: Draft,
  head: Head,
  hash: ChainHash,
): { readonly entry: Entry; readonly line: string } {
  const data = { seq: head.entries + 1, ...draft.data };
  const { canonical, exact } = spell(data);
  // The compiler does not see that event and data still belong together: they come from one draft.
  const entry = {
    timestamp: draft.timestamp,
    event: draft.event,
    data,
    prev_hash: head.hash,
    entry_hash: hash.digest(textAround(canonical, draft.event, head.hash, draft.timestamp)),
    algorithm: hash.algorithm,
  } as Entry;
  return { entry, line: lineOf(entry, exact) };
}

/** Why a line is not the entry that should stand there. */
export class EntryFault extends Error {
  override readonly name = 'EntryFault';
}

/**
 * Reads one line (without its newline) as the entry that follows `head`.
 * @throws EntryFault saying what is wrong with it
 */
export function parseEntry(line: string, head: Head, hash: ChainHash): Entry {
  const entry = readShape(line);
  if (entry.algorithm !== hash.algorithm) {
    throw new EntryFault(`chained with ${entry.algorithm}, expected ${hash.algorithm}: ${hash.hint(entry.algorithm)}`);
  }
  const { canonical, exact } = spell(entry.data);
  if (`${line}\n` !== lineOf(entry, exact)) {
    throw new EntryFault('not spelt as the recorder writes it (white space, an escape, a duplicate key or a number)');
  }
  if (hash.digest(textAround(canonical, entry.event, entry.prev_hash, entry.timestamp)) !== entry.entry_hash) {
    throw new EntryFault(`its entry_hash does not match its contents: edited, or ${hash.otherKey}`);
  }
  const expected = head.entries + 1;
  if (entry.data.seq !== expected) {
    const hint = entry.data.seq > expected ? 'entries are missing before it' : 'it is repeated or out of order';
    throw new EntryFault(`seq ${entry.data.seq} where ${expected} is due: ${hint}`);
  }
  if (entry.prev_hash !== head.hash) throw new EntryFault('its prev_hash is not the entry_hash of the entry before it');
  return entry;
}

const FIELDS = ['timestamp', 'event', 'data', 'prev_hash', 'entry_hash', 'algorithm'] as const;
const KNOWN_EVENTS: ReadonlySet<unknown> = new Set(ENTRY_EVENTS);
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

function readShape(line: string): Entry {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new EntryFault('not a line of JSON');
  }
  if (!isObject(value)) throw new EntryFault('not a JSON object');
  for (const field of FIELDS) if (!Object.hasOwn(value, field)) throw new EntryFault(`field ${field} is missing`);
  for (const field of Object.keys(value)) {
    if (!FIELDS.includes(field as never))
      throw new EntryFault(`field ${JSON.stringify(field.slice(0, 64))} does not belong there`);
  }
  const { timestamp, event, data, prev_hash, entry_hash, algorithm } = value;
  if (typeof timestamp !== 'string' || !TIMESTAMP.test(timestamp))
    throw new EntryFault('timestamp is not RFC 3339 in UTC');
  if (!KNOWN_EVENTS.has(event)) throw new EntryFault('event is none that the recorder writes');
  if (!isObject(data) || !Number.isSafeInteger(data.seq)) throw new EntryFault('data has no seq');
  if (typeof prev_hash !== 'string' || typeof entry_hash !== 'string') throw new EntryFault('a hash is not text');
  if (typeof algorithm !== 'string') throw new EntryFault('algorithm is not text');
  return value as unknown as Entry;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The text that an entry's hash is computed over. */
export const hashedText = ({ data, event, prev_hash, timestamp }: Omit<Entry, 'entry_hash' | 'algorithm'>): string =>
  textAround(canonicalForm(data), event, prev_hash, timestamp);

const textAround = (canonicalData: string, event: string, prevHash: string, timestamp: string): string =>
  `{"data":${canonicalData},"event":"${event}","prev_hash":"${prevHash}","timestamp":"${timestamp}"}`;

const lineOf = (entry: Entry, exactData: string): string =>
  `{"timestamp":"${entry.timestamp}","event":"${entry.event}","data":${exactData},` +
  `"prev_hash":"${entry.prev_hash}","entry_hash":"${entry.entry_hash}","algorithm":"${entry.algorithm}"}\n`;
