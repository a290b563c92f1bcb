/** What is in force on the machines of the fleet: by action. */
import type { Context } from 'koa';
import { sql } from 'kysely';
import * as z from 'zod/mini';
import { ACTIONS, type ContainmentAction } from '../../../machines/vocabulary.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import { nothingSchema } from '../../api/request/fields.ts';
import type { FleetDatabase } from '../database.ts';
import type { FleetDependencies } from './dependencies.ts';
import { parseQuery } from '../../api/request/query.ts';
import { anyText } from './list-filter.ts';
import { paged, pageOf, paging, timeOrNull } from './paging.ts';
import type { Reading } from './reading.ts';
import { readNamed } from './scope.ts';

/** Whether a request is about many machines: it names none. */
export const isFleetWide = (ctx: Context): boolean => readNamed(ctx.querystring).machines.length === 0;

const inForceSchema = z.strictObject(paging());

interface Count {
  readonly action: string;
  readonly machines: number;
  readonly since: Date | null;
  readonly holders: number;
  readonly unconfirmed_machines: number;
  readonly unconfirmed: number;
  readonly overdue_machines: number;
  readonly overdue: number;
}

const ofScope = (machines: readonly string[] | undefined) =>
  machines === undefined ? sql`` : sql`AND p.machine = ${anyText(machines)}`;

async function countsOf(db: FleetDatabase, machines: readonly string[] | undefined): Promise<readonly Count[]> {
  const { rows } = await sql<Count>`
    SELECT p.action, count(*) FILTER (WHERE p.holders > 0) AS machines, min(p.since) FILTER (WHERE p.holders > 0) AS since,
      sum(p.holders)::bigint AS holders, count(*) FILTER (WHERE p.unconfirmed > 0) AS unconfirmed_machines,
      sum(p.unconfirmed)::bigint AS unconfirmed, count(*) FILTER (WHERE p.overdue > 0) AS overdue_machines,
      sum(p.overdue)::bigint AS overdue
    FROM posture p JOIN logs l ON l.machine = p.machine AND l.log = p.log AND l.active
    WHERE (p.holders > 0 OR p.unconfirmed > 0) ${ofScope(machines)}
    GROUP BY p.action`.execute(db);
  return rows;
}

function summaryOf(action: ContainmentAction, counts: readonly Count[]): object {
  const found = counts.find((one) => one.action === action);
  const machines = found?.machines ?? 0;
  return {
    action,
    in_force: machines > 0,
    machines,
    since: timeOrNull(found?.since ?? null),
    holders: found?.holders ?? 0,
    unconfirmed: { machines: found?.unconfirmed_machines ?? 0, deliveries: found?.unconfirmed ?? 0 },
    overdue: { machines: found?.overdue_machines ?? 0, deliveries: found?.overdue ?? 0 },
  };
}

/** Answers how every action stands: on how many machines, since when, and how many are not confirmed. */
export async function respondInForce({ db }: FleetDependencies, ctx: Context, reading: Reading): Promise<void> {
  validate(nothingSchema, parseQuery(reading.query), 'parameter');
  const counts = await countsOf(db, reading.machines);
  respondJson(
    ctx,
    200,
    JSON.stringify(Object.fromEntries(ACTIONS.map((action) => [action, summaryOf(action, counts)]))),
  );
}

/** Answers how one action stands, and on which machines. */
export async function respondActionInForce(
  { db }: FleetDependencies,
  ctx: Context,
  reading: Reading,
  action: ContainmentAction,
): Promise<void> {
  const page = pageOf(validate(inForceSchema, parseQuery(reading.query), 'parameter'), 1);
  const { rows } = await sql<{
    machine: string;
    name: string | null;
    labels: object;
    since: Date | null;
    holders: number;
    unconfirmed: number;
    overdue: number;
  }>`
    SELECT p.machine, m.name, m.labels, p.since, p.holders, p.unconfirmed, p.overdue
    FROM posture p JOIN logs l ON l.machine = p.machine AND l.log = p.log AND l.active
      JOIN machines m ON m.machine = p.machine
    WHERE p.action = ${action} AND (p.holders > 0 OR p.unconfirmed > 0) AND p.machine > ${page.after?.[0] ?? ''}
      ${ofScope(reading.machines)}
    ORDER BY p.machine LIMIT ${page.limit + 1}::bigint`.execute(db);
  const by_machine = paged(ctx, page, rows, ({ machine }) => [machine]).map(({ name, since, holders, ...row }) => ({
    ...row,
    name: name ?? row.machine,
    in_force: holders > 0,
    since: timeOrNull(since),
    holders,
  }));
  const summary = summaryOf(action, await countsOf(db, reading.machines));
  respondJson(ctx, 200, JSON.stringify({ ...summary, by_machine }));
}
