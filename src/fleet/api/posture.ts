/** The posture of a machine, as its recorder shows it: made of what the fleet has of its deliveries. */
import { sql } from 'kysely';
import type { DeliveryStatus } from '../../../machines/delivery.ts';
import { ACTIONS, type ContainmentAction, type IncidentClass, SEVERITIES } from '../../../machines/vocabulary.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { nothingSchema } from '../../api/request/fields.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import { type ActionView, PostureReads } from '../../containment/posture-reads.ts';
import { publicDelivery } from '../../domain/withheld.ts';
import type { Incident } from '../../domain/incident.ts';
import { type ActionPosture, PostureFold, RELEASED_EARLY, type Wait, WAITS } from '../../domain/posture.ts';
import { RecorderError } from '../../errors.ts';
import type { FleetDatabase } from '../database.ts';
import type { FleetDependencies } from './dependencies.ts';
import { documentsOf } from './documents.ts';
import { MachinePolicies } from './machine-policy.ts';
import { isFleetWide, respondActionInForce, respondInForce } from './in-force.ts';
import { parameters } from './one-incident.ts';
import { type MachineLog, oneMachine } from './one-machine.ts';
import { readingIn } from './reading.ts';

/** How many of those who hold an action are looked at: of one action, and of each where all are shown. */
const [MOST_HOLDERS, MOST_OF_EACH] = [5000, 1000];

/** What PostureReads asks for. */
type Current = ReturnType<ConstructorParameters<typeof PostureReads>[0]['current']>;

export const postureRoutes = (dependencies: FleetDependencies): readonly ApiRoute[] => {
  const { db } = dependencies;
  const policies = new MachinePolicies();
  return [
    {
      method: 'GET',
      path: '/api/v1/containment',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx);
        if (isFleetWide(ctx)) return respondInForce(dependencies, ctx, reading);
        validate(nothingSchema, parameters(reading), 'parameter');
        const views = await postureOf(db, policies, await oneMachine(db, reading), ACTIONS);
        const shown = views.map((view) => [view.action, shownView(view, reading.reader.words)]);
        respondJson(ctx, 200, JSON.stringify(Object.fromEntries(shown)));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/containment/:action',
      handle: async (ctx) => {
        const action = ACTIONS.find((name) => name === ctx.params.action);
        if (action === undefined) {
          const message = `no such containment action; allowed: ${ACTIONS.join(', ')}`;
          throw new RecorderError('not_found', message, { fields: { allowed: ACTIONS } });
        }
        const reading = await readingIn(dependencies, ctx);
        if (isFleetWide(ctx)) return respondActionInForce(dependencies, ctx, reading, action);
        validate(nothingSchema, parameters(reading), 'parameter');
        const [view] = await postureOf(db, policies, await oneMachine(db, reading), [action]);
        respondJson(ctx, 200, JSON.stringify(shownView(view!, reading.reader.words)));
      },
    },
  ];
};

const shownView = (view: ActionView, words: boolean): ActionView =>
  words || view.delivery === null ? view : { ...view, delivery: publicDelivery(view.delivery) };

/** How actions stand on a machine. */
async function postureOf(
  db: FleetDatabase,
  policies: MachinePolicies,
  machine: MachineLog,
  actions: readonly ContainmentAction[],
): Promise<readonly ActionView[]> {
  const { targets } = policies.read(machine.policy_text);
  const views: ActionView[] = [];
  for (const action of actions) {
    const posture = await readPosture(db, machine, action);
    const holders = await holdersOf(db, machine, action, actions.length > 1 ? MOST_OF_EACH : MOST_HOLDERS);
    const current = await currentOf(db, machine, posture, holders);
    const reads = new PostureReads({
      current: () => current as unknown as Current,
      targets: () => targets,
      isProved: () => true,
      logId: () => machine.log,
    });
    views.push(reads.read(action));
  }
  return views;
}

async function readPosture(
  db: FleetDatabase,
  { machine, log }: MachineLog,
  action: ContainmentAction,
): Promise<ActionPosture> {
  const { rows } = await sql<{ document: string }>`
    SELECT document FROM posture WHERE machine = ${machine} AND log = ${log} AND action = ${action}`.execute(db);
  // How an action stands that was never asked for.
  return rows[0] === undefined ? new PostureFold().of(action) : (JSON.parse(rows[0].document) as ActionPosture);
}

interface Holder {
  readonly id: string;
  readonly number: number;
  readonly class: IncidentClass;
  readonly source: string;
  readonly rank: number;
  readonly created_at: Date;
  readonly status: DeliveryStatus;
  readonly wait: number;
  readonly due_at: Date | null;
  readonly asked_at: Date;
  readonly asked_seq: number;
}

async function holdersOf(
  db: FleetDatabase,
  { machine, log }: MachineLog,
  action: ContainmentAction,
  most: number,
): Promise<readonly Holder[]> {
  const { rows } = await sql<Holder>`
    SELECT i.id, i.number, i.class, i.source, i.rank, i.created_at, d.status, d.wait, d.due_at, d.asked_at, d.asked_seq
    FROM deliveries d JOIN incidents i ON i.machine = d.machine AND i.log = d.log AND i.id = d.incident
    WHERE d.machine = ${machine} AND d.log = ${log} AND d.action = ${action} AND d.directive = 'engage'
    ORDER BY i.number LIMIT ${sql.lit(most)}`.execute(db);
  return rows;
}

/** What PostureReads asks of the recorder's projections, of rows that are here. */
async function currentOf(
  db: FleetDatabase,
  { machine, log }: MachineLog,
  posture: ActionPosture,
  all: readonly Holder[],
) {
  const holding = all.filter(({ status }) => status !== RELEASED_EARLY);
  const early = all.filter(({ status }) => status === RELEASED_EARLY).toReversed();
  const withStatus = (status: DeliveryStatus): readonly Holder[] =>
    holding
      .filter((one) => one.status === status)
      .toSorted((one, other) => dueOf(one) - dueOf(other) || one.number - other.number);
  // One with each status may be shown, and those that were released early.
  const shown = [...new Set(holding.map(({ status }) => status))].flatMap((status) => withStatus(status).slice(0, 1));
  const keys = [...shown, ...early.slice(0, MOST_EARLY)].map(({ id }) => ({ machine, log, id }));
  const documents = new Map(
    (await documentsOf(db, keys)).map(({ id, document }) => [id, JSON.parse(document) as Incident]),
  );
  return {
    incident: (id: string) => (documents.has(id) ? { incident: documents.get(id) } : undefined),
    posture: {
      of: () => posture,
      holders: (_: ContainmentAction, limit: number) => holding.slice(0, limit).map(holderOf),
      withStatus: (_: ContainmentAction, status: DeliveryStatus, limit: number) =>
        withStatus(status).slice(0, limit).map(holderOf),
      waiting: (_: ContainmentAction, wait: Wait, limit: number) =>
        holding
          .filter((one) => one.wait === WAITS.indexOf(wait) + 1)
          .toSorted((one, other) => one.asked_seq - other.asked_seq || one.number - other.number)
          .slice(0, limit)
          .map(({ id, asked_at, asked_seq }) => ({ incident: id, askedAt: asked_at.getTime(), askedSeq: asked_seq })),
      groups: (_: ContainmentAction, bounds: Bounds) => groupsOf(holding, bounds),
      releasedEarly: (action: ContainmentAction, limit: number) =>
        early.slice(0, limit).map(({ id }) => ({
          incident: id,
          ...documents.get(id)?.containment?.actions.find((one) => one.action === action)?.released_early,
        })),
      releasedEarlyCount: () => early.length,
    },
  };
}

const MOST_EARLY = 20;

interface Bounds {
  readonly groups: number;
  readonly named: number;
  readonly ids: number;
}

const dueOf = ({ due_at }: Holder): number => due_at?.getTime() ?? 0;
const holderOf = (one: Holder) => ({ incident: one.id, due: dueOf(one) });

/** The holders by class and source: the worst severity first, then the most. */
function groupsOf(holding: readonly Holder[], bounds: Bounds) {
  const groups = [...Map.groupBy(holding, ({ class: ofClass, source }) => `${ofClass} ${source}`)].map(
    ([key, some]) => ({ key, some, worst: Math.min(...some.map(({ rank }) => rank)) }),
  );
  const sorted = groups.toSorted(
    (one, other) => one.worst - other.worst || other.some.length - one.some.length || (one.key < other.key ? -1 : 1),
  );
  return {
    all: groups.length,
    groups: sorted.slice(0, bounds.groups).map(({ some, worst }, place) => {
      const named = place < bounds.named ? some.slice(0, bounds.ids) : [];
      return {
        class: some[0]!.class,
        source: some[0]!.source,
        count: some.length,
        severity: SEVERITIES[worst]!,
        ...(named[0] === undefined ? {} : { first: named[0].created_at.toISOString() }),
        ids: named.map(({ id }) => id),
        more: some.length - named.length,
      };
    }),
  };
}
