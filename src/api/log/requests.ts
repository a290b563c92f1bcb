import * as z from 'zod/mini';
import { filled, signature } from '../request/fields.ts';

export const FINDING_REQUIRED = 'finding required: one of audit.findings in /health';

/** The body of the command that acknowledges a finding about the log. */
export const acknowledgeDamageSchema = z.strictObject({ finding: filled(FINDING_REQUIRED), ...signature() });
