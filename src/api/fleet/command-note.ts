/**
 * A command of the fleet, as it comes: a signed note, whose text is a line that names the form, and a line of JSON.
 *
 *     incident-fleet/command/v1
 *     {"id":"CMD-…","machine":"oven-3","log":"52a84c33…","command":"acknowledge","body":{"id":"INC-…"},…}
 */
import * as z from 'zod/mini';
import { type Role, ROLES } from '../../../machines/vocabulary.ts';
import type { FleetTrust } from '../../access/principal.ts';
import { RecorderError } from '../../errors.ts';
import { ExactJsonError, type JsonValue, parseExact } from '../../json/exact-json.ts';
import { openNote } from '../../signed-note.ts';
import { isTimestamp, LONGEST_NAME } from '../request/fields.ts';
import { whenUsed } from '../../when-used.ts';

const COMMAND_FORM = 'incident-fleet/command/v1';

export interface FleetCommand {
  readonly id: string;
  readonly machine: string;
  /** The identity of the log. */
  readonly log: string;
  readonly command: string;
  /** As the body of the REST command. */
  readonly body: { readonly [name: string]: unknown };
  /** The version that the incident is expected at. */
  readonly expected_version?: number;
  /** Two commands with the same are one. */
  readonly idempotency_key?: string;
  /** Who gives it, and in which role. */
  readonly by: string;
  readonly role: Role;
  /** RFC 3339. */
  readonly issued: string;
  readonly expires: string;
}

const LONGEST_ID = 128;
const short = () => z.string().check(z.regex(/^[\x21-\x7e]+$/), z.maxLength(LONGEST_ID));
const time = () => z.string().check(z.refine(isTimestamp));

/** Further members are ignored: what they say is signed, and a later fleet may say more. */
const schema = whenUsed(() =>
  z.object({
    id: short(),
    machine: z.string(),
    log: z.string(),
    command: z.string(),
    body: z.record(z.string(), z.unknown()),
    expected_version: z.exactOptional(z.int().check(z.minimum(1))),
    idempotency_key: z.exactOptional(short()),
    // Visible, on one line.
    by: z.string().check(z.regex(/^[^\p{Cc}\p{Zl}\p{Zp}]+$/u), z.maxLength(LONGEST_NAME)),
    role: z.enum(ROLES),
    issued: time(),
    expires: time(),
  }),
);

/**
 * Opens a command.
 * @throws RecorderError `invalid_request` when the fleet has not signed it, or when it is none
 */
export function openCommand(note: string, { verifier }: Pick<FleetTrust, 'verifier'>): FleetCommand {
  const { text } = openNote(note, [verifier]);
  const [form, json = '', ...rest] = text.split('\n');
  if (form !== COMMAND_FORM || rest.join('') !== '') throw notACommand(`it has the form ${form}`);
  const parsed = schema.safeParse(jsonIn(json));
  if (parsed.success) return parsed.data;
  const place = parsed.error.issues[0]?.path.join('.') ?? '';
  throw notACommand(place === '' ? 'it is no JSON object' : `${place} is missing or wrong`);
}

function jsonIn(text: string): JsonValue {
  try {
    return parseExact(text);
  } catch (error) {
    if (error instanceof ExactJsonError) throw notACommand(error.message);
    throw error;
  }
}

const notACommand = (why: string): RecorderError =>
  new RecorderError('invalid_request', `not a command of the fleet (${COMMAND_FORM}): ${why}`);
