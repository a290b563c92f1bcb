/** What services and operators send about containment. */
import * as z from 'zod/mini';
import { ACTIONS, DIRECTIVES } from '../../../machines/vocabulary.ts';
import { filled, filledOrAbsent, ofText, once, oneOf, signature, textOf } from '../request/fields.ts';
import { whenUsed } from '../../when-used.ts';
import { RELEASING } from '../../containment/release-preview.ts';
import { OBSERVED } from '../../domain/entries.ts';

export const CONFIRM_REQUIRED = 'action and directive are required';
export const RETRY_REQUIRED = 'action required';

const incidentId = filledOrAbsent('incident_id must be an incident, or left out for all that hold the action');

/** The body by which a service confirms that it has carried out a directive. */
export const confirmSchema = whenUsed(() =>
  z.strictObject({
    action: oneOf(CONFIRM_REQUIRED, ACTIONS, 'invalid action'),
    incident_id: incidentId,
    directive: oneOf(CONFIRM_REQUIRED, DIRECTIVES, 'invalid directive'),
    observed: z.exactOptional(z.enum(OBSERVED, 'invalid observed')),
  }),
);

/** The body by which an operator has deliveries tried again. */
export const retrySchema = whenUsed(() =>
  z.strictObject({
    action: oneOf(RETRY_REQUIRED, ACTIONS, 'invalid action'),
    incident_id: incidentId,
    ...signature(),
  }),
);

export const RELEASE_REQUIRED = 'id, action, and reason are required';

const REASON = 'reason must be a string of at most 4096 characters';

/** The body by which a person releases one action of an incident early. */
export const releaseSchema = whenUsed(() =>
  z.strictObject({
    id: filled(RELEASE_REQUIRED),
    action: oneOf(RELEASE_REQUIRED, ACTIONS, 'invalid action'),
    reason: filled(RELEASE_REQUIRED).check(z.maxLength(4096, { ...ofText, error: REASON })),
    by: z.exactOptional(textOf('by', 256)),
  }),
);

/** More do not fit the head of a request. */
export const MOST_PREVIEWED = 500;
export const PREVIEW_REQUIRED = 'id and command are required';

/** The parameters of the question what a command would release. */
export const previewSchema = whenUsed(() =>
  z.strictObject({
    id: z
      .array(filled(PREVIEW_REQUIRED), PREVIEW_REQUIRED)
      .check(z.maxLength(MOST_PREVIEWED, `id may be given at most ${MOST_PREVIEWED} times`)),
    command: z
      .array(oneOf(PREVIEW_REQUIRED, RELEASING, `command must be one of ${RELEASING.join(', ')}`), PREVIEW_REQUIRED)
      .check(z.length(1, 'command may be given only once')),
    action: z.exactOptional(
      z.array(oneOf('invalid action', ACTIONS, 'invalid action')).check(z.length(1, 'action may be given only once')),
    ),
  }),
);

export const LONGEST_WAIT = 60;

const isWait = (text: string): boolean => /^[1-9]\d?$/.test(text) && Number(text) <= LONGEST_WAIT;

/** The parameter by which a reader of the posture waits for it to change. */
export const waitSchema = whenUsed(() =>
  z.strictObject({
    wait: once('wait', isWait, `wait must be a whole number of seconds from 1 to ${LONGEST_WAIT}`),
  }),
);
