/**
 * The shapes of what clients send: the bodies of the commands and the parameters of the list.
 *
 * They are written for two readers, the validation of requests and the description of the API. Strings are taken as
 * they are; blank means that there is nothing in them but white space.
 */
import * as z from 'zod/mini';
import { ACTIONS, CLASSES, DIRECTIVES, SEVERITIES, STATES } from '../../../machines/vocabulary.ts';
import { OBSERVED } from '../../domain/incident-entries.ts';
import { CHART_FORMATS } from '../../statecharts/formats.ts';
import { MOST_HOURS } from '../../projections/activity.ts';
import { parseTimestamp } from './timestamp.ts';

const isBlank = (value: unknown): boolean => typeof value !== 'string' || value.trim() === '';

const isJsonObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);

const filled = (missing: string) => z.string(missing).check(z.refine((text) => !isBlank(text), missing));

const textOf = (name: string, longest: number) => {
  const message = `${name} must be a string of at most ${longest} characters`;
  return z.string(message).check(z.maxLength(longest, message));
};

export const REPORT_REQUIRED = 'class, source, and description are required';

const DEDUP_KEY = 'dedup_key must be a string of 1 to 256 characters';

/** The body of a report. */
export const reportSchema = z.strictObject({
  class: z.enum(CLASSES, { error: ({ input }) => (isBlank(input) ? REPORT_REQUIRED : 'invalid incident class') }),
  source: filled(REPORT_REQUIRED),
  description: filled(REPORT_REQUIRED),
  severity: z.exactOptional(z.enum(SEVERITIES, 'invalid severity')),
  // An object of zod's would be taken apart and put together again.
  evidence: z.exactOptional(z.unknown().check(z.refine(isJsonObject, 'evidence must be a JSON object'))),
  dedup_key: z.exactOptional(z.string(DEDUP_KEY).check(z.minLength(1, DEDUP_KEY), z.maxLength(256, DEDUP_KEY))),
});

export const COMMAND_REQUIRED = 'id required';

/** The body of the commands that move an incident on. */
export const commandSchema = z.strictObject({
  id: filled(COMMAND_REQUIRED),
  by: z.exactOptional(textOf('by', 256)),
  note: z.exactOptional(textOf('note', 4096)),
});

export const LONGEST_LIST = 1000;

const anyOf = <T extends z.ZodMiniType>(item: T) => z.exactOptional(z.array(item));

const once = (name: string, isValid: (text: string) => boolean, message: string) =>
  z.exactOptional(
    z.array(z.string().check(z.refine(isValid, message))).check(z.maxLength(1, `${name} may be given only once`)),
  );

const isLimit = (text: string): boolean => /^[1-9]\d{0,3}$/.test(text) && Number(text) <= LONGEST_LIST;

const isTimestamp = (text: string): boolean => parseTimestamp(text) !== undefined;

const notATimestamp = (name: string): string =>
  `${name} must be an RFC 3339 time like 2026-11-22T07:12:00Z (in a query, + is written %2B)`;

const kinds = {
  class: anyOf(z.enum(CLASSES, 'invalid class')),
  state: anyOf(z.enum(STATES, 'invalid state')),
  severity: anyOf(z.enum(SEVERITIES, 'invalid severity')),
};

/** The parameters of the list of incidents, each with all the values that were given for it. */
export const listSchema = z.strictObject({
  ...kinds,
  source: anyOf(z.string()),
  q: once('q', (text) => text.length <= 256, 'q must have at most 256 characters'),
  since: once('since', isTimestamp, notATimestamp('since')),
  until: once('until', isTimestamp, notATimestamp('until')),
  limit: once('limit', isLimit, `limit must be a whole number from 1 to ${LONGEST_LIST}`),
  cursor: once('cursor', () => true, 'invalid cursor'),
});

const oneId = z
  .array(filled('id parameter required'), 'id parameter required')
  .check(z.length(1, 'id may be given only once'));

export const BEFORE_REQUIRED = 'before required: an RFC 3339 time like 2026-11-22T07:12:00Z';

/** The body of the command that archives old segments of the log. */
export const archiveSchema = z.strictObject({
  before: z.string(BEFORE_REQUIRED).check(z.refine(isTimestamp, BEFORE_REQUIRED)),
});

/** The parameters of what is asked of one incident. */
export const idSchema = z.strictObject({ id: oneId });

const isCount = (text: string): boolean => /^\d{1,15}$/.test(text);

/** The parameters of an incident's history. */
export const historySchema = z.strictObject({
  id: oneId,
  after: once('after', isCount, 'after must be a version of the incident, a whole number'),
});

/** The parameters of the statechart with an incident in it. */
export const statechartSchema = z.strictObject({
  id: oneId,
  version: once('version', isCount, 'version must be one of the incident, a whole number'),
});

/** The parameters of a machine. */
export const machineSchema = z.strictObject({
  format: z.exactOptional(
    z.array(z.enum(CHART_FORMATS, 'invalid format')).check(z.maxLength(1, 'format may be given only once')),
  ),
});

/** The parameters of the event stream. */
export const eventsSchema = z.strictObject({
  ...kinds,
  after: once('after', isCount, 'after must be the seq of an entry, a whole number'),
});

const isHours = (text: string): boolean => /^[1-9]\d{0,2}$/.test(text) && Number(text) <= MOST_HOURS;

/** The parameters of what happened in the last hours. */
export const hoursSchema = z.strictObject({
  hours: once('hours', isHours, `hours must be a whole number from 1 to ${MOST_HOURS}`),
});

/** Parameters where there are none. */
export const nothingSchema = z.strictObject({});

export const CONFIRM_REQUIRED = 'action and directive are required';
export const RETRY_REQUIRED = 'action required';

const oneOf = <Word extends string>(required: string, words: readonly Word[], message: string) =>
  z.enum(words, { error: ({ input }) => (isBlank(input) ? required : message) });

const incidentId = z.exactOptional(filled('incident_id must be an incident, or left out for all that hold the action'));

/** The body by which a service confirms that it has carried out a directive. */
export const confirmSchema = z.strictObject({
  action: oneOf(CONFIRM_REQUIRED, ACTIONS, 'invalid action'),
  incident_id: incidentId,
  directive: oneOf(CONFIRM_REQUIRED, DIRECTIVES, 'invalid directive'),
  observed: z.exactOptional(z.enum(OBSERVED, 'invalid observed')),
});

/** The body by which an operator has deliveries tried again. */
export const retrySchema = z.strictObject({
  action: oneOf(RETRY_REQUIRED, ACTIONS, 'invalid action'),
  incident_id: incidentId,
  by: z.exactOptional(textOf('by', 256)),
  note: z.exactOptional(textOf('note', 4096)),
});

export const LONGEST_WAIT = 60;

const isWait = (text: string): boolean => /^[1-9]\d?$/.test(text) && Number(text) <= LONGEST_WAIT;

/** The parameter by which a reader of the posture waits for it to change. */
export const waitSchema = z.strictObject({
  wait: once('wait', isWait, `wait must be a whole number of seconds from 1 to ${LONGEST_WAIT}`),
});
