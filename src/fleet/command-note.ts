/** Signs commands, in the form that recorders read: see `api/fleet/command-note.ts`. */
import type { Role } from '../../machines/vocabulary.ts';
import { canonicalForm } from '../json/canonical-form.ts';
import type { JsonValue } from '../json/exact-json.ts';
import { type Signer, signNote } from '../signed-note.ts';

const COMMAND_FORM = 'incident-fleet/command/v1';

export interface CommandText {
  readonly id: string;
  readonly machine: string;
  /** The identity of the log. */
  readonly log: string;
  readonly command: string;
  readonly body: object;
  readonly expected_version?: number;
  readonly idempotency_key: string;
  readonly by: string;
  readonly role: Role;
  /** RFC 3339. */
  readonly issued: string;
  readonly expires: string;
}

/** The signed note. */
export const signCommand = (command: CommandText, signer: Signer): string =>
  signNote(`${COMMAND_FORM}\n${canonicalForm(command as unknown as JsonValue)}\n`, signer);

/** A command from its signed note, which is this fleet's own. */
export const commandIn = (note: string): CommandText => JSON.parse(note.split('\n')[1]!) as CommandText;
