import { RecorderError } from '../../errors.ts';
import type { Reader } from '../../domain/withheld.ts';
import { evidenceWithheld } from '../middleware/read-access.ts';
import type { ListQuery, Sort } from '../../projections/list-query.ts';
import { readSearch } from '../../projections/search-terms.ts';
import { readCursor } from './cursor.ts';
import { LONGEST_LIST, listSchema, MOST_PEOPLE, MOST_SOURCES } from './requests.ts';
import { parseQuery } from '../request/query.ts';
import { parseTimestamp } from '../request/timestamp.ts';
import { validate } from '../request/validate.ts';

/** The value of `assignee` for incidents that nobody works. */
const NOBODY = 'none';

/**
 * Reads the query string of the list.
 * @param reader what the reader may see: a search tells what is in evidence
 * @throws RecorderError `invalid_request`, which says what is wrong and what is allowed; `forbidden` for terms of evidence
 *   where the reader may not see it
 */
export const readListQuery = (query: string, reader?: Pick<Reader, 'evidence'>): ListQuery => {
  const given = validate(listSchema, parseQuery(query), 'parameter');
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
  const sort = given.sort?.[0] as Sort | undefined;
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
    ...(updatedSince !== undefined && { updatedSince }),
    ...(sort !== undefined && { sort }),
    limit: Number(given.limit?.[0] ?? LONGEST_LIST),
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
    ...(given.collapse !== undefined && { collapsed: true }),
    ...(given.cursor?.[0] !== undefined && { after: readCursor(given.cursor[0], sort) }),
  };
};

const distinct = <Value>(values: readonly Value[] = []): readonly Value[] =>
  values.length < 2 ? values : [...new Set(values)];

const timeOf = (values: readonly string[] | undefined): number | undefined =>
  values?.[0] === undefined ? undefined : parseTimestamp(values[0]);
