/**
 * The JSON Schemas of what people write by hand, so that editors complete and check it: the policy and a report. They
 * are made from the schemas that validate, and say in the words of JSON Schema what those say by functions.
 */
import * as z from 'zod/mini';
import { openApiDocument } from '../api/openapi/document.ts';
import { PolicyFile } from '../policy/schema.ts';

/** What the keys of a policy mean, wherever they stand. */
const KEYS: Readonly<Record<string, string>> = {
  version: 'The version of the form that this file has.',
  rules: 'One rule for each class; a class that is left out keeps its built-in rule.',
  auto_contain: 'Whether the actions are asked for at once, when such an incident is reported.',
  actions: 'What contains it, in this order.',
  default_severity: 'The severity of a report that names none.',
};

/** A rule that contains by itself, because it says so or says nothing and that is built in, takes an action at least. */
const containsBySomething = (builtIn: boolean): object => ({
  if: { properties: { auto_contain: { const: true } }, ...(builtIn ? {} : { required: ['auto_contain'] }) },
  // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
  then: { properties: { actions: { minItems: 1 } } },
});

type Override = NonNullable<Parameters<typeof z.toJSONSchema>[1]>['override'] & {};

const tellMore: Override = ({ zodSchema, jsonSchema, path }) => {
  const { def } = zodSchema._zod;
  const key = String(path.at(-1));
  if (KEYS[key] !== undefined) jsonSchema.description = KEYS[key];
  if (key === 'actions') jsonSchema.uniqueItems = true;
  // Unknown keys are refused by a check that names each of them.
  if (def.type === 'object' && def.catchall?._zod.def.type === 'custom') jsonSchema.additionalProperties = false;
  const autoContain = jsonSchema.properties?.auto_contain;
  if (typeof autoContain === 'object') Object.assign(jsonSchema, containsBySomething(autoContain.default === true));
};

/** The schemas by the names of their files. */
export const jsonSchemas = (): Readonly<Record<string, object>> => ({
  'incident-containment.schema.json': {
    title: 'Containment policy of the incident recorder',
    ...z.toJSONSchema(PolicyFile, { io: 'input', unrepresentable: 'any', override: tellMore }),
  },
  'report.schema.json': {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Report to the incident recorder',
    ...(openApiDocument().components?.schemas?.Report as object),
  },
});
