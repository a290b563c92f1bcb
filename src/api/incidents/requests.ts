/** What clients send to report incidents, command them and read them. */
import * as z from 'zod/mini';
import { COMMANDS } from '../../../machines/commands.ts';
import { CLASSES, CONTAINMENT_STATUSES, RESOLUTIONS, SEVERITIES } from '../../../machines/vocabulary.ts';
import { faultOfSource } from '../../domain/source-name.ts';
import { SORT_KEYS, SORTS } from '../../query/list-query.ts';
import {
  anyOf,
  filled,
  isCount,
  isTimestamp,
  filtersOfKinds,
  LONGEST_NAME,
  LONGEST_NOTE,
  ofText,
  once,
  oneId,
  oneOf,
  signature,
} from '../request/fields.ts';
import { whenUsed } from '../../when-used.ts';

export const REPORT_REQUIRED = 'class, source, and description are required';

export const LONGEST_DEDUP_KEY = 256;
const DEDUP_KEY = `dedup_key must be a string of 1 to ${LONGEST_DEDUP_KEY} characters`;

const isJsonObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);

const isBlank = (text: string): boolean => text.trim() === '';

/** The name of a source. One that is blank counts as missing. */
const source = whenUsed(() =>
  z.string(REPORT_REQUIRED).check(
    z.refine((name) => faultOfSource(name) === undefined, {
      error: ({ input }) => (isBlank(String(input)) ? REPORT_REQUIRED : faultOfSource(String(input))),
    }),
  ),
);

const onDedupKey = { ...ofText, error: DEDUP_KEY };

/** The body of a report. */
export const reportSchema = whenUsed(() =>
  z.strictObject({
    class: oneOf(REPORT_REQUIRED, CLASSES, 'invalid incident class'),
    source,
    description: filled(REPORT_REQUIRED),
    severity: z.exactOptional(z.enum(SEVERITIES, 'invalid severity')),
    // zod would take an object of its own apart and put it together again.
    evidence: z.exactOptional(z.unknown().check(z.refine(isJsonObject, 'evidence must be a JSON object'))),
    dedup_key: z.exactOptional(
      z.string(DEDUP_KEY).check(z.minLength(1, onDedupKey), z.maxLength(LONGEST_DEDUP_KEY, onDedupKey)),
    ),
  }),
);

export const COMMAND_REQUIRED = 'id required';

/** The body of a command on an incident. */
export const commandSchema = whenUsed(() => z.strictObject({ id: filled(COMMAND_REQUIRED), ...signature() }));

/** The body of `resolve`, which may say what the incident was. */
export const resolveSchema = whenUsed(() =>
  z.strictObject({
    id: filled(COMMAND_REQUIRED),
    ...signature(),
    resolution: z.exactOptional(z.enum(RESOLUTIONS, `resolution must be one of ${RESOLUTIONS.join(', ')}`)),
  }),
);

export const NOTE_REQUIRED = 'id and note are required';

/** The body of `note`. */
export const noteSchema = whenUsed(() =>
  z.strictObject({
    id: filled(NOTE_REQUIRED),
    note: filled(NOTE_REQUIRED).check(
      z.maxLength(LONGEST_NOTE, { ...ofText, error: `note must be a string of at most ${LONGEST_NOTE} characters` }),
    ),
    by: signature().by,
  }),
);

export const ASSIGN_REQUIRED = 'id and to are required';
const ASSIGNEE = `to must be a name of 1 to ${LONGEST_NAME} characters, or null for nobody`;
const assignee = whenUsed(() =>
  z
    .string({ error: ({ input }) => (input === undefined ? ASSIGN_REQUIRED : ASSIGNEE) })
    .check(z.refine((name) => name.trim() !== '' && name.length <= LONGEST_NAME, ASSIGNEE)),
);

/** The body of `assign`. */
export const assignSchema = whenUsed(() =>
  z.strictObject({
    id: filled(ASSIGN_REQUIRED),
    to: z.nullable(assignee),
    ...signature(),
  }),
);

export const SNOOZE_REQUIRED = 'id and until are required';
const UNTIL = 'until must be an RFC 3339 time like 2026-11-22T07:12:00Z, or null to end the snooze';

const time = whenUsed(() =>
  z
    .string({ error: ({ input }) => (input === undefined ? SNOOZE_REQUIRED : UNTIL) })
    .check(z.refine(isTimestamp, UNTIL)),
);

/** The body of `snooze`. */
export const snoozeSchema = whenUsed(() =>
  z.strictObject({
    id: filled(SNOOZE_REQUIRED),
    until: z.nullable(time),
    ...signature(),
  }),
);

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

/** Which incidents: the filters of the list, of the groups and of bulk commands. */
const filtersOfLists = () => ({
  ...filtersOfKinds(),
  source: anyOf(z.string()),
  resolution: anyOf(z.enum(RESOLUTIONS, 'invalid resolution')),
  q: once('q', (text) => text.length <= 256, 'q must have at most 256 characters'),
  attention: once('attention', (text) => text === 'true', 'attention must be true'),
  silenced: once('silenced', isBoolean, 'silenced must be true or false'),
  since: once('since', isTimestamp, notATimestamp('since')),
  until: once('until', isTimestamp, notATimestamp('until')),
  updated_since: once('updated_since', isTimestamp, notATimestamp('updated_since')),
  assignee: anyOf(z.string()),
  snoozed: once('snoozed', isBoolean, 'snoozed must be true or false'),
  containment: anyOf(z.enum(CONTAINMENT_STATUSES, `containment must be one of ${CONTAINMENT_STATUSES.join(', ')}`)),
});

/** Who has acted: a filter where `by` does not say what groups are made by. */
const filterOfPeople = () => ({ by: anyOf(z.string()) });

const limit = () => once('limit', isLimit, `limit must be a whole number from 1 to ${LONGEST_LIST}`);
const cursor = () => once('cursor', () => true, 'invalid cursor');

/** The parameters of the list of incidents. */
export const listSchema = whenUsed(() =>
  z.strictObject({
    ...filtersOfLists(),
    ...filterOfPeople(),
    sort: once(
      'sort',
      isSort,
      `sort must be one of ${SORT_KEYS.join(', ')}, with a - before it for the opposite order`,
    ),
    limit: limit(),
    fields: once('fields', (text) => text === 'summary', 'fields must be summary'),
    collapse: once('collapse', (text) => text === 'source', 'collapse must be source'),
    cursor: cursor(),
  }),
);

/** The filters alone. */
export const filterSchema = whenUsed(() => z.strictObject({ ...filtersOfLists(), ...filterOfPeople() }));

/** The parameters of the incidents in groups. */
export const groupsSchema = whenUsed(() =>
  z.strictObject({
    ...filtersOfLists(),
    by: anyOf(z.string()),
    limit: limit(),
    cursor: cursor(),
  }),
);

export const BULK_REQUIRED = 'command and filter are required';
export const LONGEST_BULK = 50;
const BULK_LIMIT = `limit must be a whole number from 1 to ${LONGEST_BULK}`;

/** What can be done with many incidents at once. */
export const BULK_COMMANDS = [...COMMANDS, 'note', 'assign', 'snooze'] as const;
export type BulkActName = (typeof BULK_COMMANDS)[number];

/** The body of a command on all incidents that a filter selects. */
export const bulkSchema = whenUsed(() =>
  z.strictObject({
    command: oneOf(BULK_REQUIRED, BULK_COMMANDS, `command must be one of ${BULK_COMMANDS.join(', ')}`),
    filter: z.unknown().check(
      z.refine(isJsonObject, {
        error: ({ input }) => (input === undefined ? BULK_REQUIRED : 'filter must be a JSON object'),
      }),
    ),
    ...signature(),
    resolution: z.exactOptional(z.enum(RESOLUTIONS, `resolution must be one of ${RESOLUTIONS.join(', ')}`)),
    // Null says something: it does not count as left out.
    to: z.optional(z.nullable(assignee)),
    until: z.optional(z.nullable(time)),
    preview: z.exactOptional(z.boolean('preview must be true or false')),
    dry_run: z.exactOptional(z.boolean('dry_run must be true or false')),
    limit: z.exactOptional(z.int(BULK_LIMIT).check(z.minimum(1, BULK_LIMIT), z.maximum(LONGEST_BULK, BULK_LIMIT))),
    cursor: z.exactOptional(z.string('invalid cursor')),
  }),
);

/** The parameters of what has changed. */
export const changesSchema = whenUsed(() =>
  z.strictObject({
    after: once('after', isCount, 'after must be the sequence number of an entry, a whole number'),
    since: once('since', isTimestamp, notATimestamp('since')),
  }),
);

/** The parameters of an incident's history. */
export const historySchema = whenUsed(() =>
  z.strictObject({
    id: oneId,
    after: once('after', isCount, 'after must be a version of the incident, a whole number'),
  }),
);

const isSimilarLimit = (text: string): boolean => /^[1-9]\d{0,2}$/.test(text) && Number(text) <= LONGEST_SIMILAR;

/** The parameters of the incidents that are similar to one. */
export const similarSchema = whenUsed(() =>
  z.strictObject({
    id: oneId,
    limit: once('limit', isSimilarLimit, `limit must be a whole number from 1 to ${LONGEST_SIMILAR}`),
  }),
);
