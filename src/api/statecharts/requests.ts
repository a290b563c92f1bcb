import * as z from 'zod/mini';
import { CHART_FORMATS } from '../../statecharts/formats.ts';
import { isCount, once, oneId } from '../request/fields.ts';
import { whenUsed } from '../../when-used.ts';

/** The parameters of the statechart with an incident in it. */
export const statechartSchema = whenUsed(() =>
  z.strictObject({
    id: oneId,
    version: once('version', isCount, 'version must be one of the incident, a whole number'),
  }),
);

/** The parameters of a machine. */
export const machineSchema = whenUsed(() =>
  z.strictObject({
    format: z.exactOptional(
      z.array(z.enum(CHART_FORMATS, 'invalid format')).check(z.maxLength(1, 'format may be given only once')),
    ),
  }),
);
