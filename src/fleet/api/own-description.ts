/**
 * The description of what the fleet has and a recorder has not, as OpenAPI 3.1: it is added to the description of the
 * reads, which is the recorder's own. Tests compare it with real responses.
 */
import {
  ACTIONS,
  CLASSES,
  RECOVERY_STEPS,
  RESOLUTIONS,
  ROLES,
  SEVERITIES,
  STATES,
} from '../../../machines/vocabulary.ts';
import { BULK_COMMANDS } from '../../api/incidents/requests.ts';
import { RELEASING } from '../../containment/release-preview.ts';
import { CHART_FORMATS } from '../../statecharts/formats.ts';
import { COMMAND_STATUSES } from '../commands.ts';
import { COMMAND_FORMS } from './command-forms.ts';
import { FLEET_INCIDENT_KINDS } from './fleet-incidents.ts';

type Schema = Readonly<Record<string, unknown>>;

const text: Schema = { type: 'string' };
const flag: Schema = { type: 'boolean' };
const count: Schema = { type: 'integer', minimum: 0 };
const time: Schema = { type: 'string', format: 'date-time' };
const labels: Schema = { type: 'object', additionalProperties: text };
const words = (values: readonly string[]): Schema => ({ type: 'string', enum: values });
const orNull = (schema: Schema): Schema => ({ anyOf: [schema, { type: 'null' }] });
const listOf = (items: Schema): Schema => ({ type: 'array', items });
const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const said = (schema: Schema, description: string): Schema => ({ ...schema, description });

/** An object with these members and no others, all of them there unless they are named. */
const object = (properties: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  additionalProperties: false,
});

const posture = {
  in_force: flag,
  since: orNull(time),
  holders: said(count, 'How many unresolved incidents hold it.'),
  unconfirmed: said(count, 'Deliveries that are not confirmed.'),
  overdue: count,
};

const machine = {
  machine: text,
  name: said(text, 'How it is shown; its own name, unless it was renamed.'),
  labels,
  enrolled_at: orNull(time),
  revoked_at: orNull(time),
  heard_at: orNull(time),
  silent: flag,
  silent_since: orNull(time),
  version: orNull(text),
  log: said(orNull(text), 'The identity of its log.'),
  entries: said(count, 'How far its log goes, as far as that is known.'),
  held: said(count, 'How far the fleet has it.'),
  behind: count,
  hashes: words(['verified', 'unverified']),
  clock_skew_ms: said(orNull({ type: 'integer' }), 'How far its clock is ahead.'),
  clock_skewed: flag,
  policy: object({
    digest: orNull(text),
    source: orNull(text),
    differs: said(flag, 'Whether it is another one than most machines have.'),
    usual: orNull(text),
  }),
  anchored: said(
    orNull(object({ seq: count, at: time, age_seconds: count })),
    'The last anchor of the fleet that it has recorded.',
  ),
  diverged: said(
    orNull(object({ log: text, from_log: text, at_seq: count })),
    'Where its log has left the history that the fleet had.',
  ),
  posture: listOf(object({ action: words(ACTIONS), ...posture })),
  incidents: object({ unresolved: count, attention: count }),
  commands: object({ pending: count }),
  alarms: listOf(object({ id: text, kind: text, opened_at: time, acknowledged_at: orNull(time) })),
};

const change = { seq: count, at: time, event: text };
const changeOf = (properties: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
});

const changes = object(
  {
    after: said(text, 'The place that it begins with.'),
    through: said(
      text,
      'The place behind it: nothing is missed and nothing comes twice when the next read begins there.',
    ),
    changes: said(
      listOf(changeOf({ machine: text, id: text, events: listOf(changeOf(change)) })),
      'The incidents that have changed, as `ChangedIncident`, with their machines.',
    ),
    others: listOf(changeOf({ machine: text, ...change })),
    complete: said(flag, 'Whether there is no more now.'),
    next: said(text, 'The next page is after this place.'),
  },
  ['next'],
);

const inForce = {
  action: words(ACTIONS),
  in_force: flag,
  machines: count,
  since: orNull(time),
  holders: count,
  unconfirmed: object({ machines: count, deliveries: count }),
  overdue: object({ machines: count, deliveries: count }),
};

const campaign = {
  campaign: text,
  rule: said(text, 'The rule in the fleet’s policy.'),
  class: words(CLASSES),
  values: said(
    orNull({ type: 'object' }),
    'What its incidents have in common, by paths. Null without the right to evidence.',
  ),
  severity: orNull(words(SEVERITIES)),
  machines: count,
  incidents: count,
  unresolved: count,
  first_at: time,
  last_at: time,
  raised_at: time,
  acknowledged_at: orNull(time),
  acknowledged_by: orNull(text),
  acknowledged_incidents: said(orNull(count), 'How many it had then: it has grown since where it has more.'),
  note: orNull(text),
};

const act = {
  act: text,
  action: words(ACTIONS),
  labels,
  reason: orNull(text),
  by: text,
  at: time,
  count: said(count, 'How many machines.'),
  pending: count,
  done: count,
  refused: count,
  expired: count,
};

const silenceAct = {
  ...Object.fromEntries(Object.entries(act).filter(([name]) => name !== 'action')),
  kind: said(words(['add', 'end']), 'Whether silences are added or ended.'),
  named: said(listOf(text), 'The machines that were named.'),
};

const preview = {
  machine: text,
  action: words(ACTIONS),
  releases: said(flag, 'Whether it ends there: nobody else on this machine holds it.'),
  holders: count,
  others: count,
  last: flag,
};

const counts = { type: 'object', additionalProperties: count };

const bulkAct = {
  act: text,
  command: words(BULK_COMMANDS),
  filter: said(orNull({ type: 'object' }), 'What has selected the incidents; null where they were named.'),
  note: orNull(text),
  by: text,
  at: time,
  count: said(count, 'How many incidents.'),
  finished: said(
    flag,
    'Whether its client has asked for all of them: it goes on only while the client sends the next cursor.',
  ),
  left: said(count, 'How many the command was not given to yet.'),
  pending: count,
  done: count,
  refused: count,
  expired: count,
};

const status = words(COMMAND_STATUSES);
const health = object({ status: orNull(text), reasons: listOf(text), warnings: listOf(text) });

export const OWN_SCHEMAS: Readonly<Record<string, Schema>> = {
  FleetChanges: changes,
  FleetMachine: object({ ...machine, health: orNull(health) }),
  FleetMachineWhole: object({
    ...machine,
    health: orNull({ type: 'object' }),
    logs: listOf(
      object({
        log: text,
        identity: text,
        active: flag,
        first_seq: count,
        through: count,
        first_at: orNull(time),
        last_at: orNull(time),
        diverged_from: orNull(text),
        diverged_at_seq: orNull(count),
      }),
    ),
  }),
  FleetPolicyDiff: object({
    machine: text,
    digest: orNull(text),
    source: orNull(text),
    text: orNull(text),
    usual: orNull(object({ digest: text, machines: count })),
    differs: flag,
    changes: orNull(listOf(object({ path: text, usual: {}, here: {} }, ['usual', 'here']))),
    diff: said(orNull(text), 'In the unified form.'),
  }),
  FleetAlarm: object({
    machine: text,
    id: text,
    kind: words(FLEET_INCIDENT_KINDS),
    opened_at: time,
    closed_at: orNull(time),
    detail: { type: 'object' },
    acknowledged_at: orNull(time),
    acknowledged_by: orNull(text),
    note: orNull(text),
  }),
  FleetInForce: object(inForce),
  FleetActionInForce: object({
    ...inForce,
    by_machine: listOf(object({ machine: text, name: text, labels, ...posture })),
  }),
  FleetCampaign: object(campaign),
  FleetCampaignWhole: object({
    ...campaign,
    members: listOf(
      object({
        machine: text,
        name: text,
        log: text,
        left: flag,
        incident: text,
        at: time,
        state: orNull(text),
        severity: orNull(words(SEVERITIES)),
        source: orNull(text),
      }),
    ),
  }),
  FleetCommand: object({
    id: text,
    machine: text,
    log: orNull(text),
    command: text,
    incident: orNull(text),
    body: orNull({ type: 'object' }),
    by: text,
    role: words(ROLES),
    status,
    issued_at: time,
    expires_at: time,
    fetched_at: orNull(time),
    finished_at: orNull(time),
    answer: said(orNull(object({ status: { type: 'integer' }, body: {} })), 'What the machine has answered.'),
    reason: said(orNull(text), 'Why it was not carried out.'),
    act: orNull(text),
  }),
  FleetLabelPreview: object({
    action: words(ACTIONS),
    labels,
    count: said(count, 'On how many machines it is possible: what has to be sent as `confirm`.'),
    machines_digest: said(
      text,
      'Which machines these are, and what is engaged there: may be sent back as `machines_digest`.',
    ),
    machines: listOf(
      object({
        machine: text,
        name: text,
        labels,
        possible: flag,
        why: orNull(text),
        class: orNull(words(CLASSES)),
        actions: said(listOf(words(ACTIONS)), 'All that is engaged there.'),
        in_force: flag,
        silent: flag,
      }),
    ),
  }),
  FleetReleasePreview: object(
    {
      command: words(RELEASING),
      actions: listOf(object(preview)),
      incidents: listOf(
        object(
          {
            machine: text,
            id: text,
            state: words(STATES),
            possible: flag,
            actions: listOf(words(ACTIONS)),
            missing: listOf(words(RECOVERY_STEPS)),
          },
          ['missing'],
        ),
      ),
      unknown: listOf(text),
      uncertain: listOf(ref('UncertainMachine')),
    },
    ['uncertain'],
  ),
  UncertainMachine: object({
    machine: text,
    silent: said(flag, 'Whether it was not heard for long, or was revoked.'),
    heard_at: orNull(time),
    behind: said(count, 'How many of its entries the fleet does not have.'),
  }),
  FleetRecoveries: object({
    count,
    pending_recoveries: listOf({
      type: 'object',
      properties: { machine: text, incident_id: text, recovery_complete: flag },
      required: ['machine', 'incident_id', 'required_after', 'recovery_complete'],
      description: 'As at the recorder: RecoveryStatus.',
    }),
  }),
  FleetBulkPreview: object(
    {
      matched: count,
      complete: flag,
      machines: said(counts, 'How many are on which machine.'),
      uncertain: listOf(ref('UncertainMachine')),
      classes: counts,
      severities: counts,
      states: counts,
      allowed: count,
      unchanged: count,
      refused: counts,
      needs: object({ roles: listOf(words(ROLES)), count }),
      judged: count,
      actions: listOf(object(preview)),
      missing: counts,
      snapshot: said(text, 'The cursor with which the command works what was previewed, and nothing newer.'),
    },
    ['uncertain', 'needs', 'judged', 'actions', 'missing'],
  ),
  FleetBulkAnswer: object(
    {
      act: text,
      results: listOf({
        type: 'object',
        properties: {
          machine: text,
          id: text,
          command: orNull(text),
          status: said({ type: 'integer' }, 'What the machine has answered; 202 while it has not.'),
        },
        required: ['machine', 'id', 'command', 'status'],
      }),
      done: said(flag, 'Whether the command was given to all of them.'),
      remaining: count,
      cursor: text,
    },
    ['remaining', 'cursor'],
  ),
  FleetBulkAct: object(bulkAct),
  FleetBulkActWhole: object(
    {
      ...bulkAct,
      cursor: said(text, 'Of one that is not finished: where it goes on, with the same command and filter.'),
      incidents: listOf(
        object({
          machine: text,
          id: text,
          command: orNull(text),
          status: words(['left', ...COMMAND_STATUSES]),
          reason: orNull(text),
        }),
      ),
    },
    ['cursor'],
  ),
  FleetReleaseByLabel: object({
    action: words(ACTIONS),
    labels,
    count: said(count, 'On how many machines it is possible: what has to be sent as `confirm`.'),
    incidents: said(count, 'How many incidents hold it there.'),
    machines_digest: text,
    machines: listOf(
      object({
        machine: text,
        name: text,
        labels,
        possible: flag,
        why: orNull(text),
        in_force: flag,
        silent: flag,
        holders: count,
      }),
    ),
  }),
  FleetReleaseAct: object(act),
  FleetReleaseActWhole: object({
    ...act,
    machines: listOf(
      object({ machine: text, status, reason: orNull(text), incidents: count, done: count, in_force: flag }),
    ),
  }),
  FleetSilencePreview: object({
    labels,
    named: listOf(text),
    count: said(count, 'On how many machines it is possible: what has to be sent as `confirm`.'),
    machines_digest: text,
    machines: listOf(
      object({
        machine: text,
        name: text,
        labels,
        possible: flag,
        why: orNull(text),
        silent: flag,
        silences: said(listOf(text), 'Those that would be ended.'),
      }),
    ),
  }),
  FleetSilenceAct: object(silenceAct),
  FleetSilenceActWhole: object({
    ...silenceAct,
    machines: listOf(
      object({
        machine: text,
        status,
        reason: orNull(text),
        silences: said(listOf(text), 'Those that it has made, or that it ends.'),
      }),
    ),
  }),
  FleetAct: object(act),
  FleetActWhole: object({
    ...act,
    machines: listOf(
      object({
        machine: text,
        command: orNull(text),
        status,
        reason: orNull(text),
        incident: orNull(text),
        in_force: flag,
      }),
    ),
  }),
};

const MACHINES = ['machine', 'site'];
const PAGES = ['limit', 'after'];

const parameters = (path: string, query: readonly string[]): readonly object[] => [
  ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({ in: 'path', name, required: true, schema: text })),
  ...query.map((name) => ({ in: 'query', name, schema: text })),
];

const answer = (description: string, schema: Schema) => ({
  description,
  content: { 'application/json': { schema } },
});

const REFUSALS = {
  400: { description: 'A field or parameter that is missing, unknown or out of range.' },
  403: { description: 'No token, or a role or a machine that it does not have.' },
  404: { description: 'There is none, or not for this token.' },
};

const get = (path: string, operationId: string, summary: string, query: readonly string[], schema: Schema) => ({
  [path]: {
    get: {
      operationId,
      tags: ['fleet'],
      summary,
      parameters: parameters(path, query),
      responses: { 200: answer(summary, schema), ...REFUSALS },
    },
  },
});

const post = (
  path: string,
  operation: { operationId: string; summary: string; description?: string },
  body: Schema,
  responses: Readonly<Record<string, object>>,
) => ({
  [path]: {
    post: {
      ...operation,
      tags: ['fleet'],
      requestBody: { required: true, content: { 'application/json': { schema: body } } },
      responses: { ...responses, ...REFUSALS },
    },
  },
});

/** Raw lines of a log, one after the other. */
const lines = (path: string, operationId: string, query: readonly string[]) => ({
  [path]: {
    get: {
      operationId,
      tags: ['fleet'],
      summary: 'The raw lines of a machine’s log, for the roles anchor and auditor',
      parameters: parameters(path, [...query, 'from', 'limit', 'follow']),
      responses: {
        200: {
          description: 'The lines as the machine has written them; headers as at the recorder.',
          content: { 'application/x-ndjson': { schema: text } },
        },
        ...REFUSALS,
        410: { description: 'The entry never came here.' },
        416: { description: 'The log does not reach that far here.' },
      },
    },
  },
});

/** At the recorder `/api/v1/machines/NAME`, which are the machines of the fleet here. */
const chart = (name: string, operationId: string) => ({
  [`/api/v1/statecharts/${name}`]: {
    get: {
      operationId,
      tags: ['statecharts'],
      summary: `The statechart ${name}, as a picture or in another form`,
      parameters: [{ in: 'query', name: 'format', schema: words(CHART_FORMATS) }],
      responses: { 200: { description: 'The chart.', content: { 'image/svg+xml': { schema: text } } }, ...REFUSALS },
    },
  },
});

const COMMAND_ANSWERS = {
  200: answer('The command has come to something while the request waited.', ref('FleetCommand')),
  202: answer('The command waits for its machine.', ref('FleetCommand')),
  409: { description: 'The machine fetches no commands.' },
  422: { description: 'The Idempotency-Key was used with another command.' },
};

const commandPaths = Object.assign(
  {},
  ...COMMAND_FORMS.map(({ path, command, summary, required }) =>
    post(
      path,
      {
        operationId: `fleet_${command}`,
        summary,
        description:
          `A command to a machine, with the body of the recorder’s own and \`machine\`, \`expires_in\` (seconds), ` +
          `\`expected_version\` (or \`If-Match\`) and \`idempotency_key\` (or the header). ${required}. ` +
          'With `Prefer: wait=20` the answer waits for the machine.',
      },
      { type: 'object' },
      COMMAND_ANSWERS,
    ),
  ),
) as Readonly<Record<string, { readonly post: object }>>;

/** What an act on many machines takes besides what it does. */
const onMachines = {
  labels,
  machines: listOf(text),
  confirm: said(count, 'The number of machines, as the preview says it.'),
  machines_digest: said(text, 'That of the preview: something else than what was shown is refused.'),
  dry_run: flag,
  expires_in: count,
  idempotency_key: text,
  by: text,
};

const terms = {
  class: listOf(words(CLASSES)),
  source: listOf(text),
  severity: listOf(words(SEVERITIES)),
  q: text,
};

/** Silences by label: a preview, and the act. */
const silences = (
  path: string,
  [previewed, done]: readonly [string, string],
  [before, summary]: readonly [string, string],
  query: readonly string[],
  body: Readonly<Record<string, Schema>>,
  optional: readonly string[],
) => ({
  [path]: {
    ...get(path, previewed, before, [...MACHINES, ...query], ref('FleetSilencePreview'))[path],
    ...post(
      path,
      {
        operationId: done,
        summary,
        description: 'One of `labels` and `machines` is required; `act` will do to end silences.',
      },
      object({ ...body, ...onMachines }, [...optional, ...Object.keys(onMachines)]),
      {
        200: answer('With `dry_run`: what it would do.', ref('FleetSilencePreview')),
        202: answer('It has begun.', ref('FleetSilenceActWhole')),
        409: {
          description: '`confirm` is missing or is not the number of machines, which `count` says; or they are others.',
        },
        422: { description: 'The Idempotency-Key was used with another act.' },
      },
    )[path],
  },
});

/** Operations by path, then by method. */
export const OWN_PATHS: Readonly<Record<string, Readonly<Record<string, object>>>> = {
  ...get(
    '/api/v1/machines',
    'listMachines',
    'The machines',
    [...MACHINES, ...PAGES, 'silent', 'differs'],
    listOf(ref('FleetMachine')),
  ),
  ...get('/api/v1/machines/{machine}', 'getMachine', 'One machine', [], ref('FleetMachineWhole')),
  ...get(
    '/api/v1/machines/{machine}/policy',
    'diffPolicy',
    'The policy of a machine, and how it differs from the usual one',
    [],
    ref('FleetPolicyDiff'),
  ),
  ...get(
    '/api/v1/fleet/incidents',
    'listFleetIncidents',
    'What the fleet itself has found',
    [...MACHINES, ...PAGES, 'open', 'kind'],
    listOf(ref('FleetAlarm')),
  ),
  ...post(
    '/api/v1/fleet/incidents/acknowledge',
    { operationId: 'acknowledgeFleetIncident', summary: 'Acknowledge what the fleet has found' },
    object({ machine: text, id: text, by: text, note: text }, ['by', 'note']),
    { 200: answer('It is acknowledged.', ref('FleetAlarm')) },
  ),
  ...get(
    '/api/v1/campaigns',
    'listCampaigns',
    'What is the same on several machines',
    [...MACHINES, ...PAGES],
    listOf(ref('FleetCampaign')),
  ),
  ...post(
    '/api/v1/campaigns/acknowledge',
    { operationId: 'acknowledgeCampaign', summary: 'Take note of a campaign; when it has grown it can be done again' },
    object({ campaign: text, by: text, note: text }, ['by', 'note']),
    { 200: answer('It is acknowledged.', ref('FleetCampaign')) },
  ),
  ...get(
    '/api/v1/campaigns/{campaign}',
    'getCampaign',
    'One campaign, with its incidents: a page of them',
    [...MACHINES, ...PAGES],
    ref('FleetCampaignWhole'),
  ),
  ...commandPaths,
  ...get(
    '/api/v1/commands',
    'listCommands',
    'The commands, and what came of them',
    [...MACHINES, ...PAGES, 'status', 'incident', 'act'],
    listOf(ref('FleetCommand')),
  ),
  ...get('/api/v1/commands/{id}', 'getCommand', 'One command', ['wait'], ref('FleetCommand')),
  '/api/v1/containment/by-label': {
    ...get(
      '/api/v1/containment/by-label',
      'previewByLabel',
      'What an action on all machines with some labels would do',
      ['action', 'class', 'site'],
      ref('FleetLabelPreview'),
    )['/api/v1/containment/by-label'],
    ...post(
      '/api/v1/containment/by-label',
      { operationId: 'containByLabel', summary: 'Engage an action on all machines with some labels' },
      object(
        {
          action: words(ACTIONS),
          labels,
          reason: text,
          class: words(CLASSES),
          confirm: said(count, 'The number of machines, as the preview says it.'),
          machines_digest: said(text, 'That of the preview: other machines than those that were shown are refused.'),
          dry_run: flag,
          expires_in: count,
          idempotency_key: text,
          by: text,
        },
        ['class', 'confirm', 'machines_digest', 'dry_run', 'expires_in', 'idempotency_key', 'by'],
      ),
      {
        200: answer('With `dry_run`: what it would do.', ref('FleetLabelPreview')),
        202: answer('It has begun.', ref('FleetActWhole')),
        409: {
          description: '`confirm` is missing or is not the number of machines, which `count` says; or they are others.',
        },
      },
    )['/api/v1/containment/by-label'],
  },
  '/api/v1/containment/by-label/release': {
    ...get(
      '/api/v1/containment/by-label/release',
      'previewReleaseByLabel',
      'Who holds an action on the machines with some labels',
      ['action', 'site'],
      ref('FleetReleaseByLabel'),
    )['/api/v1/containment/by-label/release'],
    ...post(
      '/api/v1/containment/by-label/release',
      {
        operationId: 'releaseByLabel',
        summary: 'Release an action early on all machines with some labels, for all that hold it',
      },
      object(
        {
          action: words(ACTIONS),
          labels,
          reason: text,
          confirm: said(count, 'The number of machines, as the preview says it.'),
          machines_digest: said(text, 'As the preview says it: then no other incidents are meant.'),
          dry_run: flag,
          expires_in: count,
          idempotency_key: text,
          by: text,
        },
        ['confirm', 'machines_digest', 'dry_run', 'expires_in', 'idempotency_key', 'by'],
      ),
      {
        200: answer('With `dry_run`: what it would do.', ref('FleetReleaseByLabel')),
        202: answer('It has begun.', ref('FleetReleaseActWhole')),
        409: { description: '`confirm` is missing or is not the number of machines, which `count` says.' },
      },
    )['/api/v1/containment/by-label/release'],
  },
  ...get(
    '/api/v1/containment/by-label/release/acts',
    'listReleaseActs',
    'The releases by label',
    [...MACHINES, ...PAGES],
    listOf(ref('FleetReleaseAct')),
  ),
  ...get(
    '/api/v1/containment/by-label/release/{act}',
    'getReleaseAct',
    'How far a release by label is, machine by machine',
    MACHINES,
    ref('FleetReleaseActWhole'),
  ),
  ...get(
    '/api/v1/containment/by-label/{act}',
    'getAct',
    'How far such an act is, machine by machine',
    MACHINES,
    ref('FleetActWhole'),
  ),
  ...get(
    '/api/v1/containment/preview',
    'previewFleetRelease',
    'What resolving incidents, or releasing one of their actions, would release',
    [...MACHINES, 'id', 'command', 'action'],
    ref('FleetReleasePreview'),
  ),
  ...get(
    '/api/v1/recovery/status',
    'listFleetRecoveries',
    'The recoveries that are not complete, the oldest first',
    [...MACHINES, ...PAGES, 'incident_id'],
    ref('FleetRecoveries'),
  ),
  ...lines('/api/v1/machines/{machine}/logs/{log}/entries', 'readMachineLog', []),
  ...lines('/api/v1/log', 'readOneLog', ['machine']),
  ...chart('incident', 'drawIncidentChart'),
  ...chart('delivery', 'drawDeliveryChart'),
  '/api/v1/incidents/bulk': {
    ...get(
      '/api/v1/incidents/bulk',
      'listBulkActs',
      'The commands on many incidents',
      PAGES,
      listOf(ref('FleetBulkAct')),
    )['/api/v1/incidents/bulk'],
    ...post(
      '/api/v1/incidents/bulk',
      {
        operationId: 'commandFleetIncidents',
        summary: 'Give a command to all incidents that a filter selects, or to those that are named',
        description:
          'The recorder’s own, with a machine: `filter` takes `machine`, `site` and `label.NAME`, too, and each incident becomes ' +
          'a command to its machine. With `Prefer: wait=20` the answer waits for the machines.',
      },
      object(
        {
          command: words(BULK_COMMANDS),
          filter: { type: 'object' },
          incidents: listOf(object({ machine: text, id: text })),
          by: text,
          note: text,
          resolution: words(RESOLUTIONS),
          to: orNull(text),
          until: orNull(time),
          preview: flag,
          dry_run: flag,
          limit: count,
          cursor: text,
          expires_in: count,
          idempotency_key: text,
        },
        [
          'filter',
          'incidents',
          'by',
          'note',
          'resolution',
          'to',
          'until',
          'preview',
          'dry_run',
          'limit',
          'cursor',
          'expires_in',
          'idempotency_key',
        ],
      ),
      {
        200: answer('What would become of it, with `preview`; or what became of it.', {
          anyOf: [ref('FleetBulkPreview'), ref('FleetBulkAnswer')],
        }),
        202: answer('Some machines have not answered yet: see the act.', ref('FleetBulkAnswer')),
        422: { description: 'The Idempotency-Key or the cursor was used with another act.' },
      },
    )['/api/v1/incidents/bulk'],
  },
  ...get(
    '/api/v1/incidents/bulk/{act}',
    'getBulkAct',
    'How far a command on many incidents is, incident by incident',
    [...MACHINES, ...PAGES],
    ref('FleetBulkActWhole'),
  ),
  ...silences(
    '/api/v1/silences/by-label',
    ['previewSilences', 'silenceByLabel'],
    ['On which machines a silence would be added', 'Add a silence on all machines with some labels'],
    [],
    { ...terms, from: time, until: time, reason: text },
    [...Object.keys(terms), 'from'],
  ),
  ...silences(
    '/api/v1/silences/by-label/end',
    ['previewSilenceEnds', 'endSilencesByLabel'],
    ['Which silences would be ended', 'End silences on all machines with some labels'],
    ['act'],
    { act: said(text, 'Only those that this act has added.'), ...terms, reason: text },
    ['act', ...Object.keys(terms), 'reason'],
  ),
  ...get(
    '/api/v1/silences/by-label/acts',
    'listSilenceActs',
    'The silences on many machines, and their ends',
    [...MACHINES, ...PAGES],
    listOf(ref('FleetSilenceAct')),
  ),
  ...get(
    '/api/v1/silences/by-label/{act}',
    'getSilenceAct',
    'How far such an act is, machine by machine',
    MACHINES,
    ref('FleetSilenceActWhole'),
  ),
  ...get('/api/v1/acts', 'listActs', 'The acts on many machines', PAGES, listOf(ref('FleetAct'))),
};

const log = {
  description:
    'A history of the machine’s log by its name, or the identity of the log: also one that the machine has left.',
  schema: text,
};

/** How reads that the recorder has, too, differ at a fleet: their parameters by name, also those that it has not, and in words. */
export const FLEET_DIFFERENCES: Readonly<Record<string, Difference>> = {
  '/api/v1/incidents/changes': {
    parameters: {
      after: {
        description:
          'Of one `machine`: everything behind the entry with this sequence number. Of several: everything that the fleet has ' +
          'taken since this place, which is the `id` of an event of the stream, or `through` or `next` of an earlier answer.',
        schema: { anyOf: [{ type: 'integer' }, { type: 'string' }] },
      },
      since: {
        description:
          'Of one `machine`: everything that was written since a time. Of several: everything that the fleet has taken since.',
      },
    },
  },
  '/api/v1/incidents/bundle': {
    parameters: { log },
    description:
      'At a fleet all incidents are of one machine and one history of its log. The fleet makes and signs the bundle: ' +
      '`signed_by` and `machine` in the manifest say so, and whether it has verified the hashes of the log. Its public ' +
      'key verifies it.',
  },
  '/api/v1/forensic/export': {
    parameters: { log },
    description:
      'At a fleet it is of one machine and one history of its log, and `signature` is Ed25519 by the fleet’s key, in ' +
      'lower-case hex, over `incident-recorder-forensic/1`, a newline and `bundle_hash`. `system_state` says whose.',
  },
};

interface Difference {
  readonly parameters: Readonly<Record<string, object>>;
  readonly description?: string;
}

/** The answers to reads that the recorder has too, for requests that name no machine. */
export const FLEET_WIDE: Readonly<Record<string, Schema>> = {
  '/api/v1/containment': { type: 'object', additionalProperties: ref('FleetInForce') },
  '/api/v1/containment/{action}': ref('FleetActionInForce'),
  '/api/v1/incidents/changes': ref('FleetChanges'),
};
