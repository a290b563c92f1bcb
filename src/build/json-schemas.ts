/**
 * The JSON Schemas of what people write by hand, the policy and a report, so that editors complete and check it. They
 * are made from the schemas that validate; what those check by functions is added in the terms of JSON Schema.
 */
import * as z from 'zod/mini';
import { openApiDocument } from '../api/openapi/document.ts';
import { PolicyFile } from '../policy/schema.ts';

/** What the keys of a policy mean, at every place. */
const KEYS: Readonly<Record<string, string>> = {
  version: 'The version of the format of this file.',
  rules: 'One rule for each class; a class that is left out keeps its built-in rule.',
  auto_contain: 'Whether the actions are asked for at once, when such an incident is reported.',
  actions: 'What contains it, in this order.',
  default_severity: 'The severity of a report that names none.',
  targets: 'Where containment actions are sent; what is not named here, its service has to come for.',
  engage: 'Where to ask that the action be put into force.',
  release: 'Where to ask that it be taken back.',
  broker: 'The directories by which a broker is asked, in place of a service.',
  requests: 'The directory that requests are put into.',
  results: 'The directory that their results are taken from.',
  action: 'The word that the service or broker knows for the action.',
  url: 'An http URL on the loopback, or a unix socket.',
  token_path: 'The file of the token that is sent along.',
  timeout: 'How long to wait for an answer: 500ms, 5s, 2m, 1h.',
  confirm_every: 'How often its service confirms again; when it stops, containment is lost: 5s, 2m, 1h.',
  notify: 'Webhooks that receive entries of the audit log.',
  events: 'Which entries; all when left out.',
};

/** What the schemas check of a key by functions. */
const WORDS: Readonly<Record<string, object>> = {
  rules: { type: ['object', 'null'] },
  targets: { type: ['object', 'null'] },
  notify: { type: ['array', 'null'] },
  actions: { uniqueItems: true },
  requests: { pattern: '^/' },
  results: { pattern: '^/' },
  token_path: { pattern: '^/' },
  timeout: { pattern: '^[0-9]{1,9}(ms|s|m|h)$' },
  confirm_every: { pattern: '^[0-9]{1,9}(ms|s|m|h)$' },
};

/** A rule that contains by itself, because it says so or says nothing and that is built in, takes an action at least. */
const containsBySomething = (builtIn: boolean): object => ({
  if: { properties: { auto_contain: { const: true } }, ...(builtIn ? {} : { required: ['auto_contain'] }) },
  // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
  then: { properties: { actions: { minItems: 1 } } },
});

/** An action is sent in one way, and the keys about sending need the key that sends. */
const SENT_IN_ONE_WAY = {
  not: { required: ['engage', 'broker'] },
  dependentRequired: { release: ['engage'], token_path: ['engage'] },
  dependentSchemas: { timeout: { anyOf: [{ required: ['engage'] }, { required: ['broker'] }] } },
};

type Schema = z.core.JSONSchema.BaseSchema;

/** Unknown keys are refused by a check that names each of them. */
const closeMappings: NonNullable<z.core.ToJSONSchemaParams['override']> = ({
  zodSchema: {
    _zod: { def },
  },
  jsonSchema,
}) => {
  if (def.type === 'object' && def.catchall?._zod.def.type === 'custom') jsonSchema.additionalProperties = false;
};

/** Adds to a schema, in place, what every key means and which keys belong together. */
function describeKeys(schema: Schema): Schema {
  const { auto_contain, broker } = (schema.properties ?? {}) as Readonly<Record<string, Schema>>;
  if (auto_contain !== undefined) Object.assign(schema, containsBySomething(auto_contain.default === true));
  if (broker !== undefined) Object.assign(schema, SENT_IN_ONE_WAY);
  for (const [key, value] of Object.entries(schema.properties ?? {})) {
    const description = KEYS[key];
    Object.assign(describeKeys(value as Schema), description === undefined ? {} : { description }, WORDS[key]);
  }
  if (schema.items !== undefined) describeKeys(schema.items as Schema);
  return schema;
}

/** The schemas by the names of their files. */
export const jsonSchemas = (): Readonly<Record<string, object>> => ({
  'incident-containment.schema.json': {
    title: 'Containment policy of the incident recorder',
    ...describeKeys(z.toJSONSchema(PolicyFile, { io: 'input', unrepresentable: 'any', override: closeMappings })),
  },
  'report.schema.json': {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Report to the incident recorder',
    ...(openApiDocument().components?.schemas?.Report as object),
  },
});
