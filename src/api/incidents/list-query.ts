import type * as z from 'zod/mini';
import { RecorderError } from '../../errors.ts';
import type { Reader } from '../../domain/withheld.ts';
import { evidenceWithheld } from '../middleware/read-access.ts';
import type { AttentionFilter } from '../../query/list-query.ts';
import type { ListQuery, Sort } from '../../query/list-query.ts';
import { readSearch } from '../../search/search-terms.ts';
import { readCursor } from './cursor.ts';
import { type filterSchema, LONGEST_LIST, listSchema, MOST_PEOPLE, MOST_SOURCES } from './requests.ts';
import { parseQuery } from '../request/query.ts';
import { parseTimestamp } from '../request/timestamp.ts';
import { validate } from '../request/validate.ts';

/** The value of `assignee` for incidents that nobody works. */
const NOBODY = 'none';

/** Who reads: a search tells what is in evidence. Without a reader nobody may see it. */
export type Searcher = Pick<Reader, 'evidence'>;

/**
 * Reads the query string of the list.
 * @param now the time at which silences are active, in milliseconds since the epoch
 * @throws RecorderError `invalid_request`, which says what is wrong and what is allowed; `forbidden` for terms of evidence
 *   where the reader may not see it
 */
export const readListQuery = (query: string, now: number, reader?: Searcher): ListQuery => {
  const {
    limit,
    fields,
    collapse,
    cursor,
    sort: given,
    ...filters
  } = validate(listSchema, parseQuery(query), 'parameter');
  const sort = given?.[0] as Sort | undefined;
  return {
    ...readFilter(filters, now, reader),
    ...(sort !== undefined && { sort }),
    limit: Number(limit?.[0] ?? LONGEST_LIST),
    ...(fields !== undefined && { isSummary: true }),
    ...(collapse !== undefined && { collapsed: true }),
    ...(cursor?.[0] !== undefined && { after: readCursor(cursor[0], sort) }),
  };
};

/**
 * Which incidents the filters of a request select.
 * @param now the time at which silences are active, in milliseconds since the epoch
 * @throws RecorderError like `readListQuery`
 */
export const readFilter = (
  given: z.infer<typeof filterSchema>,
  now: number,
  reader?: Searcher,
): Omit<ListQuery, 'limit'> => {
  const since = timeOf(given.since);
  const until = timeOf(given.until);
  if (since !== undefined && until !== undefined && since > until) {
    throw new RecorderError('invalid_request', 'since must not be later than until');
  }
  const sources = distinct(given.source);
  if (sources.length > MOST_SOURCES) {
    throw new RecorderError('invalid_request', `source may be given at most ${MOST_SOURCES} times`);
  }
  const by = distinct(given.by);
  const assignees = distinct(given.assignee);
  if (by.length > MOST_PEOPLE)
    throw new RecorderError('invalid_request', `by may be given at most ${MOST_PEOPLE} times`);
  if (assignees.length > MOST_PEOPLE) {
    throw new RecorderError('invalid_request', `assignee may be given at most ${MOST_PEOPLE} times`);
  }
  const search = given.q?.[0] === undefined ? undefined : readSearch(given.q[0]);
  const isEvidenceShown = reader?.evidence === true;
  if (!isEvidenceShown && search?.terms.some(({ of }) => of === 'evidence')) throw evidenceWithheld();
  const updatedSince = timeOf(given.updated_since);
  return {
    classes: distinct(given.class),
    states: distinct(given.state),
    severities: distinct(given.severity),
    sources,
    ...(given.resolution !== undefined && { resolutions: distinct(given.resolution) }),
    ...search,
    ...(search !== undefined && isEvidenceShown && { evidence: true }),
    ...(by.length > 0 && { by }),
    ...(assignees.length > 0 && { assignees: assignees.map((name) => (name === NOBODY ? null : name)) }),
    ...(given.snoozed?.[0] !== undefined && { snoozed: given.snoozed[0] === 'true' }),
    ...(given.containment !== undefined && { containment: distinct(given.containment) }),
    ...attentionOf(given.attention?.[0], given.silenced?.[0], now),
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
    ...(updatedSince !== undefined && { updatedSince }),
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
