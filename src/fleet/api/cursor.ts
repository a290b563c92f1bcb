/**
 * Places in lists of the fleet. They are opaque words, which a client sends back to go on from there.
 *
 * A list of few incidents of one machine is in the order of their numbers, like the recorder's own. Others go by the time
 * of creation, then by machine and id.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { RecorderError } from '../../errors.ts';
import type { Sort, SortedBy } from '../../query/list-query.ts';
import type { Signer } from '../../signed-note.ts';

/** Behind which incident a page begins. Times are in milliseconds since the epoch. */
export interface FleetPlace {
  readonly sort: Sort;
  readonly key: SortedBy;
  readonly at: number;
  readonly machine: string;
  readonly id: string;
  readonly number: number;
  /** The newest number that counts, in a list by numbers. */
  readonly head?: number;
  /** Whether the place is behind an incident that the list left out: its reader may not see that one. */
  readonly isHidden?: true;
}

const ALGORITHM = 'aes-256-gcm';
const [NONCE_BYTES, TAG_BYTES] = [12, 16];
const SEALED = '~';

/** Seals places that say something of machines that a reader may not see; the same at every process of a fleet. */
export class PlaceSeal {
  readonly #key: Buffer;

  constructor({ privateKey }: Pick<Signer, 'privateKey'>) {
    const secret = privateKey.export({ type: 'pkcs8', format: 'der' });
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'incident-fleet/places/v1', 32));
  }

  /** A place as a client gets it. */
  write(place: FleetPlace): string {
    const text = writePlace(place);
    if (place.isHidden !== true) return text;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce);
    const parts = [nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()];
    return SEALED + Buffer.concat(parts).toString('base64url');
  }

  /** Reads what `write` wrote. @throws RecorderError like `readPlace` */
  read(text: string, wanted: Sort): FleetPlace {
    return readPlace(text.startsWith(SEALED) ? this.#opened(text.slice(1)) : text, wanted);
  }

  #opened(text: string): string {
    try {
      const bytes = Buffer.from(text, 'base64url');
      const decipher = createDecipheriv(ALGORITHM, this.#key, bytes.subarray(0, NONCE_BYTES));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
    } catch (cause) {
      throw new RecorderError('invalid_request', 'invalid cursor', { cause });
    }
  }
}

const writePlace = ({ sort, key, at, machine, id, number, head }: FleetPlace): string =>
  Buffer.from(JSON.stringify([sort, key, at, machine, id, number, ...(head === undefined ? [] : [head])])).toString(
    'base64url',
  );

/** Reads what `writePlace` wrote. @throws RecorderError `invalid_request` for anything else, or for another order */
function readPlace(text: string, wanted: Sort): FleetPlace {
  const place = placeIn(text);
  if (place === undefined || writePlace(place) !== text) throw new RecorderError('invalid_request', 'invalid cursor');
  if (place.sort === wanted) return place;
  throw new RecorderError('invalid_request', `the cursor is a place in a list with sort=${place.sort}, not ${wanted}`);
}

function placeIn(text: string): FleetPlace | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    return undefined;
  }
  if (!Array.isArray(parts)) return undefined;
  const [sort, key, at, machine, id, number, head] = parts as readonly unknown[];
  const isKey = key === null || typeof key === 'string' || Number.isSafeInteger(key);
  const isPlace =
    typeof sort === 'string' &&
    isKey &&
    isTime(at) &&
    typeof machine === 'string' &&
    typeof id === 'string' &&
    Number.isSafeInteger(number) &&
    (head === undefined || Number.isSafeInteger(head));
  if (!isPlace) return undefined;
  return {
    sort: sort as Sort,
    key: key as SortedBy,
    at,
    machine,
    id,
    number: number as number,
    ...(head !== undefined && { head: head as number }),
  };
}

const isTime = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Math.abs(Number(value)) <= 8_640_000_000_000_000;
