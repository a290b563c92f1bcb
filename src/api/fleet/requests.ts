import * as z from 'zod/mini';
import { textOf } from '../request/fields.ts';
import { whenUsed } from '../../when-used.ts';

export const COMMAND_NOTE_REQUIRED = 'command required: the signed note';
/** As long as the longest body, in characters. */
const LONGEST_COMMAND = 256 * 1024;

/** The body that hands over a command of the fleet. */
export const fleetCommandSchema = whenUsed(() => z.strictObject({ command: textOf('command', LONGEST_COMMAND) }));
