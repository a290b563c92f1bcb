/** What people send about the recovery of an incident. */
import * as z from 'zod/mini';
import { filled, isCount, ofText, once, textOf } from '../request/fields.ts';
import { whenUsed } from '../../when-used.ts';

export const INCIDENT_REQUIRED = 'incident_id required';
export const WAIVER_REQUIRED = 'incident_id and reason are required';

const REASON = 'reason must be a string of at most 4096 characters';

/** Who asks, and for which incident. New fields at each call: the description of the API is kept by field. */
const about = (required: string) => ({
  incident_id: filled(required),
  operator: z.exactOptional(textOf('operator', 256)),
});

/** The body by which a person says that the machine may be trusted again. */
export const acknowledgeSchema = whenUsed(() => z.strictObject(about(INCIDENT_REQUIRED)));

/** The body by which a person has the attestor asked. */
export const reattestSchema = whenUsed(() => z.strictObject(about(INCIDENT_REQUIRED)));

/** The body by which a person waives what is missing. */
export const waiveSchema = whenUsed(() =>
  z.strictObject({
    ...about(WAIVER_REQUIRED),
    reason: filled(WAIVER_REQUIRED).check(z.maxLength(4096, { ...ofText, error: REASON })),
  }),
);

/** The parameters of the status. */
export const statusSchema = whenUsed(() =>
  z.strictObject({
    incident_id: once('incident_id', (text) => text.trim() !== '', 'incident_id must be an incident'),
    after: once('after', isCount, 'after must be a whole number, as the link to the next page has it'),
  }),
);
