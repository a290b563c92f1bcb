import { RecorderError } from '../../errors.ts';
import { GROUP_MEMBERS, type GroupMember, type GroupsQuery } from '../../query/incident-groups.ts';
import { parseQuery } from '../request/query.ts';
import { validate } from '../request/validate.ts';
import { readGroupsCursor } from './cursor.ts';
import { readFilter, type Searcher } from './list-query.ts';
import { groupsSchema } from './requests.ts';

/** How many groups an answer holds when the request does not say. */
export const USUAL_GROUPS = 100;
const USUAL_MEMBERS: readonly GroupMember[] = ['class', 'source'];

/**
 * Reads the query string of the groups.
 * @param now the time at which silences are active, in milliseconds since the epoch
 * @throws RecorderError `invalid_request`, which says what is wrong and what is allowed; `forbidden` like `readListQuery`
 */
export const readGroupsQuery = (
  query: string,
  now: number,
  reader?: Searcher,
): GroupsQuery & { readonly log?: string } => {
  const { by, limit, cursor, ...filters } = validate(groupsSchema, parseQuery(query), 'parameter');
  const groups = Number(limit?.[0] ?? USUAL_GROUPS);
  return {
    filter: { ...readFilter(filters, now, reader), limit: groups },
    by: by === undefined ? USUAL_MEMBERS : readMembers(by),
    limit: groups,
    skip: 0,
    ...(cursor?.[0] !== undefined && readGroupsCursor(cursor[0])),
  };
};

/** Members as `class,source`, or each in a parameter of its own. */
function readMembers(given: readonly string[]): readonly GroupMember[] {
  const names = given.flatMap((text) => text.split(','));
  const members = GROUP_MEMBERS.filter((member) => names.includes(member));
  if (members.length === names.length) return members;
  throw new RecorderError('invalid_request', `by must name distinct members among ${GROUP_MEMBERS.join(', ')}`, {
    fields: { allowed: GROUP_MEMBERS },
  });
}
