/** Acting on machines from the fleet, and what came of it. */
import type { Context } from 'koa';
import { sql } from 'kysely';
import * as z from 'zod/mini';
import type { Role } from '../../../machines/vocabulary.ts';
import { expectedVersion } from '../../api/incidents/if-match.ts';
import type { Admission } from '../../api/middleware/admission.ts';
import { admittedIn, missingRole } from '../../api/middleware/authentication.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { callerOf, isFilled } from '../../api/request/caller.ts';
import { once } from '../../api/request/fields.ts';
import { preferredWait } from '../../api/request/prefer.ts';
import { parseQuery } from '../../api/request/query.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import { SECOND } from '../../clock.ts';
import type { Incident } from '../../domain/incident.ts';
import { RecorderError } from '../../errors.ts';
import {
  COMMAND_COLUMNS,
  COMMAND_STATUSES,
  type CommandRow,
  type CommandStatus,
  type FleetCommands,
  shownCommand,
} from '../commands.ts';
import type { FleetDatabase } from '../database.ts';
import { type Acting, actingIn, actorIn } from './acting.ts';
import { COMMAND_FORMS, type CommandForm, USUAL_EXPIRY } from './command-forms.ts';
import type { FleetDependencies } from './dependencies.ts';
import { placeTime } from './fleet-incidents.ts';
import { allOf, anyText, type Condition } from './list-filter.ts';
import { type OneIncident, oneIncident } from './one-incident.ts';
import { oneOfWords, paged, pageOf, paging } from './paging.ts';
import { readingIn } from './reading.ts';
import { scopeOf } from './scope.ts';

/** In seconds. */
const LONGEST_WAIT = 40;
const isWait = (text: string): boolean => /^\d{1,2}$/.test(text) && Number(text) <= LONGEST_WAIT;

const given = (name: string) => once(name, (text) => text.length <= 256, `${name} is too long`);

const commandsSchema = z.strictObject({
  ...paging(),
  status: oneOfWords('status', COMMAND_STATUSES),
  incident: given('incident'),
  act: given('act'),
});

const oneCommandSchema = z.strictObject({
  wait: once('wait', isWait, `wait must be a whole number of seconds up to ${LONGEST_WAIT}`),
});

export const actingRoutes = (
  dependencies: FleetDependencies,
  commands: FleetCommands,
  { command }: Pick<Admission, 'command'>,
): readonly ApiRoute[] =>
  COMMAND_FORMS.map((form) => ({
    method: 'POST',
    path: form.path,
    before: command(...new Set([...form.roles, ...(form.recoveryRoles ?? [])])),
    handle: async (ctx) => {
      const { machine: named, expires_in, expected_version, idempotency_key, ...body } = bodyOf(ctx, form);
      const about = form.about === undefined ? undefined : String(body[form.about]);
      const incident = about === undefined ? undefined : await incidentOf(dependencies.db, ctx, about, textIn(named));
      const machine = incident?.machine ?? textIn(named);
      if (machine === undefined) throw new RecorderError('invalid_request', 'machine required: on which one');
      const acting = await actingIn(dependencies, ctx, machine);
      const { by, rest } = byIn(ctx, body);
      const header = ctx.req.headers['if-match'];
      const version = expectedVersion(header, () => incident?.version) ?? (expected_version as number | undefined);
      const { row, isNew } = await commands.issue({
        ...target(acting),
        command: form.command,
        incident: about,
        body: rest,
        expectedVersion: version,
        key: keyOf(ctx, textIn(idempotency_key)),
        principal: acting.principal.name,
        by,
        role: roleFor(ctx, form, incident),
        goodFor: ((expires_in as number | undefined) ?? USUAL_EXPIRY) * SECOND,
      });
      if (!isNew) ctx.set('Idempotent-Replayed', 'true');
      await respondCommand(ctx, commands, row, preferredWait(ctx.req.headers.prefer as string | undefined) ?? 0);
    },
  }));

export const commandListRoutes = (dependencies: FleetDependencies, commands: FleetCommands): readonly ApiRoute[] => {
  const { db } = dependencies;
  return [
    {
      method: 'GET',
      path: '/api/v1/commands',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx, ACTORS);
        const asked = validate(commandsSchema, parseQuery(reading.query), 'parameter');
        const page = pageOf(asked, 3);
        const [at, machine, id] = page.after ?? [];
        const { machines } = reading;
        const conditions = [
          ...(machines === undefined ? [] : [sql`c.machine = ${anyText(machines)}`]),
          ...(asked.incident?.[0] === undefined ? [] : [sql`c.incident = ${asked.incident[0]}`]),
          ...(asked.act?.[0] === undefined ? [] : [sql`c.act = ${asked.act[0]}`]),
          ...(at === undefined
            ? []
            : [sql`(c.issued_at, c.machine, c.id) < (${placeTime(at)}::timestamptz, ${machine}, ${id})`]),
        ];
        const newest = sql`ORDER BY c.issued_at DESC, c.machine DESC, c.id DESC LIMIT ${page.limit + 1}::bigint`;
        // Each part is in the order of an index.
        const parts = partsOf(asked.status).map(
          (part) => sql`(
            SELECT c.issued_at, c.machine, c.id FROM commands c WHERE ${allOf([part, ...conditions])} ${newest})`,
        );
        const { rows } = await sql<CommandRow>`
          SELECT ${COMMAND_COLUMNS} FROM (SELECT * FROM (${sql.join(parts, sql` UNION ALL `)}) AS c ${newest}) AS found
            JOIN commands c ON c.machine = found.machine AND c.id = found.id ${newest}`.execute(db);
        const shown = paged(ctx, page, rows, (row) => [row.issued_at.toISOString(), row.machine, row.id]);
        respondJson(ctx, 200, JSON.stringify(shown.map((row) => shownCommand(row, reading.reader.words))));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/commands/:id',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx, ACTORS);
        const { wait } = validate(oneCommandSchema, parseQuery(reading.query), 'parameter');
        const { machines } = reading;
        const { rows } = await sql<CommandRow>`
          SELECT ${COMMAND_COLUMNS} FROM commands c WHERE c.id = ${String(ctx.params.id)}
            ${machines === undefined ? sql`` : sql`AND c.machine = ${anyText(machines)}`} LIMIT 1`.execute(db);
        if (rows[0] === undefined) throw new RecorderError('not_found', 'command not found');
        const row = await commands.settled(rows[0], Number(wait?.[0] ?? 0) * SECOND, leaving(ctx));
        respondJson(ctx, 200, JSON.stringify(shownCommand(row, reading.reader.words)));
      },
    },
  ];
};

const PARTS: Readonly<Record<CommandStatus, readonly Condition[]>> = {
  pending: ['pending', 'fetched'].map((state) => sql`c.state = ${sql.lit(state)} AND c.expires_at > clock_timestamp()`),
  done: [sql`c.state = 'done'`],
  refused: [sql`c.state = 'refused'`],
  expired: [
    sql`c.state = 'expired'`,
    ...['pending', 'fetched'].map((state) => sql`c.state = ${sql.lit(state)} AND c.expires_at <= clock_timestamp()`),
  ],
};

/** The parts of the index of states that hold the commands with some status. */
const partsOf = (statuses: readonly CommandStatus[] | undefined): readonly Condition[] =>
  statuses === undefined ? [sql`true`] : [...new Set(statuses)].flatMap((status) => PARTS[status]);

/** Those who act may see what came of it. */
const ACTORS: readonly Role[] = ['operator', 'recovery', 'admin', 'auditor'];

function bodyOf(ctx: Context, form: CommandForm): Readonly<Record<string, unknown>> {
  return validate(form.schema, ctx.request.body, 'field', form.required);
}

const textIn = (value: unknown): string | undefined =>
  typeof value === 'string' && value.trim() !== '' ? value : undefined;

/** Answers with a command: 202 while it waits, 200 when it has come to something. @param seconds how long that may take */
async function respondCommand(ctx: Context, commands: FleetCommands, row: CommandRow, seconds: number): Promise<void> {
  const now = seconds === 0 ? row : await commands.settled(row, seconds * SECOND, leaving(ctx));
  if (seconds > 0) ctx.set('Preference-Applied', `wait=${seconds}`);
  ctx.set('Location', `/api/v1/commands/${row.id}`);
  respondJson(ctx, now.status === 'pending' ? 202 : 200, JSON.stringify(shownCommand(now)));
}

/** Aborts when the client leaves. */
export function leaving({ res }: Context): AbortSignal {
  const left = new AbortController();
  if (res.closed) left.abort('the client has left');
  else res.once('close', () => left.abort('the client has left'));
  return left.signal;
}

/**
 * The incident that a command is about, on one of the machines that its principal may act on.
 * @throws RecorderError `not_found`; `invalid_request` when several machines have one and none is named
 */
async function incidentOf(
  db: FleetDatabase,
  ctx: Context,
  id: string,
  named: string | undefined,
): Promise<OneIncident> {
  const query = named === undefined ? '' : new URLSearchParams({ machine: named }).toString();
  return oneIncident(db, await scopeOf(db, query, actorIn(ctx).machines), id, 'machine');
}

/** @throws RecorderError `conflict` for a machine that fetches no commands */
function target({ machine, log, isRevoked }: Acting): { readonly machine: string; readonly log: string } {
  if (isRevoked) throw new RecorderError('conflict', `${machine} was revoked: it fetches no commands`);
  if (log === null) throw new RecorderError('conflict', `${machine} has sent nothing yet, so its log is not known`);
  return { machine, log };
}

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/** The key of a request, from its header or its body. @throws RecorderError `invalid_request` */
export function keyOf(ctx: Context, inBody: string | undefined): string | undefined {
  const key = (ctx.req.headers['idempotency-key'] as string | undefined) ?? inBody;
  if (key === undefined || IDEMPOTENCY_KEY.test(key)) return key;
  throw new RecorderError('invalid_request', 'Idempotency-Key must be 1 to 255 visible ASCII characters');
}

const BY = ['by', 'operator'];
/** As recorders take a person's name: visible, on one line. */
const PERSON = /^[^\p{Cc}\p{Zl}\p{Zp}]+$/u;

/**
 * Who gives a command: by name where they have a token of their own, else whom the body names. On behalf of whom they
 * give it stays in the body.
 */
export function byIn(
  ctx: Context,
  body: Readonly<Record<string, unknown>>,
): { readonly by: string; readonly rest: Readonly<Record<string, unknown>> } {
  const name = BY.find((one) => one in body);
  const text = name === undefined ? undefined : textIn(body[name]);
  const { principal, by: person = principal ?? '', on_behalf_of } = callerOf(ctx, isFilled(text) ? text : undefined);
  if (!PERSON.test(person)) throw new RecorderError('invalid_request', 'by must be a name on one line');
  const rest = Object.fromEntries(
    Object.entries(body).filter(([member]) => !BY.includes(member) || on_behalf_of !== undefined),
  );
  return { by: person, rest };
}

/**
 * The role in which somebody gives a command: at the machine they have this one and no other.
 * @throws RecorderError `forbidden` when the incident asks for a role that they do not have
 */
export function roleFor(
  ctx: Context,
  { command, roles, recoveryRoles }: CommandForm,
  incident: Pick<OneIncident, 'document'> | undefined,
): Role {
  const { principal } = admittedIn(ctx);
  const isRecovery =
    incident !== undefined && (JSON.parse(incident.document) as Pick<Incident, 'recovery'>).recovery !== undefined;
  // What ends containment there is for those who see to the recovery, first of all.
  const usual = isRecovery && command === 'release' ? roles.toReversed() : roles;
  const needed = isRecovery && recoveryRoles !== undefined ? recoveryRoles : usual;
  const role = needed.find((one) => principal.roles.includes(one));
  if (role === undefined) throw missingRole(principal, needed);
  return role;
}
