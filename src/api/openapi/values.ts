/** What the shapes of responses are made of. Tests compare them with real responses; the service does not use them. */
import * as z from 'zod/mini';
import { ACTIONS, CLASSES, SEVERITIES, STATES } from '../../../machines/vocabulary.ts';
import { named } from './described.ts';

/** A schema for every field of a type of the code, and for no others. */
export type FieldsOf<Given> = Readonly<Record<keyof Given, z.ZodMiniType>>;

export const incidentClass = named('Class', 'The kind of an incident.', z.enum(CLASSES));
export const severity = named('Severity', 'How bad it is, most severe first.', z.enum(SEVERITIES));
export const state = named('State', 'The state of an incident.', z.enum(STATES));
export const action = named('Action', 'What contains an incident.', z.enum(ACTIONS));
export const time = named(
  'Time',
  'RFC 3339 in UTC with milliseconds.',
  z.string().check(z.regex(/^[\d-]{10}T[\d:]{8}\.\d{3}Z$/)),
);
export const hash = named(
  'Hash',
  'Lower-case hexadecimal SHA-256 or HMAC-SHA256.',
  z.string().check(z.regex(/^[\da-f]{64}$/)),
);
export const count = named('Count', 'A whole number.', z.int().check(z.minimum(0)));
export const text = () => z.string();
export const maybe = <Schema extends z.ZodMiniType>(schema: Schema) => z.exactOptional(schema);
export const anything = () => z.looseObject({});

export const incidentId = named(
  'IncidentId',
  'INC-, the day in UTC, 12 hexadecimal digits.',
  z.string().check(z.regex(/^INC-\d{8}-[\da-f]{12}$/)),
);
