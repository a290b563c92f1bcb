/**
 * Commands of the fleet. The shipper hands them over, and they are carried out as if the person had sent them here: by
 * the routes of the commands themselves, in the role that the fleet names, as far as the access file allows it.
 */
import type { Context } from 'koa';
import type { ContainmentAction, IncidentClass } from '../../../machines/vocabulary.ts';
import type { FleetTrust, Principal } from '../../access/principal.ts';
import { HOUR, timestamp } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';
import type { Incident } from '../../domain/incident.ts';
import { containmentRoutes } from '../containment/routes.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { actRoutes } from '../incidents/acts.ts';
import { commandRoutes } from '../incidents/commands.ts';
import { type Admission, rolesOf } from '../middleware/admission.ts';
import { type Admitted, missingRole } from '../middleware/authentication.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { recoveryRoutes } from '../recovery/routes.ts';
import { callerOf } from '../request/caller.ts';
import { readBody } from '../request/read.ts';
import { respondJson } from '../respond.ts';
import { silenceRoutes } from '../silences/routes.ts';
import { type FleetCommand, openCommand } from './command-note.ts';
import { FLEET_REPORT, fleetReportRoutes } from './report.ts';
import { COMMAND_NOTE_REQUIRED, fleetCommandSchema } from './requests.ts';

/** What can be asked for from the fleet, and the route that does it. */
const FLEET_COMMANDS: Readonly<Record<string, string>> = {
  contain: '/api/v1/incidents/contain',
  acknowledge: '/api/v1/incidents/acknowledge',
  resolve: '/api/v1/incidents/resolve',
  note: '/api/v1/incidents/note',
  assign: '/api/v1/incidents/assign',
  snooze: '/api/v1/incidents/snooze',
  reopen: '/api/v1/incidents/reopen',
  release: '/api/v1/containment/release',
  retry: '/api/v1/containment/retry',
  silence: '/api/v1/silences',
  end_silence: '/api/v1/silences/end',
  acknowledge_recovery: '/api/v1/recovery/ack',
  reattest: '/api/v1/recovery/reattest',
  waive_recovery: '/api/v1/recovery/waive',
  report: FLEET_REPORT,
};

/** Those that are a recovery: a person at the machine does it, unless the policy says otherwise. */
const RECOVERIES: ReadonlySet<string> = new Set(['acknowledge_recovery', 'reattest', 'waive_recovery']);

/** Those that engage or release the actions of a rule, besides those that name one. */
const TOUCHING: ReadonlySet<string> = new Set(['contain', 'resolve', 'reopen', 'report']);

/** How much later than here a command may have been issued, in milliseconds: clocks differ. */
const MOST_AHEAD = HOUR;
/** How many answers are kept as they were, and how long in characters; others are made again from what is on record. */
const MOST_ANSWERS = 64;
const LONGEST_ANSWER = 16 * 1024;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export type FleetDependencies = Pick<
  ApiDependencies,
  | 'access'
  | 'acts'
  | 'clock'
  | 'fleetCommands'
  | 'incidents'
  | 'logId'
  | 'policy'
  | 'posture'
  | 'preview'
  | 'readAccess'
  | 'receipts'
  | 'recorder'
  | 'recoveries'
  | 'silences'
>;

export const fleetRoutes = (dependencies: FleetDependencies, admissions: Admission): readonly ApiRoute[] => {
  const routes = [
    commandRoutes,
    actRoutes,
    containmentRoutes,
    recoveryRoutes,
    silenceRoutes,
    fleetReportRoutes,
  ].flatMap((routesWith) => routesWith(dependencies, admissions));
  const answers = new Map<string, Answer>();
  return [
    {
      method: 'POST',
      path: '/api/v1/fleet/commands',
      before: admissions.command('anchor'),
      handle: async (ctx) => {
        const { command: note } = readBody(ctx, fleetCommandSchema, COMMAND_NOTE_REQUIRED);
        const trust = dependencies.access.fleet;
        if (trust === undefined) throw foreign('the access file names no fleet_key, so no command counts');
        const command = openCommand(note, trust);
        requireOwn(command, trust, dependencies.logId());
        const { id } = command;
        const name = { id, key: command.idempotency_key };
        const { status, body } = await dependencies.fleetCommands.alone(name, async () => {
          const known = answers.get(id) ?? (await givenBefore(command, dependencies));
          if (known !== undefined) return known;
          requireCurrent(command, dependencies.clock.now());
          requireRemembered(command, dependencies);
          const route = routeOf(command, trust, routes);
          const answer = await perform(ctx, command, route, trust, dependencies);
          if (JSON.stringify(answer).length <= LONGEST_ANSWER) answers.set(id, answer);
          if (answers.size > MOST_ANSWERS) answers.delete(answers.keys().next().value!);
          return answer;
        });
        respondJson(ctx, 200, JSON.stringify({ id, status, body }));
      },
    },
  ];
};

/** @throws RecorderError `foreign` for a command to another machine, or about another log */
function requireOwn({ machine, log }: FleetCommand, trust: FleetTrust, logId: string | undefined): void {
  if (machine !== trust.machine) {
    const here =
      trust.machine === undefined ? 'the access file does not name this one' : `this one is ${trust.machine}`;
    throw foreign(`this is a command to the machine ${machine}, and ${here}`);
  }
  if (log !== logId) throw foreign(`this is a command about the log ${log}, and this one is ${logId ?? 'not known'}`);
}

/**
 * A command from the future would make all that are issued until then look forgotten, once it is forgotten itself.
 * @throws RecorderError `gone`; `invalid_request` for one that is issued much later than it is here
 */
function requireCurrent({ issued, expires }: FleetCommand, now: number): void {
  const here = timestamp(now);
  if (Date.parse(expires) <= now)
    throw new RecorderError('gone', `the command has expired at ${expires}, and by the clock here it is ${here}`);
  if (Date.parse(issued) - now <= MOST_AHEAD) return;
  const message = `the command was issued at ${issued}, and by the clock here it is ${here}: the clock of the fleet or of this machine is wrong`;
  throw new RecorderError('invalid_request', message);
}

/** Whoever has an old command must not have it carried out twice. @throws RecorderError `gone` */
function requireRemembered(
  { issued }: FleetCommand,
  { fleetCommands }: Pick<FleetDependencies, 'fleetCommands'>,
): void {
  if (!fleetCommands.mayBeForgotten(issued)) return;
  const message = `the command was issued at ${issued}, and of commands that old it is not known whether they were given`;
  throw new RecorderError('gone', message);
}

/** @throws RecorderError `forbidden` for a role that the fleet does not have here, `invalid_request` for no command */
function routeOf(
  { command, role }: FleetCommand,
  { roles, verifier }: FleetTrust,
  routes: readonly ApiRoute[],
): ApiRoute {
  if (!roles.includes(role)) throw missingRole({ name: `the fleet ${verifier.name}`, roles }, [role]);
  const path = Object.hasOwn(FLEET_COMMANDS, command) ? FLEET_COMMANDS[command] : undefined;
  const route = routes.find((one) => one.method === 'POST' && one.path === path);
  if (route !== undefined) return route;
  const allowed = Object.keys(FLEET_COMMANDS);
  const message = `${command} can't be asked for from the fleet; allowed: ${allowed.join(', ')}`;
  throw new RecorderError('invalid_request', message, { fields: { allowed } });
}

/** What a command was answered before; undefined when it is new. */
async function givenBefore(
  { id, idempotency_key: key }: FleetCommand,
  { fleetCommands, incidents, silences }: FleetDependencies,
): Promise<Answer | undefined> {
  const given = fleetCommands.given({ id, key });
  if (given === undefined) return undefined;
  const { status, incident, answer } = given;
  if (answer !== undefined) return { status, body: answer };
  // As it is now: the answer said how it was.
  if (incident === undefined) return { status, body: { repeated: true } };
  const document = incidents.get(incident);
  if (document !== undefined) return { status, body: JSON.parse(document.json) as object };
  const silence = (await silences.list()).find((one) => one.id === incident);
  return { status, body: silence ?? { repeated: true } };
}

/**
 * Carries a command out, and records what came of it.
 * @throws RecorderError what may pass (the log can't be written, too much is asked at once): then it may come again
 */
async function perform(
  ctx: Context,
  command: FleetCommand,
  route: ApiRoute,
  trust: FleetTrust,
  dependencies: FleetDependencies,
): Promise<Answer> {
  const { id, idempotency_key: key, by, role, body, command: name, issued } = command;
  const origin = {
    fleet_command: id,
    ...(key === undefined ? {} : { fleet_command_key: key }),
    fleet_command_issued: issued,
  };
  const principal: Principal = { name: `fleet:${by}`, roles: [role], origin };
  const admitted: Admitted = { principal, role };
  const inner = innerContext(ctx, command, route, admitted);
  const answer = await answered(inner, async () => {
    if (!rolesOf(route).includes(role)) throw missingRole(principal, rolesOf(route));
    requireFromAfar(command, trust, dependencies);
    await route.handle(inner, () => Promise.resolve());
  });
  const about = [body.id, body.incident_id].find((value) => typeof value === 'string');
  await dependencies.fleetCommands.answered({ id, key }, { command: name, about, ...answer }, callerOf(inner));
  return answer;
}

/** The context of the request that the person would have sent here. */
function innerContext(
  ctx: Context,
  { body, expected_version: version }: FleetCommand,
  { path }: ApiRoute,
  admitted: Admitted,
): Context {
  const headers = version === undefined ? {} : { 'if-match': `"${version}"` };
  const inner = {
    method: 'POST',
    path,
    querystring: '',
    params: {},
    req: { headers, socket: ctx.req.socket },
    request: { body },
    state: { admitted, requestId: ctx.state.requestId as unknown },
    // What a route answers lands here; the headers of that answer are for nobody.
    res: { headersSent: true },
    set: () => {},
    vary: () => {},
  };
  return Object.assign(inner, { response: inner }) as unknown as Context;
}

/** What a request is answered, also where that is a refusal. @throws RecorderError what may pass */
async function answered(inner: Context, request: () => Promise<void>): Promise<Answer> {
  try {
    await request();
    const { status, body } = inner.response;
    return { status, body: JSON.parse(String(body)) as unknown };
  } catch (error) {
    if (!(error instanceof RecorderError) || mayPass(error)) throw error;
    return { status: error.status, body: { error: error.message, ...error.fields } };
  }
}

/**
 * Whether the same command may be carried out later. That there is no attestor to ask is an answer: the request is on
 * record, or never will be, and the commands behind this one must not wait for it.
 */
const mayPass = ({ code, status }: RecorderError): boolean =>
  code !== 'attestor_unavailable' && (status >= 500 || status === 429);

/** @throws RecorderError `forbidden` for what must be done at the machine, and for actions that are not the fleet's */
function requireFromAfar(
  { command, body }: FleetCommand,
  { actions }: FleetTrust,
  { incidents, policy }: FleetDependencies,
): void {
  const id = [body.id, body.incident_id].find((value): value is string => typeof value === 'string');
  const document = id === undefined ? undefined : incidents.get(id);
  const incident = document === undefined ? undefined : (JSON.parse(document.json) as Incident);
  const isIncomplete = (incident?.recovery?.missing.length ?? 0) > 0;
  if (incident !== undefined && (RECOVERIES.has(command) || (command === 'release' && isIncomplete))) {
    if (policy.current.rules[incident.class].recovery?.from_fleet !== true) {
      const message =
        `forbidden: the recovery of ${incident.class} asks for a person at the machine, ` +
        'and its policy does not say from_fleet: true';
      throw new RecorderError('forbidden', message, { fields: { at_machine: true } });
    }
  }
  if (actions === undefined) return;
  const ofIncident =
    incident === undefined
      ? ofReport(command, body, policy)
      : command === 'reopen'
        ? ofReopened(incident, policy)
        : incidents.actionsOf(incident.id);
  const touched = touchedBy(command, body, ofIncident);
  const broken = touched.filter((action) => !actions.includes(action as ContainmentAction));
  if (broken.length === 0) return;
  const message = `forbidden: the fleet may act on ${actions.join(', ')} here, and not on ${broken.join(', ')}`;
  throw new RecorderError('forbidden', message, { fields: { actions } });
}

/** The actions that a report of the fleet engages. */
const ofReport = (
  command: string,
  body: FleetCommand['body'],
  { current: { rules } }: FleetDependencies['policy'],
): readonly ContainmentAction[] =>
  command === 'report' && typeof body.class === 'string' && Object.hasOwn(rules, body.class)
    ? rules[body.class as IncidentClass].actions
    : [];

/** The actions that the incident engages which takes a resolved one up again: at once, or none until a person says so. */
const ofReopened = (
  incident: Pick<Incident, 'class'>,
  { current: { rules } }: FleetDependencies['policy'],
): readonly ContainmentAction[] => {
  const { auto_contain, actions } = rules[incident.class];
  return auto_contain ? actions : [];
};

/** The actions that a command engages or releases. */
function touchedBy(
  command: string,
  body: FleetCommand['body'],
  ofIncident: readonly ContainmentAction[],
): readonly string[] {
  if (command === 'release' || command === 'retry') return typeof body.action === 'string' ? [body.action] : [];
  if (!TOUCHING.has(command)) return [];
  return ofIncident.filter((action) => action !== 'log_alert');
}

const foreign = (what: string): RecorderError => new RecorderError('foreign', what);
