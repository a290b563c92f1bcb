/**
 * The audit log's format, and its entries.
 *
 * # Files
 *
 * A log is a series of files, all in one directory. For `AUDIT_LOG_PATH=audit.jsonl`:
 *
 * | file | holds |
 * | --- | --- |
 * | `audit.jsonl` | the newest entries; the only file that grows |
 * | `audit.<seq of its first entry, 12 digits>.jsonl` | a sealed segment, never written again (segments.ts) |
 * | `audit.jsonl.checkpoint` | how far the log was known to reach (checkpoint.ts) |
 * | `audit.jsonl.next` | the empty file in which the log continues; exists only while a segment is sealed |
 * | `audit.jsonl.torn-<time>` | the bytes that a recovery cut off the end (recovery.ts) |
 * | `audit.jsonl.identity` | which log it is (identity.ts) |
 * | `audit.jsonl.damage` | that damage was found while the service ran (damage-marker.ts) |
 * | `audit.jsonl.replaced-<time>`, `.truncated-<time>` | what was found in the place of the log (segmented-file.ts) |
 * | `archive/` | segments that were archived (archive.ts) |
 *
 * # Entries
 *
 * Sealed segments and log are one sequence of lines, the oldest first. Each line is one entry: a JSON object in UTF-8
 * and a newline, at most `MAX_ENTRY_BYTES` long, with exactly these fields in this order:
 *
 * ```
 * {"timestamp":"2026-11-22T07:12:00.123Z","event":"incident.reported","data":{"seq":17,…},
 *  "prev_hash":"<64 hex digits>","entry_hash":"<64 hex digits>","algorithm":"hmac-sha256"}
 * ```
 *
 * - `timestamp`: RFC 3339 in UTC with milliseconds. It is data; it says nothing about the order.
 * - `event`: one of `ENTRY_EVENTS` (domain/entries.ts).
 * - `data`: what happened. `data.seq` comes first and is the entry's number, from 1, without gaps: the only order.
 *   The other members depend on `event` (`EntryDataOf`).
 * - `prev_hash`: `entry_hash` of the entry before; `""` in the first entry.
 * - `entry_hash`: the chain's hash, see below.
 * - `algorithm`: `hmac-sha256`, or `sha256` for a log without a key. One log has one algorithm.
 *
 * # Chain
 *
 * `entry_hash` is the lower-case hex HMAC-SHA256 (or SHA-256) of the canonical form of
 * `{data, event, prev_hash, timestamp}`. The canonical form is what Python's
 * `json.dumps(value, sort_keys=True, separators=(",", ":"))` writes (json/canonical-form.ts). The appliance's existing
 * verifier rebuilds that text from each line, so lines are written in a form that parses back to it.
 *
 * An entry has exactly one spelling. `parseEntry` writes again what it has read and refuses a line that differs, so
 * nothing can hide in white space, escapes, duplicate keys or extra fields.
 *
 * # Durability
 *
 * Entries are written in batches of at most `MAX_BATCH_BYTES` (recovery.ts), and `fdatasync` follows each batch. A
 * crash can therefore leave at most one incomplete batch, at the end of the newest file and behind the checkpoint: a
 * torn tail, which the next start keeps aside and cuts off. Everything else that does not verify is damage and is never
 * repaired.
 *
 * The checkpoint is `{"entries":N,"last_hash":H,"hmac":…}`, signed with the chain's hash. It follows the log, so after
 * a crash it may be behind the log, never ahead of it.
 *
 * # Archive
 *
 * When a segment is archived, a `log.archived` entry with its place in the chain is written before the file moves. The
 * verifier accepts missing entries only when such entries name them. Each `log.archived` entry repeats all earlier
 * ones, because it will be archived itself one day (archived-ranges.ts).
 */
import { canonicalForm, spell } from '../json/canonical-form.ts';
import type { ChainHash } from './chain-hash.ts';
import { type Draft, type Entry, ENTRY_EVENTS, LOG_FORMAT } from '../domain/entries.ts';
import { VERSION } from '../version.ts';

/**
 * The greatest length of an entry's line in bytes, newline included. A body of 256 KiB may become more than three times
 * as long when it is written (`9e15`, U+0085); with the entries that belong to it, it must fit into one batch.
 */
export const MAX_ENTRY_BYTES = 960 * 1024;

/** The end of a chain, which the next entry follows: how many entries there are, and the hash of the last. */
export interface Head {
  readonly entries: number;
  readonly hash: string;
}

export const EMPTY_HEAD: Head = { entries: 0, hash: '' };

/** Makes the entry that follows `head`. Returns it with its line, newline included, and the length of that in UTF-8. */
export function chainEntry(
  draft: Draft,
  head: Head,
  hash: ChainHash,
): { readonly entry: Entry; readonly line: string; readonly length: number } {
  const data = { seq: head.entries + 1, ...draft.data };
  const { canonical, exact, isAscii } = spell(data);
  // Event and data come from one draft, so they belong together; the compiler cannot see that.
  const entry = {
    timestamp: draft.timestamp,
    event: draft.event,
    data,
    prev_hash: head.hash,
    entry_hash: hash.digestAscii(hashedTextWith(canonical, draft.event, head.hash, draft.timestamp)),
    algorithm: hash.algorithm,
  } as Entry;
  const line = lineOf(entry, exact);
  return { entry, line, length: isAscii ? line.length : Buffer.byteLength(line) };
}

/** A line that is not the entry expected in its place. The message says why. */
export class EntryFault extends Error {
  override readonly name: string = 'EntryFault';
}

/** A line that a newer version of the recorder wrote: it is as it was written, and this version does not know it. */
export class NewerEntry extends EntryFault {
  override readonly name = 'NewerEntry';
}

/**
 * Reads a line as the entry that follows `head`.
 * @param line without its newline
 * @throws EntryFault
 */
export function parseEntry(line: string, head: Head, hash: ChainHash): Entry {
  const entry = parseGenuine(line, hash);
  const expected = head.entries + 1;
  if (entry.data.seq !== expected) {
    const hint = entry.data.seq > expected ? 'entries are missing before it' : 'it is repeated or out of order';
    throw new EntryFault(`seq ${entry.data.seq} where ${expected} is due: ${hint}`);
  }
  if (entry.prev_hash !== head.hash) throw new EntryFault('its prev_hash is not the entry_hash of the entry before it');
  return entry;
}

/**
 * Reads a line that the recorder wrote, wherever it belongs.
 * @param line without its newline
 * @throws EntryFault
 */
export function parseGenuine(line: string, hash: ChainHash): Entry {
  const entry = readShape(line);
  if (entry.algorithm !== hash.algorithm) {
    throw new EntryFault(`chained with ${entry.algorithm}, expected ${hash.algorithm}: ${hash.hint(entry.algorithm)}`);
  }
  const { canonical, exact } = spell(entry.data);
  if (`${line}\n` !== lineOf(entry, exact)) {
    throw new EntryFault('not spelt as the recorder writes it (white space, an escape, a duplicate key or a number)');
  }
  if (hash.digest(hashedTextWith(canonical, entry.event, entry.prev_hash, entry.timestamp)) !== entry.entry_hash) {
    const isUnknown = !KNOWN_EVENTS.has(entry.event);
    const what = isUnknown ? 'event is not one that the recorder writes, and its' : 'its';
    throw new EntryFault(`${what} entry_hash does not match its contents: edited, or ${hash.otherKey}`);
  }
  requireKnown(entry);
  return entry;
}

/** @throws NewerEntry */
function requireKnown({ event, data }: Entry): void {
  if (!KNOWN_EVENTS.has(event)) {
    throw new NewerEntry(`its event ${JSON.stringify(event)} is unknown to version ${VERSION}`);
  }
  if (event !== 'service.started') return;
  const { log_format, service_version } = data;
  if (log_format === undefined ? !isLater(service_version, VERSION) : log_format <= LOG_FORMAT) return;
  const format = log_format === undefined ? 'an unknown log format' : `log format ${String(log_format)}`;
  throw new NewerEntry(
    `from there on version ${service_version} writes ${format}, and version ${VERSION} knows ${LOG_FORMAT}`,
  );
}

/** Whether a version is later than another. What is no version is not. */
function isLater(version: unknown, than: string): boolean {
  const numbers = (text: unknown): readonly number[] =>
    (/^(\d{1,9})\.(\d{1,9})\.(\d{1,9})/.exec(String(text)) ?? []).slice(1).map(Number);
  const [one, other] = [numbers(version), numbers(than)];
  const at = one.findIndex((number, index) => number !== other[index]);
  return at !== -1 && one[at]! > (other[at] ?? Infinity);
}

const FIELDS = ['timestamp', 'event', 'data', 'prev_hash', 'entry_hash', 'algorithm'] as const;
const KNOWN_EVENTS: ReadonlySet<unknown> = new Set(ENTRY_EVENTS);
/** What an event may be named: text that is spelt in one way. */
const EVENT = /^[ !#-[\]-~]{1,128}$/;
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
  if (typeof event !== 'string' || !EVENT.test(event))
    throw new EntryFault('event is not one that the recorder writes');
  if (!isObject(data) || !Number.isSafeInteger(data.seq)) throw new EntryFault('data has no seq');
  if (typeof prev_hash !== 'string' || typeof entry_hash !== 'string') throw new EntryFault('a hash is not text');
  if (typeof algorithm !== 'string') throw new EntryFault('algorithm is not text');
  return value as unknown as Entry;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The text that an entry's hash covers. */
export const hashedText = ({ data, event, prev_hash, timestamp }: Omit<Entry, 'entry_hash' | 'algorithm'>): string =>
  hashedTextWith(canonicalForm(data), event, prev_hash, timestamp);

const hashedTextWith = (canonicalData: string, event: string, prevHash: string, timestamp: string): string =>
  `{"data":${canonicalData},"event":"${event}","prev_hash":"${prevHash}","timestamp":"${timestamp}"}`;

const lineOf = (entry: Entry, exactData: string): string =>
  `{"timestamp":"${entry.timestamp}","event":"${entry.event}","data":${exactData},` +
  `"prev_hash":"${entry.prev_hash}","entry_hash":"${entry.entry_hash}","algorithm":"${entry.algorithm}"}\n`;
