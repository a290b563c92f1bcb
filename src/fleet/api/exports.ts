/** Evidence bundles and forensic exports of one machine, signed by the fleet. */
import type { Context } from 'koa';
import { sql } from 'kysely';
import * as z from 'zod/mini';
import { idsOfBundle } from '../../api/bundle/requests.ts';
import { respondExport, respondExportHead } from '../../api/forensic/respond-export.ts';
import type { Admission } from '../../api/middleware/admission.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { callerOf } from '../../api/request/caller.ts';
import { ID_REQUIRED, once } from '../../api/request/fields.ts';
import { validate } from '../../api/request/validate.ts';
import { turnsOf } from '../../api/server/peer.ts';
import { RecorderError } from '../../errors.ts';
import type { FleetDatabase } from '../database.ts';
import { type ExportedIncidents, FleetBundles } from '../export/fleet-bundles.ts';
import { FleetForensic } from '../export/fleet-forensic.ts';
import { actorIn } from './acting.ts';
import type { FleetDependencies } from './dependencies.ts';
import { anyText, hasAnyId } from './list-filter.ts';
import { parameters } from './one-incident.ts';
import { oneMachine } from './one-machine.ts';
import { boundsOf, type Scope, scopeOf } from './scope.ts';

/** A history by its name, or by the identity of the log. */
const HISTORY = /^[0-9a-f]{12,64}(?:~\d{1,4})?$/;
const isHistory = (text: string): boolean => HISTORY.test(text);
const ofHistory = () =>
  once('log', isHistory, 'log must be the identity of a log, or the name of one of its histories');

const forensicSchema = z.strictObject({ log: ofHistory() });
const bundleSchema = z.strictObject({ id: idsOfBundle(), log: ofHistory() });

export const exportRoutes = (
  dependencies: FleetDependencies,
  { authenticated }: Pick<Admission, 'authenticated'>,
): readonly ApiRoute[] => {
  const { db, log } = dependencies;
  const bundles = new FleetBundles(dependencies);
  const forensic = new FleetForensic(dependencies);
  return [
    {
      method: 'GET',
      path: '/api/v1/incidents/bundle',
      before: authenticated('auditor'),
      handle: async (ctx) => {
        const scope = await scopeIn(dependencies, ctx);
        const { id: ids, log: named } = validate(bundleSchema, parameters(scope), 'parameter', ID_REQUIRED);
        const incidents = await exportedIncidents(db, scope, ids, named?.[0]);
        if (ctx.method === 'HEAD') {
          respondExportHead(ctx);
          return;
        }
        const caller = callerOf(ctx);
        await using prepared = await bundles.prepare(incidents, caller, turnsOf(ctx.req));
        await respondExport(ctx, log, prepared, {
          name: 'an evidence bundle',
          caller,
          fields: { machine: incidents.machine, manifest: prepared.hash },
        });
      },
    },
    {
      method: 'GET',
      path: '/api/v1/forensic/export',
      before: authenticated('auditor'),
      handle: async (ctx) => {
        const scope = await scopeIn(dependencies, ctx);
        const { log: named } = validate(forensicSchema, parameters(scope), 'parameter');
        const { machine, log: current } = await oneMachine(db, scope);
        const history = named?.[0] === undefined ? current : await historyNamed(db, machine, named[0]);
        if (ctx.method === 'HEAD') {
          respondExportHead(ctx);
          return;
        }
        const caller = callerOf(ctx);
        await using prepared = await forensic.prepare(machine, history, caller, turnsOf(ctx.req));
        await respondExport(ctx, log, prepared, {
          name: 'a forensic export',
          caller,
          fields: { machine, bundle_hash: prepared.hash },
        });
      },
    },
  ];
};

/** The name of a history of a machine, by itself or by the identity of the log. @throws RecorderError `not_found` */
async function historyNamed(db: FleetDatabase, machine: string, named: string): Promise<string> {
  const { rows } = await sql<{ log: string }>`
    SELECT log FROM logs WHERE machine = ${machine} AND (log = ${named} OR identity = ${named})
    ORDER BY log = ${named} DESC, active DESC, ordinal DESC LIMIT 1`.execute(db);
  if (rows[0] === undefined) throw new RecorderError('not_found', 'the machine has no such log here');
  return rows[0].log;
}

/** The machines of a request, out of those that its principal may see. */
const scopeIn = ({ db }: Pick<FleetDependencies, 'db'>, ctx: Context): Promise<Scope> =>
  scopeOf(db, ctx.querystring, boundsOf(actorIn(ctx)));

interface Row {
  readonly id: string;
  readonly machine: string;
  readonly log: string;
  readonly version: number;
}

/**
 * The incidents of a request: of one machine, and of one history of its log.
 * @param named the history; without it, each is the one that lists show
 * @throws RecorderError `not_found`, which names the incident; `invalid_request` where it is not clear which one is meant
 */
async function exportedIncidents(
  db: FleetDatabase,
  { machines }: Pick<Scope, 'machines'>,
  ids: readonly string[],
  named: string | undefined,
): Promise<ExportedIncidents> {
  const inHistory = named === undefined ? sql`i.current` : sql`(l.log = ${named} OR l.identity = ${named})`;
  const { rows } = await sql<Row>`
    SELECT DISTINCT ON (i.id, i.machine) i.id, i.machine, i.log, i.version
    FROM incidents i JOIN logs l ON l.machine = i.machine AND l.log = i.log
    WHERE ${hasAnyId(ids)} AND ${inHistory}
      ${machines === undefined ? sql`` : sql`AND i.machine = ${anyText(machines)}`}
    ORDER BY i.id, i.machine, l.log = ${named ?? ''} DESC, l.active DESC, l.ordinal DESC`.execute(db);
  const found = ids.map((id) => oneOf(id, rows));
  const [first] = found as [Row];
  const other = found.find(({ machine, log }) => machine !== first.machine || log !== first.log);
  if (other === undefined)
    return { machine: first.machine, log: first.log, ids, versions: found.map(({ version }) => version) };
  const [one, two] = [first, other].map(({ id, machine, log }) => `${id} is of ${machine}, history ${log}`);
  throw new RecorderError(
    'invalid_request',
    `a bundle holds incidents of one machine and one history of its log: ${one}; ${two}`,
  );
}

function oneOf(id: string, rows: readonly Row[]): Row {
  const [one, ...others] = rows.filter((row) => row.id === id);
  if (one === undefined) throw new RecorderError('not_found', `incident ${id} is not on record`);
  if (others.length === 0) return one;
  const machines = [one, ...others].map(({ machine }) => machine).slice(0, 10);
  const message = `machine parameter required: ${machines.join(', ')} have an incident ${id}`;
  throw new RecorderError('invalid_request', message, { fields: { machines } });
}
