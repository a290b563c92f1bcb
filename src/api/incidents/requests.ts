/** What clients send to report incidents, command them and read them. */
import * as z from 'zod/mini';
import { CLASSES, CONTAINMENT_STATUSES, RESOLUTIONS, SEVERITIES } from '../../../machines/vocabulary.ts';
import { faultOfSource } from '../../domain/source-name.ts';
import { SORT_KEYS, SORTS } from '../../projections/list-query.ts';
import {
  anyOf,
  filled,
  isCount,
  isTimestamp,
  kinds,
  ofText,
  once,
  oneId,
  oneOf,
  signature,
} from '../request/fields.ts';

export const REPORT_REQUIRED = 'class, source, and description are required';

const DEDUP_KEY = 'dedup_key must be a string of 1 to 256 characters';

const isJsonObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);

const isBlank = (text: string): boolean => text.trim() === '';

/** The name of a source. One that is blank counts as missing. */
const source = z.string(REPORT_REQUIRED).check(
  z.refine((name) => faultOfSource(name) === undefined, {
    error: ({ input }) => (isBlank(String(input)) ? REPORT_REQUIRED : faultOfSource(String(input))),
  }),
);

const onDedupKey = { ...ofText, error: DEDUP_KEY };

/** The body of a report. */
export const reportSchema = z.strictObject({
  class: oneOf(REPORT_REQUIRED, CLASSES, 'invalid incident class'),
  source,
  description: filled(REPORT_REQUIRED),
  severity: z.exactOptional(z.enum(SEVERITIES, 'invalid severity')),
  // zod would take an object of its own apart and put it together again.
  evidence: z.exactOptional(z.unknown().check(z.refine(isJsonObject, 'evidence must be a JSON object'))),
  dedup_key: z.exactOptional(z.string(DEDUP_KEY).check(z.minLength(1, onDedupKey), z.maxLength(256, onDedupKey))),
});

export const COMMAND_REQUIRED = 'id required';

/** The body of a command on an incident. */
export const commandSchema = z.strictObject({ id: filled(COMMAND_REQUIRED), ...signature() });

/** The body of `resolve`, which may say what the incident was. */
export const resolveSchema = z.strictObject({
  id: filled(COMMAND_REQUIRED),
  ...signature(),
  resolution: z.exactOptional(z.enum(RESOLUTIONS, `resolution must be one of ${RESOLUTIONS.join(', ')}`)),
});

export const LONGEST_LIST = 1000;
/** Each source is looked up for each class, state and severity. */
export const MOST_SOURCES = 16;

/** Each is looked up in the search index. */
export const MOST_PEOPLE = 16;

export const LONGEST_SIMILAR = 100;

const isLimit = (text: string): boolean => /^[1-9]\d{0,3}$/.test(text) && Number(text) <= LONGEST_LIST;

const isBoolean = (text: string): boolean => text === 'true' || text === 'false';

const isSort = (text: string): boolean => (SORTS as readonly string[]).includes(text);

const notATimestamp = (name: string): string =>
  `${name} must be an RFC 3339 time like 2026-11-22T07:12:00Z (in a query, + is written %2B)`;

/** The parameters of the list of incidents. */
export const listSchema = z.strictObject({
  ...kinds,
  source: anyOf(z.string()),
  resolution: anyOf(z.enum(RESOLUTIONS, 'invalid resolution')),
  q: once('q', (text) => text.length <= 256, 'q must have at most 256 characters'),
  since: once('since', isTimestamp, notATimestamp('since')),
  until: once('until', isTimestamp, notATimestamp('until')),
  updated_since: once('updated_since', isTimestamp, notATimestamp('updated_since')),
  by: anyOf(z.string()),
  assignee: anyOf(z.string()),
  snoozed: once('snoozed', isBoolean, 'snoozed must be true or false'),
  containment: anyOf(z.enum(CONTAINMENT_STATUSES, `containment must be one of ${CONTAINMENT_STATUSES.join(', ')}`)),
  sort: once('sort', isSort, `sort must be one of ${SORT_KEYS.join(', ')}, with a - before it for the opposite order`),
  limit: once('limit', isLimit, `limit must be a whole number from 1 to ${LONGEST_LIST}`),
  collapse: once('collapse', (text) => text === 'source', 'collapse must be source'),
  cursor: once('cursor', () => true, 'invalid cursor'),
});

/** The parameters of an incident's history. */
export const historySchema = z.strictObject({
  id: oneId,
  after: once('after', isCount, 'after must be a version of the incident, a whole number'),
});

const isSimilarLimit = (text: string): boolean => /^[1-9]\d{0,2}$/.test(text) && Number(text) <= LONGEST_SIMILAR;

/** The parameters of the incidents that are similar to one. */
export const similarSchema = z.strictObject({
  id: oneId,
  limit: once('limit', isSimilarLimit, `limit must be a whole number from 1 to ${LONGEST_SIMILAR}`),
});
