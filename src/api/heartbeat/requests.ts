import * as z from 'zod/mini';
import { filled } from '../request/fields.ts';
import { whenUsed } from '../../when-used.ts';

export const HEARTBEAT_REQUIRED = 'source is required';

/** The body of a heartbeat. */
export const heartbeatSchema = whenUsed(() => z.strictObject({ source: filled(HEARTBEAT_REQUIRED) }));
