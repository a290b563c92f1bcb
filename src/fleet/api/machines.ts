/** The machines of the fleet: when they were heard, how far behind they are, what they run, and what is the matter. */
import { sql } from 'kysely';
import * as z from 'zod/mini';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { nothingSchema } from '../../api/request/fields.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import { RecorderError } from '../../errors.ts';
import { type FleetAlarms, MOST_SKEW } from '../alarms.ts';
import type { FleetDatabase } from '../database.ts';
import { policyChanges, unifiedDiff } from '../policy-diff.ts';
import type { FleetDependencies } from './dependencies.ts';
import { parseQuery } from '../../api/request/query.ts';
import { countsOfAll } from '../read-models/left-counts.ts';
import { anyText } from './list-filter.ts';
import { flag, flagIn, paged, pageOf, paging, timeOrNull } from './paging.ts';
import { type Reading, readingIn } from './reading.ts';
import { scopeOf } from './scope.ts';

const machinesSchema = z.strictObject({ ...paging(), silent: flag('silent'), differs: flag('differs') });

export const machineListRoutes = (dependencies: FleetDependencies, alarms: FleetAlarms): readonly ApiRoute[] => {
  const { db } = dependencies;
  return [
    {
      method: 'GET',
      path: '/api/v1/machines',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx);
        const given = validate(machinesSchema, parseQuery(reading.query), 'parameter');
        await alarms.look();
        const page = pageOf(given, 1);
        const usual = await usualPolicy(db, reading);
        const rows = await readMachines(dependencies, reading.machines, {
          after: page.after?.[0],
          limit: page.limit + 1,
          usual: usual?.digest,
          silent: flagIn(given.silent),
          differs: flagIn(given.differs),
        });
        const machines = paged(ctx, page, rows, ({ machine }) => [machine]);
        respondJson(ctx, 200, JSON.stringify(await shownMachines(dependencies, machines, usual)));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/machines/:machine',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx);
        validate(nothingSchema, parseQuery(reading.query), 'parameter');
        await alarms.look();
        const row = await oneOf(dependencies, reading, String(ctx.params.machine));
        const [shown] = await shownMachines(dependencies, [row], await usualPolicy(db, reading));
        const logs = await logsOf(db, row.machine);
        respondJson(ctx, 200, JSON.stringify({ ...shown, health: wholeOf(row.health), logs }));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/machines/:machine/policy',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx);
        validate(nothingSchema, parseQuery(reading.query), 'parameter');
        const { machine } = await oneOf(dependencies, reading, String(ctx.params.machine));
        respondJson(ctx, 200, JSON.stringify(await policyOf(db, machine, reading, await usualPolicy(db, reading))));
      },
    },
  ];
};

/** The policy that most machines have. */
interface UsualPolicy {
  readonly digest: string;
  readonly machines: number;
}

/** The policy of most machines that the reader may see; of several, the one with the lowest digest. */
async function usualPolicy(db: FleetDatabase, { bounds }: Pick<Reading, 'bounds'>): Promise<UsualPolicy | undefined> {
  const { machines } = await scopeOf(db, '', bounds);
  const { rows } = await sql<{ digest: string; machines: number }>`
    SELECT policy_digest AS digest, count(*) AS machines FROM machines
    WHERE revoked_at IS NULL AND policy_digest IS NOT NULL
      ${machines === undefined ? sql`` : sql`AND machine = ${anyText(machines)}`}
    GROUP BY policy_digest ORDER BY count(*) DESC, policy_digest LIMIT 1`.execute(db);
  return rows[0];
}

interface MachineRow {
  readonly machine: string;
  readonly name: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly enrolled_at: Date | null;
  readonly revoked_at: Date | null;
  readonly heard_at: Date | null;
  readonly silent: boolean;
  readonly version: string | null;
  readonly identity: string | null;
  readonly entries: number | null;
  readonly through: number | null;
  readonly unverified: boolean;
  readonly clock_skew_ms: number | null;
  readonly policy_digest: string | null;
  readonly policy_source: string | null;
  readonly health: Readonly<Record<string, unknown>> | null;
  readonly recorded_seq: number | null;
  readonly recorded_at: Date | null;
  readonly anchor_age: number | null;
  readonly log: string | null;
  readonly diverged_from: string | null;
  readonly diverged_at_seq: number | null;
}

interface MachinesQuery {
  readonly after?: string | undefined;
  readonly limit: number;
  readonly usual?: string | undefined;
  readonly silent?: boolean | undefined;
  readonly differs?: boolean | undefined;
  /** A machine, by its own name or the one that it is shown with. */
  readonly named?: string;
}

async function readMachines(
  { db, silentAfter }: Pick<FleetDependencies, 'db' | 'silentAfter'>,
  machines: readonly string[] | undefined,
  {
    after,
    limit,
    usual = null,
    silent,
    differs,
    named,
  }: Omit<MachinesQuery, 'usual'> & { usual?: string | null | undefined },
): Promise<readonly MachineRow[]> {
  const isSilent = sql`(m.revoked_at IS NULL AND coalesce(m.heard_at, m.enrolled_at)
    < clock_timestamp() - ${silentAfter}::float8 * interval '1 millisecond')`;
  const isDifferent = sql`(m.policy_digest IS NOT NULL AND m.policy_digest <> ${usual}::text)`;
  const { rows } = await sql<MachineRow>`
    SELECT m.machine, m.name, m.labels, m.enrolled_at, m.revoked_at, m.heard_at, coalesce(${isSilent}, false) AS silent,
      m.version, l.identity, greatest(l.entries, CASE WHEN m.log = l.identity OR l.identity IS NULL THEN m.entries END)
        AS entries,
      l.through, coalesce(l.unverified_from, l.key_lost_from) IS NOT NULL AS unverified, m.clock_skew_ms,
      m.policy_digest, m.policy_source, m.health, l.recorded_seq, l.recorded_at,
      extract(epoch FROM clock_timestamp() - l.recorded_at)::float8 AS anchor_age, l.log, l.diverged_from,
      l.diverged_at_seq
    FROM machines m LEFT JOIN logs l ON l.machine = m.machine AND l.active
    WHERE m.machine > ${after ?? ''}
      ${machines === undefined ? sql`` : sql`AND m.machine = ${anyText(machines)}`}
      ${named === undefined ? sql`` : sql`AND (m.machine = ${named} OR m.name = ${named})`}
      ${silent === undefined ? sql`` : sql`AND coalesce(${isSilent}, false) = ${silent}::boolean`}
      ${differs === undefined ? sql`` : sql`AND coalesce(${isDifferent}, false) = ${differs}::boolean`}
    ORDER BY m.machine LIMIT ${limit}::bigint`.execute(db);
  return rows;
}

/** @throws RecorderError `not_found`, also for a machine that the reader may not see */
async function oneOf(
  dependencies: Pick<FleetDependencies, 'db' | 'silentAfter'>,
  { machines }: Pick<Reading, 'machines'>,
  named: string,
): Promise<MachineRow> {
  const [row] = await readMachines(dependencies, machines, { limit: 1, named });
  if (row === undefined) throw new RecorderError('not_found', 'machine not found');
  return row;
}

interface OfMachine {
  readonly machine: string;
}

/** Machines as they are shown, with what other tables say of them. */
async function shownMachines(
  { db }: Pick<FleetDependencies, 'db'>,
  rows: readonly MachineRow[],
  usual: UsualPolicy | undefined,
): Promise<readonly object[]> {
  if (rows.length === 0) return [];
  const names = rows.map(({ machine }) => machine);
  const machines = anyText(names);
  const postures = await sql<
    OfMachine & { action: string; since: Date | null; holders: number; unconfirmed: number; overdue: number }
  >`
    SELECT p.machine, p.action, p.since, p.holders, p.unconfirmed, p.overdue
    FROM posture p JOIN logs l ON l.machine = p.machine AND l.log = p.log AND l.active
    WHERE p.machine = ${machines} AND (p.holders > 0 OR p.unconfirmed > 0) ORDER BY p.machine, p.action`.execute(db);
  const unresolved = await sql<OfMachine & { count: number }>`
    SELECT s.machine, sum(s.count)::bigint AS count FROM ${countsOfAll(sql`s.machine = ${machines}
      AND s.kind = 'population' AND s.name LIKE '% 0' AND s.name NOT LIKE '% resolved %'`)}
    GROUP BY s.machine`.execute(db);
  const attention = await sql<OfMachine & { count: number }>`
    SELECT i.machine, count(*) AS count FROM incidents i
    WHERE i.current AND i.attention AND i.machine = ${machines} GROUP BY i.machine`.execute(db);
  const pending = await sql<OfMachine & { count: number }>`
    SELECT c.machine, count(*) AS count FROM commands c
    WHERE c.machine = ${machines} AND c.state IN ('pending', 'fetched') AND c.expires_at > clock_timestamp()
    GROUP BY c.machine`.execute(db);
  const alarms = await sql<OfMachine & { id: string; kind: string; opened_at: Date; acknowledged_at: Date | null }>`
    SELECT f.machine, f.id, f.kind, f.opened_at, f.acknowledged_at FROM fleet_incidents f
    WHERE f.machine = ${machines} AND f.closed_at IS NULL ORDER BY f.machine, f.opened_at, f.id`.execute(db);
  const of = <Row extends OfMachine>(found: { readonly rows: readonly Row[] }) => {
    const groups = Map.groupBy(found.rows, ({ machine }) => machine);
    return (machine: string): readonly Row[] => groups.get(machine) ?? [];
  };
  const [posturesOf, unresolvedOf, attentionOf, pendingOf, alarmsOf] = [
    of(postures),
    of(unresolved),
    of(attention),
    of(pending),
    of(alarms),
  ];
  return rows.map((row) => {
    const { machine } = row;
    const held = row.through ?? 0;
    const entries = row.entries ?? held;
    return {
      machine,
      name: row.name ?? machine,
      labels: row.labels,
      enrolled_at: timeOrNull(row.enrolled_at),
      revoked_at: timeOrNull(row.revoked_at),
      heard_at: timeOrNull(row.heard_at),
      silent: row.silent,
      silent_since: row.silent ? timeOrNull(row.heard_at ?? row.enrolled_at) : null,
      version: row.version,
      log: row.identity,
      entries,
      held,
      behind: Math.max(0, entries - held),
      hashes: row.identity === null || row.unverified ? 'unverified' : 'verified',
      clock_skew_ms: row.clock_skew_ms,
      clock_skewed: Math.abs(row.clock_skew_ms ?? 0) > MOST_SKEW,
      policy: {
        digest: row.policy_digest,
        source: row.policy_source,
        differs: row.policy_digest !== null && usual !== undefined && row.policy_digest !== usual.digest,
        usual: usual?.digest ?? null,
      },
      anchored:
        row.recorded_seq === null
          ? null
          : {
              seq: row.recorded_seq,
              at: timeOrNull(row.recorded_at),
              age_seconds: Math.max(0, Math.floor(row.anchor_age ?? 0)),
            },
      diverged:
        row.diverged_from === null ? null : { log: row.log, from_log: row.diverged_from, at_seq: row.diverged_at_seq },
      health: row.health === null ? null : summaryOf(row.health),
      posture: posturesOf(machine).map(({ action, since, holders, unconfirmed, overdue }) => ({
        action,
        in_force: holders > 0,
        since: timeOrNull(since),
        holders,
        unconfirmed,
        overdue,
      })),
      incidents: {
        unresolved: unresolvedOf(machine)[0]?.count ?? 0,
        attention: attentionOf(machine)[0]?.count ?? 0,
      },
      commands: { pending: pendingOf(machine)[0]?.count ?? 0 },
      alarms: alarmsOf(machine).map(({ id, kind, opened_at, acknowledged_at }) => ({
        id,
        kind,
        opened_at: timeOrNull(opened_at),
        acknowledged_at: timeOrNull(acknowledged_at),
      })),
    };
  });
}

/** How many reasons and warnings of a machine a list shows, and how much of each; a machine may send anything. */
const MOST_REASONS = 16;
const LONGEST_REASON = 512;
const LONGEST_STATUS = 32;

const summaryOf = ({ status, reasons, warnings }: Readonly<Record<string, unknown>>): object => ({
  status: typeof status === 'string' ? status.slice(0, LONGEST_STATUS) : null,
  reasons: textsIn(reasons),
  warnings: textsIn(warnings),
});

/** All of it, with lists where readers expect them. */
const wholeOf = (health: MachineRow['health']): object | null =>
  health && {
    ...health,
    ...summaryOf(health),
    reasons: textsIn(health.reasons, Infinity, Infinity),
    warnings: textsIn(health.warnings, Infinity, Infinity),
  };

const textsIn = (given: unknown, most = MOST_REASONS, longest = LONGEST_REASON): readonly string[] =>
  Array.isArray(given)
    ? given
        .filter((one): one is string => typeof one === 'string')
        .slice(0, most)
        .map((one) => one.slice(0, longest).toWellFormed())
    : [];

async function logsOf(db: FleetDatabase, machine: string): Promise<readonly object[]> {
  const rows = await db
    .selectFrom('logs')
    .select([
      'log',
      'identity',
      'active',
      'first_seq',
      'through',
      'first_at',
      'last_at',
      'diverged_from',
      'diverged_at_seq',
    ])
    .where('machine', '=', machine)
    .orderBy('ordinal', 'desc')
    .execute();
  return rows.map((row) => ({ ...row, first_at: timeOrNull(row.first_at), last_at: timeOrNull(row.last_at) }));
}

/** A machine's policy, and how it differs from the usual one. */
/** How many machines are asked for the text of a policy. */
const MOST_ASKED = 100;

/** The text that most machines with a policy say it has: one of them may say anything. */
async function textOf(
  db: FleetDatabase,
  digest: string,
  machines: readonly string[] | undefined,
): Promise<string | undefined> {
  const { rows } = await sql<{ text: string }>`
    SELECT a.policy_text AS text FROM (
      SELECT machine, policy_text FROM machines
      WHERE policy_digest = ${digest} AND policy_text IS NOT NULL AND revoked_at IS NULL
        ${machines === undefined ? sql`` : sql`AND machine = ${anyText(machines)}`}
      ORDER BY machine LIMIT ${sql.lit(MOST_ASKED)}) AS a
    GROUP BY a.policy_text ORDER BY count(*) DESC, min(a.machine) LIMIT 1`.execute(db);
  return rows[0]?.text;
}

async function policyOf(
  db: FleetDatabase,
  machine: string,
  { bounds }: Pick<Reading, 'bounds'>,
  usual: UsualPolicy | undefined,
): Promise<object> {
  // Nothing of the text that a machine elsewhere says it has.
  const { machines } = await scopeOf(db, '', bounds);
  const own = await db
    .selectFrom('machines')
    .select(['policy_digest', 'policy_source', 'policy_text'])
    .where('machine', '=', machine)
    .executeTakeFirstOrThrow();
  const differs = own.policy_digest !== null && usual !== undefined && own.policy_digest !== usual.digest;
  const other = differs ? await textOf(db, usual.digest, machines) : undefined;
  const texts = own.policy_text === null || other === undefined ? undefined : ([other, own.policy_text] as const);
  return {
    machine,
    digest: own.policy_digest,
    source: own.policy_source,
    text: own.policy_text,
    usual: usual ?? null,
    differs,
    // Null while one of the texts is not here, or can't be read.
    changes: differs ? ((texts && policyChanges(...texts)) ?? null) : [],
    diff: differs ? ((texts && unifiedDiff(...texts)) ?? null) : '',
  };
}
