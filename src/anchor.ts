/**
 * Anchors: how far a log went, signed by somebody else who holds its entries (the fleet). Whoever rewrites the log later
 * can't make an anchor that fits.
 *
 * An anchor is a checkpoint of a transparency log (C2SP tlog-checkpoint) as a signed note, so other tools read it:
 *
 *     <name of the fleet's key>/<machine>/<identity of the log>
 *     <seq of the last entry>
 *     <base64 of the RFC 6962 root over the hashes of all entries, each leaf the 32 bytes of one>
 *     hash <entry_hash of that entry, lower-case hex>
 *     time <RFC 3339, UTC, with milliseconds>
 */
import { RecorderError } from './errors.ts';
import { isKeyName, openNote, type Verifier } from './signed-note.ts';

export interface Anchor {
  /** The name of the key that signs. */
  readonly fleet: string;
  /** As the fleet calls it. */
  readonly machine: string;
  /** The identity of the log: the hash of its first entry, lower-case hex. */
  readonly log: string;
  /** The last entry, which is also how many there are. */
  readonly seq: number;
  /** Its `entry_hash`, lower-case hex. */
  readonly hash: string;
  /** The root over the hashes of entries 1 to `seq`, lower-case hex. */
  readonly root: string;
  /** When it was signed: RFC 3339, UTC, with milliseconds. */
  readonly time: string;
}

/** A machine's name: it stands in paths of URLs and in the first line of an anchor. */
export const isMachineName = (name: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(name);

const HASH = /^[0-9a-f]{64}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/**
 * The text of an anchor, which the fleet signs (`signNote`).
 * @throws RecorderError `invalid_request` for values that an anchor can't have
 */
export function anchorText(anchor: Anchor): string {
  requireAnchor(anchor);
  const { fleet, machine, log, seq, hash, root, time } = anchor;
  const root64 = Buffer.from(root, 'hex').toString('base64');
  return `${fleet}/${machine}/${log}\n${seq}\n${root64}\nhash ${hash}\ntime ${time}\n`;
}

/**
 * Reads an anchor and verifies that the fleet that it names has signed it. Further lines are ignored: a later version of
 * the format may add some.
 * @param verifiers the keys that may have signed it
 * @throws RecorderError `invalid_request` when it is no anchor, or not signed by one of them
 */
export function readAnchor(note: string, verifiers: readonly Verifier[]): Anchor {
  const { text, signedBy } = openNote(note, verifiers);
  const anchor = anchorIn(text);
  const { fleet } = anchor;
  if (!signedBy.includes(fleet)) {
    throw new RecorderError(
      'invalid_request',
      `the anchor is one of ${fleet}, but ${signedBy.join(', ')} has signed it`,
    );
  }
  return anchor;
}

/**
 * What an anchor claims, whoever has signed it.
 * @throws RecorderError `invalid_request` when it is no anchor
 */
export const claimedAnchor = (note: string): Anchor => anchorIn(note.slice(0, note.lastIndexOf('\n\n') + 1));

/** @throws RecorderError `invalid_request` */
function anchorIn(text: string): Anchor {
  const [origin = '', size = '', root64 = '', ...further] = text.split('\n');
  const [, fleet = '', machine = '', log = ''] = /^(.+)\/([^/]*)\/([^/]*)$/.exec(origin) ?? [];
  const root = Buffer.from(root64, 'base64');
  if (!/^[1-9]\d*$/.test(size) || root.toString('base64') !== root64) throw notAnAnchor();
  const anchor: Anchor = {
    fleet,
    machine,
    log,
    seq: Number(size),
    hash: member('hash', further),
    root: root.toString('hex'),
    time: member('time', further),
  };
  requireAnchor(anchor);
  return anchor;
}

function requireAnchor({ fleet, machine, log, seq, hash, root, time }: Anchor): void {
  const fits =
    isKeyName(fleet) &&
    isMachineName(machine) &&
    Number.isSafeInteger(seq) &&
    seq > 0 &&
    [log, hash, root].every((each) => HASH.test(each)) &&
    TIME.test(time) &&
    !Number.isNaN(Date.parse(time));
  if (!fits) throw notAnAnchor();
}

/** The value of the line `NAME VALUE`; empty when there is none, or more than one. */
function member(name: string, lines: readonly string[]): string {
  const [only, ...more] = lines.filter((line) => line.startsWith(`${name} `));
  return only === undefined || more.length > 0 ? '' : only.slice(name.length + 1);
}

const notAnAnchor = (): RecorderError =>
  new RecorderError('invalid_request', 'not an anchor: FLEET/MACHINE/LOG, seq, root, "hash HEX", "time RFC 3339"');
