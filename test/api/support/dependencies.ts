import type { CommandName } from '../../../machines/decision.ts';
import { EVERY_ROLE } from '../../../src/access/principal.ts';
import type { ApiDependencies } from '../../../src/api/dependencies.ts';
import { RecorderError } from '../../../src/errors.ts';
import { proofKeyIdOf, proofKeyOf } from '../../../src/proof.ts';
import type { Command } from '../../../src/incidents/recorder.ts';
import { BUILT_IN_RULES } from '../../../src/policy/defaults.ts';
import type { Policy } from '../../../src/policy/policy.ts';
import type { ComparisonReading } from '../../../src/query/comparison-reading.ts';
import type { ActivityReading } from '../../../src/query/activity-counts.ts';
import type { IncidentDocument } from '../../../src/domain/document.ts';
import type { ListQuery } from '../../../src/query/list-query.ts';
import type { StatisticsReading } from '../../../src/query/statistics.ts';
import type { ShownSilence } from '../../../src/domain/silence.ts';
import type { Idempotency, Report } from '../../../src/domain/entries.ts';

export const TOKEN = 'a-token-for-tests-only';
const PROOF_KEY = proofKeyOf(TOKEN);

interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly [field: string]: unknown;
}

const BUILT_IN: Policy = {
  version: 1,
  source: 'built-in',
  path: undefined,
  digest: 'a digest',
  parts: [],
  loaded_at: '2026-11-22T07:12:00.000Z',
  rules: BUILT_IN_RULES,
  targets: {},
  notify: [],
  attention_after: 3_600_000,
  overdue_after: 60_000,
};

/** Stands in for the rest of the service: it gives what a test puts into it, and keeps what it was called with. */
interface StandIn extends ApiDependencies {
  readonly reports: { report: Report; idempotency: Idempotency | undefined }[];
  readonly commands: { command: CommandName; target: Command; expectedVersion: number | undefined }[];
  readonly queries: ListQuery[];
  readonly lines: LogLine[];
}

export const incident = (id: string, version = 1): IncidentDocument => ({
  id,
  version,
  state: 'open',
  json: `{"id":"${id}","version":${version}}`,
});

const SILENCE: ShownSilence = {
  id: 'SIL-20261122-000000000001',
  class: [],
  source: ['tool-firewall'],
  severity: [],
  from: '2026-11-22T07:12:00.123Z',
  until: '2026-11-22T09:12:00.123Z',
  reason: 'a test',
  added_at: '2026-11-22T07:12:00.123Z',
  state: 'active',
  expires_soon: false,
  matches: 0,
};

export const KNOWN = incident('INC-20261122-000000000001', 3);

export const standIn = (dependencies: Partial<ApiDependencies> = {}): StandIn => {
  const reports: StandIn['reports'] = [];
  const commands: StandIn['commands'] = [];
  const queries: ListQuery[] = [];
  const lines: LogLine[] = [];
  const write = (level: LogLine['level']) => (fields: object, message: string) => {
    lines.push({ ...fields, level, message });
  };
  let ticks = 0;
  const statistics = { total_incidents: 2 } as StatisticsReading;
  return {
    reports,
    commands,
    queries,
    lines,
    recorder: {
      report: async (report, idempotency) => {
        reports.push({ report, idempotency });
        return { incident: incident('INC-20261122-000000000002'), change: 'created' };
      },
      reportAll: async (batched) =>
        batched.map(({ report, idempotency }) => {
          reports.push({ report, idempotency });
          return { incident: incident('INC-20261122-000000000002'), change: 'created' };
        }),
      import: async (claimed) => ({ imported: claimed.length, skipped: 0 }),
      perform: async (command, target, expectedVersion) => {
        commands.push({ command, target, expectedVersion });
        if (target.id !== KNOWN.id) throw new RecorderError('not_found', 'incident not found');
        return { incident: KNOWN, change: 'moved' };
      },
      release: async ({ id }) => {
        if (id !== KNOWN.id) throw new RecorderError('not_found', 'incident not found');
        return { incident: KNOWN, change: 'moved' };
      },
    },
    preview: {
      of: (_ids, command) => Promise.resolve({ command, actions: [], incidents: [], unknown: [] }),
      released: (action) => ({ action, releases: true, others: 0 }),
    },
    acts: {
      note: async () => KNOWN,
      assign: async () => KNOWN,
      snooze: async () => KNOWN,
      reopen: async () => ({ incident: KNOWN, isNew: true }),
    },
    incidents: {
      get: (id) => (id === KNOWN.id ? KNOWN : undefined),
      list: (query) => {
        queries.push(query);
        const documents = [KNOWN, incident('INC-20261122-000000000002')].map(({ json }) => Buffer.from(json));
        return { documents };
      },
      groups: async ({ filter }) => {
        queries.push(filter);
        return { groups: [], incidents: 0, total: 0, isComplete: true, head: 0 };
      },
      beginning: () => ({ rank: 0, seq: 1, head: 0 }),
      walk: () => [],
      wouldDo: () => ({ kind: 'moved' }),
      actionsOf: () => [],
      similar: (id) =>
        id === KNOWN.id ? [{ json: KNOWN.json, same: [{ path: 'ip', value: '203.0.113.7' }] }] : undefined,
      transitions: (id) =>
        id === KNOWN.id
          ? { state: 'open', transitions: [{ event: 'resolve', allowed: true, target: 'resolved' }] }
          : undefined,
      history: async (id, after) => {
        if (id !== KNOWN.id) return undefined;
        const all = ['{"event":"incident.reported"}', '{"event":"incident.resolved"}', '{"event":"alert.raised"}'];
        const bytes = all.map((line) => Buffer.from(line));
        return after === 0 ? { lines: bytes.slice(0, 2), next: 2 } : { lines: bytes.slice(2) };
      },
    },
    changes: { read: async () => ({ after: 0, through: 0, changes: [], others: [], complete: true }) },
    recoveries: {
      acknowledge: async () => {},
      waive: async () => {},
      reattest: async () => {
        throw new RecorderError('attestor_unavailable', 'there is no attestor');
      },
      pending: () => ({ count: 0, pending: [] }),
      of: () => {
        throw new RecorderError('not_found', 'incident not found');
      },
    },
    console: { get: async () => undefined },
    webhooks: { skipped: () => [], retry: async ({ webhook, seq }) => ({ webhook, seq }) },
    acknowledgeDamage: async (finding) => ({ acknowledged: [finding] }),
    drills: { start: async () => KNOWN },
    silences: { list: async () => [], add: async () => SILENCE, end: async () => SILENCE },
    guards: {
      heartbeat: async (source) => ({ source, every_seconds: 300, status: 'heard', heard_at: null }),
    },
    bundles: {
      versionsOf: () => [],
      prepare: async () => Promise.reject(new RecorderError('not_found', 'incident not found')),
    },
    forensic: {
      requireKey: () => {},
      prepare: async () => Promise.reject(new RecorderError('overloaded', 'FORENSIC_HMAC_KEY_PATH is not set')),
    },
    archive: async () => ({ archived: [], staying: [], carried: 0 }),
    posture: {
      read: (action) => ({
        action,
        engaged: false,
        since: null,
        asked: null,
        carried_out: null,
        not_known: null,
        holders: 0,
        held_by: [],
        via: 'poll',
        heard_at: null,
        delivery: null,
      }),
      versionOf: (actions) => actions.join('-'),
      change: async () => {},
      waiting: 0,
      unverified: () => [],
    },
    receipts: {
      confirm: async () => ({ confirmed: 1, lost: 0, remaining: 0 }),
      retry: async () => ({ retried: 1, remaining: 0 }),
    },
    events: { open: async () => {} },
    fleetCommands: {
      alone: (_, work) => work(),
      given: () => undefined,
      mayBeForgotten: () => false,
      answered: async () => {},
    },
    logId: () => undefined,
    anchors: { record: async () => ({ recorded: false, why: 'a test' }) },
    logStreams: {
      open: async (response) => void response.end(),
      headers: () => ({}),
      from: () => Promise.reject(new Error('no log')),
    },
    statistics: { read: () => statistics },
    attention: { count: () => 1 },
    policy: { current: BUILT_IN },
    comparison: { read: async () => ({}) as ComparisonReading },
    activity: { read: (now, hours) => ({ from: new Date(now).toISOString(), hours }) as ActivityReading },
    health: () => ({ status: 'ok', open_incidents: 1 }),
    openApi: import.meta.filename,
    reasons: () => [],
    metrics: { render: async (format) => `# as ${format}\n`, requests: { count: () => {}, countBatched: () => {} } },
    access: {
      principalOf: (presented) => (presented === TOKEN ? EVERY_ROLE : undefined),
      proofKey: (id) => (id === proofKeyIdOf(PROOF_KEY) ? PROOF_KEY : undefined),
    },
    reload: async () => ({ policy: 'new' }),
    log: { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') },
    logRequest: (fields) => write('info')(fields, 'request'),
    clock: { now: () => 0, monotonic: () => ticks++ },
    readAccess: 'open',
    readEvidence: 'open',
    maxBodyBytes: 256 * 1024,
    allowNonLoopback: false,
    overUnixSocket: false,
    ...dependencies,
  };
};
