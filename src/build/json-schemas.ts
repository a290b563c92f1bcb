/**
 * The JSON Schemas of what people write by hand, the policy and a report, so that editors can complete and check it.
 * They are made from the validating schemas. What those check with functions is added here in terms of JSON Schema.
 */
import * as z from 'zod/mini';
import { AccessFile } from '../access/access-file.ts';
import { BY_HAND } from '../../machines/vocabulary.ts';
import { openApiDocument } from '../api/openapi/document.ts';
import { durationPattern } from '../duration.ts';
import { FORMATS } from '../domain/notice.ts';
import { KEYS_OF_FORMATS } from '../policy/notice-schema.ts';
import { PolicyFile } from '../policy/schema.ts';
import { TIME_UNITS } from '../policy/target-schema.ts';

/** What the keys of a policy mean, wherever they occur. */
const KEYS: Readonly<Record<string, string>> = {
  version: 'The format version of this file.',
  rules: 'One rule for each class. A class that is left out keeps its built-in rule.',
  auto_contain: 'Whether a report of such an incident asks for the actions at once.',
  actions: 'The containment actions, in this order.',
  default_severity: 'The severity of a report that names none.',
  min_severity: 'The least severity of an incident of this class, whatever its report says.',
  answer_after:
    'How long the answer to a report waits until its containment is settled: 1s to 40s. By default it waits for none.',
  recovery: 'What must be done before an incident of this class may be resolved; by default nothing.',
  acknowledge:
    'Whether somebody with the role recovery, and not who reported, must say that the machine may be trusted.',
  attest: 'Whether the attestor (RUNTIME_ATTESTOR_URL) must prove the machine.',
  attention_after: 'An acknowledged incident that recurs after so long without an occurrence needs attention again.',
  overdue_after: 'After how long an engage or a release that is not confirmed is overdue: 30s, 60s, 5m.',
  burst: 'From so many reports of one source and class on, further ones are occurrences of the newest incident.',
  escalate:
    'So many reports of a class within so long a time raise the severity of the incident that the last one is about.',
  class: 'The class of the reports.',
  to: 'The severity that the incident is raised to.',
  repeat: 'Further reports with the same values are occurrences of one unresolved incident, without a dedup_key.',
  same: 'Where the values are: source, description, severity, or evidence. and a path of keys.',
  reports: 'How many reports.',
  within: 'In what time: 1s, 60s, 5m, 1h.',
  runbook: 'What to do about such an incident: a URL or a text of at most 1000 characters.',
  expect: 'Guards: sources that must report or send a heartbeat.',
  source: 'The name of the source.',
  every: 'After how long without a sign of life it is silent: 60s, 5m, 1h.',
  heartbeat: 'How often the webhook hears that the recorder takes reports: 60s, 5m.',
  drill: 'Whether the target takes part in drills: what it is sent then says that it is one.',
  report_bytes_per_day: 'How many bytes of reports one source may send in a day (UTC).',
  archive_after:
    'After how long sealed segments of the audit log go to the archive by themselves, such as 90d; at least 1d.',
  confirm: 'answer: the answer of the target confirms. callback: it may answer 202, and its service confirms later.',
  final: 'The statuses of an answer after which it is not tried again. By default 400, 410, 413 and 422; [] for none.',
  targets: 'Where containment actions are sent. An action without a target is fetched by its service.',
  engage: 'Where to send the request to put the action into force.',
  release:
    'Where to send the request to release the action. manual: nothing can be undone by a request, a person releases it by hand.',
  done_when: 'The statuses of an answer, besides 2xx, that say that it is already carried out. By default none.',
  broker: 'The directories of a file broker, instead of a service.',
  requests: 'The directory for request files.',
  results: 'The directory with the result files.',
  action: 'The word that the service or broker knows for the action.',
  url: 'An http URL on the loopback, a unix socket, or an https URL where other machines may be reached.',
  token_path: 'The file with the token to send.',
  prove: 'Whether what answers over TCP must prove that it knows the token before anything is sent to it.',
  secret_path: 'The file with the secret to sign requests with, as Standard Webhooks lays down (whsec_…).',
  ca_path: 'The file with the certificates of the authority that an https service is certified by (PEM).',
  timeout: 'How long to wait for an answer: 500ms, 5s, 2m, 1h.',
  confirm_every: 'How often the service confirms again: 5s, 2m, 1h. When it stops, the containment is lost.',
  alerting: 'Webhooks in the form of the appliance’s own policy file: each receives alerts in the body that it knows.',
  webhooks: 'Webhooks that receive alerts: {event, timestamp, incident, actions, severity, source}.',
  notify: 'Webhooks that receive entries of the audit log, or notices made of them.',
  format: 'What the webhook is sent: entry (the default), slack, pagerduty or alertmanager.',
  url_path: 'The file with the path of the URL, where that is a secret.',
  routing_key_path: 'The file with the integration key that PagerDuty gave.',
  severity: 'A severity, for that and worse ones, or a list of severities; by default all.',
  send_resolved: 'Whether there are notices of resolved incidents; by default true.',
  drills: 'Whether there are notices of drills, marked as such; by default none.',
  console_url: 'The address of the console, which notices link to.',
  group_by: 'Which incidents are one message: by class, source, severity; by default class and source.',
  group_wait: 'How long to wait for more before the first message of a group. 0s to 1h.',
  group_interval: 'How long to wait after a message before the next one of that group. 0s to 24h.',
  repeat_interval: 'How often an unattended critical incident is told again. 0s for never, up to 168h.',
  events: 'Which entries to send; by default all.',
};

/** What the keys of an access file mean. */
const ACCESS_KEYS: Readonly<Record<string, string>> = {
  version: 'The format version of this file.',
  service_token: 'What whoever has the service token may do; nothing when this is left out.',
  principals: 'Who else has a token, by name.',
  roles: 'What the principal may do. No role includes another.',
  token_path: 'The file with the token.',
  token_sha256: 'The SHA-256 of the token: incident-recorder access new makes both.',
  sources: 'The sources that a reporter may report as, or any.',
  classes: 'The classes that a reporter may report, or any.',
  actions: 'The actions that an implementer may confirm, or any.',
};

/** What the schemas check of a key with functions. */
const CHECKS: Readonly<Record<string, object>> = {
  rules: { type: ['object', 'null'] },
  targets: { type: ['object', 'null'] },
  notify: { type: ['array', 'null'] },
  alerting: { type: ['object', 'null'] },
  webhooks: { type: ['array', 'null'] },
  escalate: { type: ['array', 'null'] },
  same: { uniqueItems: true },
  actions: { uniqueItems: true },
  roles: { uniqueItems: true },
  sources: { uniqueItems: true },
  classes: { uniqueItems: true },
  principals: { type: ['object', 'null'] },
  requests: { pattern: '^/' },
  results: { pattern: '^/' },
  token_path: { pattern: '^/' },
  secret_path: { pattern: '^/' },
  ca_path: { pattern: '^/' },
  url_path: { pattern: '^/' },
  routing_key_path: { pattern: '^/' },
  console_url: { pattern: '^https?://' },
  group_wait: { pattern: durationPattern(TIME_UNITS) },
  group_interval: { pattern: durationPattern(TIME_UNITS) },
  repeat_interval: { pattern: durationPattern(TIME_UNITS) },
  timeout: { pattern: durationPattern(TIME_UNITS) },
  confirm_every: { pattern: durationPattern(TIME_UNITS) },
  answer_after: { pattern: durationPattern(TIME_UNITS) },
  attention_after: { pattern: durationPattern(TIME_UNITS) },
  overdue_after: { pattern: durationPattern(TIME_UNITS) },
  archive_after: { pattern: durationPattern(TIME_UNITS) },
  within: { pattern: durationPattern(TIME_UNITS) },
  every: { pattern: durationPattern(TIME_UNITS) },
  heartbeat: { pattern: durationPattern(TIME_UNITS) },
};

/**
 * A rule with auto_contain needs at least one action.
 * @param builtIn the value of auto_contain when the rule leaves it out
 */
const autoContainNeedsAction = (builtIn: boolean): object => ({
  if: { properties: { auto_contain: { const: true } }, ...(builtIn ? {} : { required: ['auto_contain'] }) },
  // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
  then: { properties: { actions: { minItems: 1 } } },
});

/** An action is sent in one way only, and the keys for sending need one. */
const SENT_IN_ONE_WAY = {
  not: { required: ['engage', 'broker'] },
  dependentRequired: {
    token_path: ['engage'],
    prove: ['token_path'],
    confirm: ['engage'],
    final: ['engage'],
    done_when: ['engage'],
    secret_path: ['engage'],
    ca_path: ['engage'],
  },
  dependentSchemas: {
    timeout: { anyOf: [{ required: ['engage'] }, { required: ['broker'] }] },
    release: {
      anyOf: [{ required: ['engage'] }, { required: ['broker'], properties: { release: { const: BY_HAND } } }],
    },
    drill: { anyOf: [{ required: ['engage'] }, { required: ['broker'] }] },
  },
};

/** A role that is bound to something needs to be told to what, and without the role that says nothing. */
const BOUND_BY_ROLE = {
  allOf: [
    { role: 'reporter', bounds: ['sources', 'classes'] },
    { role: 'implementer', bounds: ['actions'] },
  ].map(({ role, bounds }) => ({
    if: { properties: { roles: { contains: { const: role } } } },
    // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
    then: { required: bounds },
    else: { properties: Object.fromEntries(bounds.map((bound) => [bound, false])) },
  })),
};

/** A principal has one token. */
const HAS_ONE_TOKEN = { oneOf: [{ required: ['token_path'] }, { required: ['token_sha256'] }] };

/** A webhook has the keys of its format only. */
const BY_FORMAT = {
  allOf: FORMATS.map((format) => ({
    if:
      format === 'entry'
        ? { properties: { format: { const: format } } }
        : { required: ['format'], properties: { format: { const: format } } },
    // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
    then: {
      properties: Object.fromEntries(
        Object.entries(KEYS_OF_FORMATS).flatMap(([key, formats]) => (formats.includes(format) ? [] : [[key, false]])),
      ),
      ...(format === 'pagerduty' ? { required: ['routing_key_path'] } : {}),
    },
  })),
};

type Schema = z.core.JSONSchema.BaseSchema;

/** The validating schemas refuse unknown keys with a function that names each; here a keyword does it. */
const closeMappings: NonNullable<z.core.ToJSONSchemaParams['override']> = ({
  zodSchema: {
    _zod: { def },
  },
  jsonSchema,
}) => {
  if (def.type === 'object' && def.catchall?._zod.def.type === 'custom') jsonSchema.additionalProperties = false;
};

/** Adds to every key of a schema its description and the checks, in place. */
function complete(schema: Schema, meanings = KEYS): Schema {
  const { auto_contain, broker, events, format, roles, token_sha256 } = (schema.properties ?? {}) as Readonly<
    Record<string, Schema>
  >;
  if (auto_contain !== undefined) Object.assign(schema, autoContainNeedsAction(auto_contain.default === true));
  if (broker !== undefined) Object.assign(schema, SENT_IN_ONE_WAY);
  if (events !== undefined) Object.assign(schema, { dependentRequired: { prove: ['token_path'] } });
  if (format !== undefined) Object.assign(schema, BY_FORMAT);
  if (roles !== undefined) Object.assign(schema, BOUND_BY_ROLE);
  if (token_sha256 !== undefined) Object.assign(schema, HAS_ONE_TOKEN);
  for (const [key, value] of Object.entries(schema.properties ?? {})) {
    const description = meanings[key];
    Object.assign(complete(value as Schema, meanings), description === undefined ? {} : { description }, CHECKS[key]);
  }
  if (schema.items !== undefined) complete(schema.items as Schema, meanings);
  const { additionalProperties } = schema;
  if (typeof additionalProperties === 'object') complete(additionalProperties, meanings);

  for (const option of schema.anyOf ?? []) complete(option, meanings);
  return schema;
}

/** The schemas, by file name. */
export const jsonSchemas = (): Readonly<Record<string, object>> => ({
  'incident-containment.schema.json': {
    title: 'Containment policy of the incident recorder',
    ...complete(z.toJSONSchema(PolicyFile, { io: 'input', unrepresentable: 'any', override: closeMappings })),
  },
  'incident-access.schema.json': {
    title: 'Access file of the incident recorder',
    ...complete(
      z.toJSONSchema(AccessFile, { io: 'input', unrepresentable: 'any', override: closeMappings }),
      ACCESS_KEYS,
    ),
  },
  'report.schema.json': {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Report to the incident recorder',
    ...(openApiDocument().components?.schemas?.Report as object),
  },
});
