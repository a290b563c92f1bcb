/**
 * Places in lists of the fleet. They are opaque words, which a client sends back to go on from there.
 *
 * A list of few incidents of one machine is in the order of their numbers, like the recorder's own. Others go by the time
 * of creation, then by machine and id.
 */
import { RecorderError } from '../../errors.ts';
import type { Sort, SortedBy } from '../../query/list-query.ts';

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
}

export const writePlace = ({ sort, key, at, machine, id, number, head }: FleetPlace): string =>
  Buffer.from(JSON.stringify([sort, key, at, machine, id, number, ...(head === undefined ? [] : [head])])).toString(
    'base64url',
  );

/** Reads what `writePlace` wrote. @throws RecorderError `invalid_request` for anything else, or for another order */
export function readPlace(text: string, wanted: Sort): FleetPlace {
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
