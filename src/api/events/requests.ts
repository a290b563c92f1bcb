import * as z from 'zod/mini';
import { parsePosition } from '../../audit/log-position.ts';
import { kinds, once } from '../request/fields.ts';

/** The parameters of the event stream. */
export const eventsSchema = z.strictObject({
  ...kinds,
  after: once(
    'after',
    (text) => parsePosition(text) !== undefined,
    'after must be the seq of an entry, a whole number, or the id of an event, LOG:SEQ',
  ),
});
