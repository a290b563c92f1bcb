import type * as z from 'zod/mini';
import { RecorderError } from '../../errors.ts';
import { countsAsLeftOut } from './fields.ts';

const LONGEST_NAME_SHOWN = 64;

/**
 * Validates a value by a schema, and returns what the schema makes of it.
 *
 * A member that may be left out counts as left out when it is null or empty text: many clients and forms send it so. It
 * is removed from the value.
 *
 * The error names one fault, the one to mend first: a member that is unknown, then one that is missing, then the others
 * in the order of the schema. Where a value or a name is not in a closed set, the error's field `allowed` lists the set.
 *
 * @param noun what messages call a member
 * @param required the message of the schema for a member that is missing
 * @param more members that are allowed too, and are taken out of the value before
 * @throws RecorderError `invalid_request`
 */
export const validate = <Shape extends z.core.$ZodLooseShape>(
  schema: z.ZodMiniObject<Shape>,
  value: unknown,
  noun: 'field' | 'parameter',
  required?: string,
  more: readonly string[] = [],
): z.infer<z.ZodMiniObject<Shape>> => {
  if (typeof value === 'object' && value !== null) removeEmpty(schema.shape, value as Record<string, unknown>, noun);
  const result = schema.safeParse(value);
  if (result.success) return result.data;

  const { issues } = result.error;
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    const allowed = [...Object.keys(schema.shape), ...more];
    const name = JSON.stringify(issue.keys[0]?.slice(0, LONGEST_NAME_SHOWN));
    const known = allowed.length === 0 ? 'there are none here' : `allowed: ${allowed.join(', ')}`;
    throw new RecorderError('invalid_request', `unknown ${noun} ${name} (${known})`, { fields: { allowed } });
  }
  const issue = issues.find(({ message }) => message === required) ?? issues[0];
  const message = issue?.message ?? 'invalid request';
  const closed = issue?.code === 'invalid_value' && message !== required;
  throw new RecorderError('invalid_request', message, closed ? { fields: { allowed: issue.values } } : {});
};

/** Removes the members that count as left out. Of a parameter's values, those that are empty. */
const removeEmpty = (
  shape: z.core.$ZodLooseShape,
  value: Record<string, unknown>,
  noun: 'field' | 'parameter',
): void => {
  for (const name in value) {
    const member = value[name];
    const schema = Object.hasOwn(shape, name) ? shape[name] : undefined;
    if (noun === 'field') {
      if (countsAsLeftOut(member, schema)) delete value[name];
      continue;
    }
    const texts = member as readonly string[];
    if (!texts.includes('') || !countsAsLeftOut('', schema)) continue;
    const filled = texts.filter((text) => text !== '');
    if (filled.length === 0) delete value[name];
    else value[name] = filled;
  }
};
