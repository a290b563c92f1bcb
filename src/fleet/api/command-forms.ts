/** What people can ask of a machine from the fleet: the recorder's own commands, with a machine in their bodies. */
import * as z from 'zod/mini';
import { COMMAND_TABLE, COMMANDS, recoveryRolesOf } from '../../../machines/commands.ts';
import type { Role } from '../../../machines/vocabulary.ts';
import { RELEASE_REQUIRED, releaseSchema, RETRY_REQUIRED, retrySchema } from '../../api/containment/requests.ts';
import {
  ASSIGN_REQUIRED,
  assignSchema,
  COMMAND_REQUIRED,
  commandSchema,
  NOTE_REQUIRED,
  noteSchema,
  resolveSchema,
  SNOOZE_REQUIRED,
  snoozeSchema,
} from '../../api/incidents/requests.ts';
import {
  acknowledgeSchema,
  INCIDENT_REQUIRED,
  reattestSchema,
  WAIVER_REQUIRED,
  waiveSchema,
} from '../../api/recovery/requests.ts';
import {
  END_SILENCE_REQUIRED,
  endSilenceSchema,
  SILENCE_REQUIRED,
  silenceSchema,
} from '../../api/silences/requests.ts';
import { textOf } from '../../api/request/fields.ts';

/** In seconds: how long a machine may fetch a command. */
export const USUAL_EXPIRY = 3600;
const SHORTEST_EXPIRY = 1;
const LONGEST_EXPIRY = 7 * 24 * 3600;
const EXPIRY = `expires_in must be a whole number of seconds from ${SHORTEST_EXPIRY} to ${LONGEST_EXPIRY}`;
const VERSION = 'expected_version must be a whole number from 1 on';

/** In seconds. A new field at each call: the description of the API is kept by field. */
export const expiry = () =>
  z.exactOptional(z.int(EXPIRY).check(z.minimum(SHORTEST_EXPIRY, EXPIRY), z.maximum(LONGEST_EXPIRY, EXPIRY)));

const addressed = () => ({
  machine: z.exactOptional(textOf('machine', 128)),
  expires_in: expiry(),
  expected_version: z.exactOptional(z.int(VERSION).check(z.minimum(1, VERSION))),
  idempotency_key: z.exactOptional(textOf('idempotency_key', 255)),
});

export interface CommandForm {
  readonly path: string;
  /** As the recorder calls it. */
  readonly command: string;
  readonly roles: readonly Role[];
  /** Those where the incident asks for a recovery, when they are others. */
  readonly recoveryRoles?: readonly Role[] | undefined;
  readonly schema: z.ZodMiniObject<z.core.$ZodLooseShape>;
  /** The message for a field that is missing. */
  readonly required: string;
  /** The field that names the incident; none where the command is about the machine. */
  readonly about?: 'id' | 'incident_id';
  readonly summary: string;
}

interface Shaped {
  readonly shape: z.core.$ZodLooseShape;
}

const withMachine = ({ shape }: Shaped): CommandForm['schema'] => z.strictObject({ ...shape, ...addressed() });

const form = (
  path: string,
  command: string,
  roles: readonly Role[],
  schema: Shaped,
  required: string,
  summary: string,
  about?: CommandForm['about'],
): CommandForm => ({
  path: `/api/v1/${path}`,
  command,
  roles,
  schema: withMachine(schema),
  required,
  summary,
  ...(about === undefined ? {} : { about }),
});

export const COMMAND_FORMS: readonly CommandForm[] = [
  ...COMMANDS.map((name) => ({
    ...form(
      `incidents/${name}`,
      name,
      COMMAND_TABLE[name].roles,
      name === 'resolve' ? resolveSchema : commandSchema,
      COMMAND_REQUIRED,
      `Have an incident ${COMMAND_TABLE[name].done}`,
      'id',
    ),
    recoveryRoles: recoveryRolesOf(name),
  })),
  form(
    'incidents/note',
    'note',
    ['operator', 'recovery'],
    noteSchema,
    NOTE_REQUIRED,
    'Add a note to an incident',
    'id',
  ),
  form(
    'incidents/assign',
    'assign',
    ['operator', 'recovery'],
    assignSchema,
    ASSIGN_REQUIRED,
    'Assign an incident',
    'id',
  ),
  form('incidents/snooze', 'snooze', ['operator'], snoozeSchema, SNOOZE_REQUIRED, 'Snooze an incident', 'id'),
  form('incidents/reopen', 'reopen', ['operator'], commandSchema, COMMAND_REQUIRED, 'Reopen an incident', 'id'),
  form(
    'containment/release',
    'release',
    ['operator', 'recovery'],
    releaseSchema,
    RELEASE_REQUIRED,
    'Release an action early',
    'id',
  ),
  form('containment/retry', 'retry', ['operator'], retrySchema, RETRY_REQUIRED, 'Have deliveries tried again'),
  form('silences', 'silence', ['operator'], silenceSchema, SILENCE_REQUIRED, 'Add a silence'),
  form('silences/end', 'end_silence', ['operator'], endSilenceSchema, END_SILENCE_REQUIRED, 'End a silence'),
  form(
    'recovery/ack',
    'acknowledge_recovery',
    ['recovery'],
    acknowledgeSchema,
    INCIDENT_REQUIRED,
    'Acknowledge a recovery',
    'incident_id',
  ),
  form(
    'recovery/reattest',
    'reattest',
    ['recovery'],
    reattestSchema,
    INCIDENT_REQUIRED,
    'Have the attestor asked',
    'incident_id',
  ),
  form(
    'recovery/waive',
    'waive_recovery',
    ['admin'],
    waiveSchema,
    WAIVER_REQUIRED,
    'Waive what is missing',
    'incident_id',
  ),
];
