import type * as z from 'zod/mini';
import { RecorderError } from '../../errors.ts';
import type { ListQuery } from '../../query/list-query.ts';
import { validate } from '../request/validate.ts';
import { readFilter, type Searcher } from './list-query.ts';
import { filterSchema } from './requests.ts';

export interface BulkFilter {
  /** As it was given, each value in a list. */
  readonly given: z.infer<typeof filterSchema>;
  readonly query: Omit<ListQuery, 'limit'>;
}

/**
 * Reads the filter of a bulk command: the filters of the list as members of an object, each a value or a list of them.
 * @param now the time at which silences are active, in milliseconds since the epoch
 * @throws RecorderError `invalid_request`, also for a filter that selects everything; `forbidden` like `readListQuery`
 */
export function readBulkFilter(filter: Readonly<Record<string, unknown>>, now: number, reader?: Searcher): BulkFilter {
  const values = Object.entries(filter).flatMap(([name, value]) => {
    const list = valuesOf(name, value);
    return list.length === 0 ? [] : [[name, list] as const];
  });
  let given: z.infer<typeof filterSchema>;
  let query: Omit<ListQuery, 'limit'>;
  try {
    given = validate(filterSchema, Object.fromEntries(values), 'parameter');
    query = readFilter(given, now, reader);
  } catch (error) {
    if (!(error instanceof RecorderError)) throw error;
    throw new RecorderError(error.code, `filter: ${error.message}`, { fields: error.fields });
  }
  if (Object.keys(given).length === 0) {
    const allowed = Object.keys(filterSchema.shape);
    const message = `filter must have at least one of ${allowed.join(', ')}: without any it would select everything`;
    throw new RecorderError('invalid_request', message, { fields: { allowed } });
  }
  return { given, query };
}

/** The values of a member, as a parameter would have them. */
function valuesOf(name: string, value: unknown): readonly string[] {
  if (value === null || value === undefined) return [];
  if (typeof value === 'boolean') return [String(value)];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const isText = (one: unknown): one is string => typeof one === 'string';
  if (list.every(isText)) return list;
  throw new RecorderError(
    'invalid_request',
    `filter: ${JSON.stringify(name.slice(0, 64))} must be text, or a list of texts`,
  );
}
