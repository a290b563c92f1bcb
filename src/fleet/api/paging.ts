/** Pages of the fleet's own lists: `limit`, and `after`, which the link to the next page has. */
import type { Context } from 'koa';
import * as z from 'zod/mini';
import { linkToNext } from '../../api/incidents/link.ts';
import { once } from '../../api/request/fields.ts';
import { RecorderError } from '../../errors.ts';

const USUAL = 100;
const LONGEST = 1000;

const isLimit = (text: string): boolean => /^[1-9]\d{0,3}$/.test(text) && Number(text) <= LONGEST;

/** The parameters of a list. New fields at each call: the description of the API is kept by field. */
export const paging = () => ({
  limit: once('limit', isLimit, `limit must be a whole number from 1 to ${LONGEST}`),
  after: once('after', (text) => text.length <= 1024, 'invalid cursor'),
});

/** A parameter that is true or false. */
export const flag = (name: string) =>
  once(name, (text) => text === 'true' || text === 'false', `${name} must be true or false`);

export const flagIn = (values: readonly string[] | undefined): boolean | undefined =>
  values?.[0] === undefined ? undefined : values[0] === 'true';

export const oneOfWords = <Word extends string>(name: string, words: readonly Word[]) =>
  z.exactOptional(z.array(z.enum(words, `${name} must be one of ${words.join(', ')}`)));

export interface Page {
  readonly limit: number;
  /** The place behind which the page begins: as `paged` wrote it. */
  readonly after: readonly string[] | undefined;
}

/** @throws RecorderError `invalid_request` for a place that `paged` did not write */
export function pageOf(
  given: { readonly limit?: readonly string[]; readonly after?: readonly string[] },
  parts: number,
): Page {
  const limit = Number(given.limit?.[0] ?? USUAL);
  const text = given.after?.[0];
  if (text === undefined) return { limit, after: undefined };
  try {
    const after: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    const isPlace = Array.isArray(after) && after.length === parts && after.every((part) => typeof part === 'string');
    if (isPlace) return { limit, after };
  } catch {
    // Said below.
  }
  throw new RecorderError('invalid_request', 'invalid cursor');
}

/** One page of rows that were read with one more than its limit, and sets the link to the next. */
export function paged<Row>(
  ctx: Context,
  { limit }: Page,
  rows: readonly Row[],
  placeOf: (row: Row) => readonly string[],
): readonly Row[] {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  if (rows.length > limit && last !== undefined) {
    const place = Buffer.from(JSON.stringify(placeOf(last))).toString('base64url');
    ctx.set('Link', linkToNext(ctx.path, ctx.querystring, 'after', place));
  }
  return page;
}

export const timeOrNull = (time: Date | null): string | null => time?.toISOString() ?? null;
