/** What a command would release on the machines of its incidents: the recorder's own preview, of what the fleet has of them. */
import { sql } from 'kysely';
import type { IncidentContext } from '../../../machines/incident.ts';
import { ACTIONS, type ContainmentAction, type State } from '../../../machines/vocabulary.ts';
import { PREVIEW_REQUIRED, previewSchema } from '../../api/containment/requests.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { parseQuery } from '../../api/request/query.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import {
  type ActionPreview,
  type IncidentPreview,
  ReleasePreview,
  type ReleasePreviewDependencies,
  type Releasing,
} from '../../containment/release-preview.ts';
import type { UncertainMachine } from '../../domain/bulk-command.ts';
import { RecorderError } from '../../errors.ts';
import type { FleetDatabase } from '../database.ts';
import type { FleetDependencies } from './dependencies.ts';
import { contextsOf } from './documents.ts';
import { anyText } from './list-filter.ts';
import { readingIn } from './reading.ts';

type OnMachine<What> = What & { readonly machine: string };

/** As the recorder's, with a machine in each: who holds an action is counted on each machine by itself. */
export interface FleetPreview {
  readonly command: Releasing;
  readonly actions: readonly OnMachine<ActionPreview>[];
  readonly incidents: readonly OnMachine<IncidentPreview>[];
  readonly unknown: readonly string[];
  /** The machines whose incidents may be others by now; not there when there is none. */
  readonly uncertain?: readonly UncertainMachine[];
}

interface Row {
  readonly machine: string;
  readonly log: string;
  readonly id: string;
  readonly state: State;
  readonly drill: number;
}

type Current = ReturnType<ReleasePreviewDependencies['current']>;

export const releasePreviewRoutes = (dependencies: FleetDependencies): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/containment/preview',
    handle: async (ctx) => {
      const reading = await readingIn(dependencies, ctx, ['implementer', 'operator', 'recovery']);
      const asked = validate(previewSchema, parseQuery(reading.query), 'parameter', PREVIEW_REQUIRED);
      const { id: ids, command: commands, action: about = [] } = asked;
      const [command = 'resolve'] = commands;
      const [action] = about;
      if ((command === 'release') !== (action !== undefined)) {
        throw new RecorderError('invalid_request', 'action is required with command=release, and with no other');
      }
      const shown = await previewOf(dependencies, reading.machines, ids, command, action);
      if (shown.incidents.length === 0) throw new RecorderError('not_found', 'incident not found');
      respondJson(ctx, 200, JSON.stringify(shown));
    },
  },
];

/**
 * What a command would do to the actions that incidents hold, machine by machine.
 * @param machines those that count; undefined for all
 * @throws RecorderError `invalid_request` when several machines have an incident with one of the names
 */
async function previewOf(
  dependencies: Pick<FleetDependencies, 'db' | 'silentAfter'>,
  machines: readonly string[] | undefined,
  ids: readonly string[],
  command: Releasing,
  action?: ContainmentAction,
): Promise<FleetPreview> {
  const { db } = dependencies;
  const { rows } = await sql<Row>`
    SELECT machine, log, id, state, drill FROM incidents
    WHERE id = ${anyText(ids)} AND current ${machines === undefined ? sql`` : sql`AND machine = ${anyText(machines)}`}
    ORDER BY machine, number`.execute(db);
  const twice = rows.find(({ id, machine }) => rows.some((one) => one.id === id && one.machine !== machine));
  if (twice !== undefined) {
    const names = rows.filter(({ id }) => id === twice.id).map(({ machine }) => machine);
    const message = `machine parameter required: ${names.join(', ')} have an incident ${twice.id}`;
    throw new RecorderError('invalid_request', message, { fields: { machines: names } });
  }
  const known = new Set(rows.map(({ id }) => id));
  const unknown = [...new Set(ids)].filter((id) => !known.has(id));
  const { actions, incidents } = await previewOfRows(db, rows, command, action);
  const uncertain = await uncertainAmong(
    dependencies,
    rows.map(({ machine }) => machine),
  );
  return { command, actions, incidents, unknown, ...(uncertain.length > 0 && { uncertain }) };
}

/** Those of some machines that are silent, or of whose log entries are not here: nobody knows how they are now. */
export async function uncertainAmong(
  { db, silentAfter }: Pick<FleetDependencies, 'db' | 'silentAfter'>,
  machines: readonly string[],
): Promise<readonly UncertainMachine[]> {
  if (machines.length === 0) return [];
  const { rows } = await sql<Omit<UncertainMachine, 'heard_at'> & { readonly heard_at: Date | null }>`
    SELECT * FROM (
      SELECT m.machine, m.heard_at, m.revoked_at IS NOT NULL OR coalesce(coalesce(m.heard_at, m.enrolled_at)
          < clock_timestamp() - ${silentAfter}::float8 * interval '1 millisecond', true) AS silent,
        greatest(0, l.entries - l.through, CASE WHEN m.log = l.identity THEN m.entries - l.through END) AS behind
      FROM machines m LEFT JOIN logs l ON l.machine = m.machine AND l.active
      WHERE m.machine = ${anyText([...new Set(machines)])}
    ) AS m WHERE m.silent OR m.behind > 0 ORDER BY m.machine`.execute(db);
  return rows.map(({ machine, heard_at, silent, behind }) => ({
    machine,
    silent,
    heard_at: heard_at?.toISOString() ?? null,
    behind,
  }));
}

/** The same for incidents that may have the same names on several machines. */
export async function previewOfKeys(
  db: FleetDatabase,
  keys: readonly { readonly machine: string; readonly id: string }[],
  command: Releasing,
  action?: ContainmentAction,
): Promise<FleetPreview> {
  if (keys.length === 0) return { command, actions: [], incidents: [], unknown: [] };
  const { rows } = await sql<Row>`
    SELECT i.machine, i.log, i.id, i.state, i.drill
    FROM unnest(${keys.map(({ machine }) => machine)}::text[], ${keys.map(({ id }) => id)}::text[]) AS k (machine, id)
      JOIN incidents i ON i.machine = k.machine AND i.id = k.id AND i.current
    ORDER BY i.machine, i.number`.execute(db);
  const { actions, incidents } = await previewOfRows(db, rows, command, action);
  return { command, actions, incidents, unknown: [] };
}

async function previewOfRows(
  db: FleetDatabase,
  rows: readonly Row[],
  command: Releasing,
  action: ContainmentAction | undefined,
): Promise<Pick<FleetPreview, 'actions' | 'incidents'>> {
  const contexts = new Map(
    (await contextsOf(db, rows)).map(({ machine, id, context }) => [`${machine} ${id}`, context]),
  );
  const contextOf = ({ machine, id }: Row): string | undefined => contexts.get(`${machine} ${id}`);
  const holders = await holdersOn(db, [...new Set(rows.map(({ machine }) => machine))]);
  const actions: OnMachine<ActionPreview>[] = [];
  const incidents: OnMachine<IncidentPreview>[] = [];
  for (const [machine, own] of Map.groupBy(rows, (row) => row.machine)) {
    const current = currentOf(own, contextOf, (name) => holders.get(`${machine} ${name}`) ?? 0);
    const ids = own.map(({ id }) => id);
    const shown = await new ReleasePreview({ current: () => current }).of(ids, command, action, async () => {});
    actions.push(...shown.actions.map((one) => ({ machine, ...one })));
    incidents.push(...shown.incidents.map((one) => ({ machine, ...one })));
  }
  return { actions, incidents };
}

/** How many unresolved incidents hold each action, by machine and action. */
async function holdersOn(db: FleetDatabase, machines: readonly string[]): Promise<ReadonlyMap<string, number>> {
  if (machines.length === 0) return new Map();
  const { rows } = await sql<{ machine: string; action: string; holders: number }>`
    SELECT p.machine, p.action, p.holders FROM posture p
      JOIN logs l ON l.machine = p.machine AND l.log = p.log AND l.active
    WHERE p.machine = ${anyText(machines)} AND p.holders > 0`.execute(db);
  return new Map(rows.map(({ machine, action, holders }) => [`${machine} ${action}`, holders]));
}

/** What ReleasePreview asks of the recorder's projections, of rows that are here. */
function currentOf(
  rows: readonly Row[],
  contextOf: (row: Row) => string | undefined,
  holders: (action: ContainmentAction) => number,
): Current {
  const byId = new Map(rows.map((row) => [row.id, row]));
  const current = {
    situation: (id: string) => {
      const row = byId.get(id);
      const context = row && contextOf(row);
      if (row === undefined || context === undefined) return undefined;
      return { value: row.state, context: JSON.parse(context) as IncidentContext, drill: row.drill !== 0 };
    },
    posture: { of: (action: ContainmentAction) => ({ holders: holders(action) }) },
    absenceOf: () => new RecorderError('not_found', 'incident not found'),
  };
  return current as unknown as Current;
}

/** Actions in the order of their table, then by machine. */
export const inOrder = (actions: FleetPreview['actions']): FleetPreview['actions'] =>
  actions.toSorted((one, other) => ACTIONS.indexOf(one.action) - ACTIONS.indexOf(other.action));
