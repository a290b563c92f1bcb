import * as z from 'zod/mini';
import { parsePosition } from '../../audit/log-position.ts';
import { filtersOfKinds, once } from '../request/fields.ts';
import { whenUsed } from '../../when-used.ts';

/** The parameters of the event stream. */
export const eventsSchema = whenUsed(() =>
  z.strictObject({
    ...filtersOfKinds(),
    after: once(
      'after',
      (text) => parsePosition(text) !== undefined,
      'after must be the seq of an entry, a whole number, or the id of an event, LOG:SEQ',
    ),
  }),
);
