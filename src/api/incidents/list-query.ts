import type * as z from 'zod/mini';
import { RecorderError } from '../../errors.ts';
import type { AttentionFilter } from '../../projections/attention.ts';
import type { ListQuery } from '../../projections/incident-list.ts';
import { readWords } from '../../projections/search-words.ts';
import { readCursor } from './cursor.ts';
import { type filterSchema, LONGEST_LIST, listSchema, MOST_SOURCES } from './requests.ts';
import { parseQuery } from '../request/query.ts';
import { parseTimestamp } from '../request/timestamp.ts';
import { validate } from '../request/validate.ts';

/**
 * Reads the query string of the list.
 * @param now the time at which silences are active, in milliseconds since the epoch
 * @throws RecorderError `invalid_request`, which says what is wrong and what is allowed
 */
export const readListQuery = (query: string, now: number): ListQuery => {
  const { limit, collapse, cursor, ...filters } = validate(listSchema, parseQuery(query), 'parameter');
  return {
    ...readFilter(filters, now),
    limit: Number(limit?.[0] ?? LONGEST_LIST),
    ...(collapse !== undefined && { collapsed: true }),
    ...(cursor?.[0] !== undefined && { after: readCursor(cursor[0]) }),
  };
};

/**
 * Which incidents the filters of a request select.
 * @param now the time at which silences are active, in milliseconds since the epoch
 * @throws RecorderError `invalid_request`
 */
export const readFilter = (given: z.infer<typeof filterSchema>, now: number): Omit<ListQuery, 'limit'> => {
  const since = timeOf(given.since);
  const until = timeOf(given.until);
  if (since !== undefined && until !== undefined && since > until) {
    throw new RecorderError('invalid_request', 'since must not be later than until');
  }
  const sources = distinct(given.source);
  if (sources.length > MOST_SOURCES) {
    throw new RecorderError('invalid_request', `source may be given at most ${MOST_SOURCES} times`);
  }
  return {
    classes: distinct(given.class),
    states: distinct(given.state),
    severities: distinct(given.severity),
    sources,
    ...(given.resolution !== undefined && { resolutions: distinct(given.resolution) }),
    ...(given.q?.[0] !== undefined && { words: readWords(given.q[0]) }),
    ...attentionOf(given.attention?.[0], given.silenced?.[0], now),
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
  };
};

/** By attention and silences, as a member of the query; nothing when neither is given. */
function attentionOf(needed: string | undefined, silenced: string | undefined, at: number) {
  if (needed === undefined && silenced === undefined) return undefined;
  const filter: AttentionFilter = {
    ...(needed !== undefined && { needed: true }),
    ...(silenced !== undefined && { silenced: silenced === 'true' }),
    at,
  };
  return { attention: filter };
}

const distinct = <Value>(values: readonly Value[] = []): readonly Value[] =>
  values.length < 2 ? values : [...new Set(values)];

const timeOf = (values: readonly string[] | undefined): number | undefined =>
  values?.[0] === undefined ? undefined : parseTimestamp(values[0]);
