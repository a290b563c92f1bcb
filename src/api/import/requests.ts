import * as z from 'zod/mini';
import { ofList } from '../request/fields.ts';
import { whenUsed } from '../../when-used.ts';

/** How many incidents one request may have. */
const MOST_IMPORTED = 500;

export const INCIDENTS_REQUIRED = `incidents required: a list of 1 to ${MOST_IMPORTED} incidents of another recorder`;

const onList = { ...ofList, error: INCIDENTS_REQUIRED };

/** The body of the command that takes incidents over. Each is checked where its format is known. */
export const importSchema = whenUsed(() =>
  z.strictObject({
    incidents: z
      .array(z.unknown(), INCIDENTS_REQUIRED)
      .check(z.minLength(1, onList), z.maxLength(MOST_IMPORTED, onList)),
  }),
);
