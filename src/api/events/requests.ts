import * as z from 'zod/mini';
import { isCount, kinds, once } from '../request/fields.ts';

/** The parameters of the event stream. */
export const eventsSchema = z.strictObject({
  ...kinds,
  after: once('after', isCount, 'after must be the seq of an entry, a whole number'),
});
