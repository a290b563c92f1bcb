import * as z from 'zod/mini';
import { CLASSES } from '../../../machines/vocabulary.ts';
import { oneOf, signature } from '../request/fields.ts';
import { whenUsed } from '../../when-used.ts';

export const DRILL_REQUIRED = 'class is required';

/** The body of the command that begins a drill. */
export const drillSchema = whenUsed(() =>
  z.strictObject({
    class: oneOf(DRILL_REQUIRED, CLASSES, 'invalid incident class'),
    ...signature(),
  }),
);
