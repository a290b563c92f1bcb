/** The recoveries of all machines that are not complete: as a recorder shows its own, with a machine in each. */
import { sql } from 'kysely';
import * as z from 'zod/mini';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { publicStatus } from '../../api/recovery/public-status.ts';
import { once } from '../../api/request/fields.ts';
import { parseQuery } from '../../api/request/query.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import type { Incident } from '../../domain/incident.ts';
import { RecorderError } from '../../errors.ts';
import { type RecoveryStatus, recoveryStatusOf } from '../../incidents/recovery-status.ts';
import type { FleetDatabase } from '../database.ts';
import type { FleetDependencies } from './dependencies.ts';
import { documentsOf } from './documents.ts';
import { placeTime } from './fleet-incidents.ts';
import { countsOfAll } from '../read-models/left-counts.ts';
import { anyText } from './list-filter.ts';
import { oneIncident } from './one-incident.ts';
import { paged, pageOf, paging } from './paging.ts';
import { type Reading, readingIn } from './reading.ts';

/** As many as a recorder shows at once. */
const USUAL = 500;

const recoveriesSchema = z.strictObject({
  ...paging(),
  incident_id: once('incident_id', (text) => text.trim() !== '', 'incident_id must be an incident'),
});

interface Row {
  readonly machine: string;
  readonly id: string;
  readonly log: string;
  readonly created_at: Date;
}

export const recoveryRoutes = (dependencies: FleetDependencies): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/recovery/status',
    handle: async (ctx) => {
      const { db } = dependencies;
      const reading = await readingIn(dependencies, ctx, ['recovery']);
      const asked = validate(recoveriesSchema, parseQuery(reading.query), 'parameter');
      const [id] = asked.incident_id ?? [];
      if (id !== undefined) {
        const one = await statusOfOne(db, reading, id);
        const count = one.recovery_complete ? 0 : 1;
        respondJson(ctx, 200, JSON.stringify({ count, pending_recoveries: [shownTo(reading, one)] }));
        return;
      }
      const page = pageOf({ limit: [String(USUAL)], ...asked }, 3);
      const rows = await incompleteOf(db, reading, page.after, page.limit + 1);
      const shown = paged(ctx, page, rows, (row) => [row.created_at.toISOString(), row.machine, row.id]);
      const count = await countOf(db, reading);
      const pending = (await documentsOf(db, shown)).map((row) => shownTo(reading, statusOf(row)));
      respondJson(ctx, 200, JSON.stringify({ count, pending_recoveries: pending }));
    },
  },
];

type OnMachine = { readonly machine: string } & RecoveryStatus;

const statusOf = ({ machine, document }: { readonly machine: string; readonly document: string }): OnMachine => ({
  machine,
  ...recoveryStatusOf(JSON.parse(document) as Incident),
});

/** Who may not read the words of services does not get them here. */
const shownTo = ({ reader }: Reading, status: OnMachine): object =>
  reader.words ? status : { machine: status.machine, ...publicStatus(status) };

async function statusOfOne(db: FleetDatabase, reading: Reading, id: string): Promise<OnMachine> {
  const found = await oneIncident(db, reading, id);
  const { state, recovery } = JSON.parse(found.document) as Incident;
  if (recovery !== undefined) return statusOf(found);
  throw new RecorderError('illegal_transition', 'no recovery is asked for', { fields: { state } });
}

const ofScope = ({ machines }: Pick<Reading, 'machines'>) =>
  machines === undefined ? sql`` : sql`AND i.machine = ${anyText(machines)}`;

/** The oldest first. */
async function incompleteOf(
  db: FleetDatabase,
  reading: Reading,
  after: readonly string[] | undefined,
  most: number,
): Promise<readonly Row[]> {
  const [at, machine, id] = after ?? [];
  const { rows } = await sql<Row>`
    SELECT i.machine, i.log, i.id, i.created_at FROM incidents i
    WHERE i.current AND i.recovery = 1 ${ofScope(reading)}
      ${at === undefined ? sql`` : sql`AND (i.created_at, i.machine, i.id) > (${placeTime(at)}::timestamptz, ${machine}, ${id})`}
    ORDER BY i.created_at, i.machine, i.id LIMIT ${most}::bigint`.execute(db);
  return rows;
}

/** How many there are, of which the statistics of each machine keep count. */
async function countOf(db: FleetDatabase, { machines }: Reading): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT coalesce(sum(s.count), 0)::bigint AS count
    FROM ${countsOfAll(sql`s.kind = 'recovery' AND s.name IN ('incomplete', 'attesting')
      ${machines === undefined ? sql`` : sql`AND s.machine = ${anyText(machines)}`}`)}`.execute(db);
  return rows[0]?.count ?? 0;
}
