/** The routes for machines: what a shipper asks and sends. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { Context } from 'koa';
import { sql } from 'kysely';
import { isMachineName } from '../anchor.ts';
import type { ApiRoute } from '../api/middleware/routing.ts';
import { respondJson } from '../api/respond.ts';
import { type Clock, MINUTE, SECOND } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import type { FleetDatabase } from './database.ts';
import type { Enrolment } from './enrolment.ts';
import { FailureLimit } from './failure-limit.ts';
import type { Ingest } from './ingest/ingest.ts';
import { MOST_BYTES } from './ingest/received-lines.ts';
import { readBody, readJson } from './machine-body.ts';
import type { Quotas } from './quotas.ts';
import { machineKeyIn, openSignature, SIGNATURE_HEADER } from '../signed-request.ts';

export interface MachineRouteDependencies {
  readonly db: FleetDatabase;
  readonly clock: Clock;
  readonly ingest: Ingest;
  readonly enrolment: Enrolment;
  readonly quotas: Quotas;
  /** After how many milliseconds without a word a machine is silent. */
  readonly silentAfter: number;
}

/** In bytes. A policy has at most some hundred KiB. */
const LONGEST_STATUS = 1024 * 1024;
const LONGEST_RESULT = 1024 * 1024;
const LONGEST_ENROLMENT = 64 * 1024;
/** In characters: that of a machine. */
const LONGEST_NAME = 128;
/** How long a shipper may wait for commands, in seconds, and how often they are looked for, in milliseconds. */
const LONGEST_WAIT = 30;
const LOOK_EVERY = SECOND;
/** Commands that are given at once, and their bytes: in JSON twice as many, and a shipper reads 4 MiB. */
const MOST_COMMANDS = 64;
const MOST_COMMAND_BYTES = 1024 * 1024;
const LOG = /^[0-9a-f]{64}$/;
/** Attempts to enrol that fail: of one address for one machine, and of one address. Behind a proxy all have one. */
const WRONG_SECRETS = { most: 20, forgetAfter: 6 * SECOND };
const WRONG_ENROLMENTS = { most: 200, forgetAfter: SECOND / 10 };
/** How far the time of a signature may be from now, in milliseconds. */
const SIGNED_WITHIN = 5 * MINUTE;
const PEER = 'the token, or the certificate, is not one of this machine';

export function machineRoutes(dependencies: MachineRouteDependencies): readonly ApiRoute[] {
  const { db, clock, ingest, enrolment, quotas, silentAfter } = dependencies;
  const now = (): number => clock.monotonic();
  const wrongSecrets = new FailureLimit({ ...WRONG_SECRETS, now });
  const wrongEnrolments = new FailureLimit({ ...WRONG_ENROLMENTS, now });

  const enrol = async (ctx: Context): Promise<void> => {
    const address = ctx.req.socket.remoteAddress ?? '';
    wrongEnrolments.require(address);
    let name = address;
    try {
      await enrolBy(ctx, (machine) => wrongSecrets.require((name = `${address} ${machine.slice(0, LONGEST_NAME)}`)));
    } catch (error) {
      if (error instanceof RecorderError && error.status < 500 && error.code !== 'quota_exceeded') {
        wrongEnrolments.failed(address);
        wrongSecrets.failed(name);
      }
      throw error;
    }
  };

  /** @param admit is called with the name of the machine before the secret is looked at */
  const enrolBy = async (ctx: Context, admit: (machine: string) => void): Promise<void> => {
    const { machine, secret, token_sha256, public_key, audit_key } = await readJson(ctx.req, LONGEST_ENROLMENT);
    if (![machine, secret, token_sha256, public_key, audit_key ?? ''].every((value) => typeof value === 'string'))
      throw new RecorderError('invalid_request', 'machine, secret, token_sha256 and public_key must be given as text');
    admit(machine as string);
    const request = { machine, secret, token_sha256, public_key, audit_key } as Record<string, string>;
    respond(ctx, 201, await enrolment.enrol(request as unknown as Parameters<Enrolment['enrol']>[0]));
  };

  /** A request that is no batch: of each kind a few at once, so that no machine takes the database from the others. */
  const limited =
    (kind: string, handle: (ctx: Context, machine: string) => Promise<void>) =>
    async (ctx: Context): Promise<void> => {
      const machine = await machineOf(ctx, db, clock);
      // No name of a machine has a space.
      const name = `${machine} ${kind}`;
      const leave = quotas.enter(name);
      try {
        await handle(ctx, machine);
      } finally {
        quotas.spend(name, 1, Number(ctx.req.headers['content-length'] ?? 0) || 0);
        leave();
      }
    };

  const held = async (ctx: Context, machine: string): Promise<void> => {
    const log = logIn(ctx);
    const known = await ingest.held(machine, log);
    if (known === undefined)
      throw new RecorderError('not_found', 'the fleet has nothing of this log', { fields: { code: 'unknown_log' } });
    respond(ctx, 200, known);
  };

  const store = async (ctx: Context): Promise<void> => {
    const arrived = clock.monotonic();
    const machine = await machineOf(ctx, db, clock);
    const leave = quotas.enter(machine);
    // What is refused costs as much as what is stored; a body that can't be read, as much as the longest.
    let bytes = MOST_BYTES;
    let isStored = false;
    try {
      const log = logIn(ctx);
      const from = requireCount('from', ctx.query.from, 1);
      const body = await readBody(ctx.req, MOST_BYTES, signedDigest(ctx));
      bytes = body.length;
      const {
        stored: entries,
        wait: waitOfAll,
        ...stored
      } = await ingest.store({
        machine,
        log,
        from,
        body,
        entries: headerCount(ctx, 'log-entries'),
        first: headerCount(ctx, 'log-first'),
        heard: headerCount(ctx, 'fleet-through'),
        arrived,
      });
      isStored = true;
      const wait = quotas.spend(machine, Math.max(entries, 1), bytes, waitOfAll);
      respond(ctx, 200, wait > 0 ? { ...stored, retry_after_ms: Math.ceil(wait) } : stored);
    } finally {
      if (!isStored) quotas.spend(machine, 1, bytes);
      leave();
    }
  };

  const status = async (ctx: Context, machine: string): Promise<void> => {
    const given = await readJson(ctx.req, LONGEST_STATUS, signedDigest(ctx));
    const policy = isObject(given.policy) ? given.policy : {};
    const time = typeof given.clock === 'string' ? Date.parse(given.clock) : Number.NaN;
    const skew = Number.isNaN(time) ? null : Math.round(time - clock.now());
    const digest = textOrNull(policy.digest);
    const text = typeof policy.text === 'string' ? withoutNul(policy.text) : null;
    const health = isObject(given.health) ? JSON.stringify(jsonb(given.health)) : null;
    const { rows } = await sql<{ wanted: boolean }>`
      UPDATE machines SET heard_at = clock_timestamp(), version = ${textOrNull(given.version)}, log = ${textOrNull(given.log)},
        entries = ${countOrNull(given.entries)}::bigint, policy_source = ${textOrNull(policy.source)},
        policy_text = CASE WHEN ${text}::text IS NOT NULL THEN ${text}::text
          WHEN policy_digest IS DISTINCT FROM ${digest}::text THEN NULL ELSE policy_text END,
        policy_digest = ${digest}, health = ${health}::jsonb, clock_skew_ms = ${skew}::bigint
      WHERE machine = ${machine} RETURNING policy_text IS NULL AND policy_digest IS NOT NULL AS wanted`.execute(db);
    respond(ctx, 200, rows[0]?.wanted === true ? { policy_wanted: true } : {});
  };

  const commands = async (ctx: Context, machine: string): Promise<void> => {
    const asked = Math.min(LONGEST_WAIT, requireCount('wait', ctx.query.wait ?? '0', 0)) * SECOND;
    // Whoever asks lives; whoever waits may be gone without a word. So a machine asks again before it would count as silent.
    const until = clock.monotonic() + Math.min(asked, silentAfter / 2);
    await sql`
      UPDATE machines SET heard_at = clock_timestamp()
      WHERE machine = ${machine}
        AND (heard_at IS NULL OR heard_at < clock_timestamp() - ${silentAfter / 4}::float8 * interval '1 millisecond')`.execute(
      db,
    );
    for (;;) {
      // What is fetched for nobody, or without a body, would count as fetched.
      const isGone = ctx.res.closed || ctx.method === 'HEAD';
      const found = isGone ? [] : await fetchCommands(db, machine, () => machineOf(ctx, db, clock));
      if (found.length > 0 || clock.monotonic() >= until || isGone) {
        respond(ctx, 200, found);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, Math.min(LOOK_EVERY, until - clock.monotonic())).unref());
    }
  };

  const result = async (ctx: Context, machine: string): Promise<void> => {
    const id = String(ctx.params.id);
    const { status: answered, body } = await readJson(ctx.req, LONGEST_RESULT, signedDigest(ctx));
    if (!Number.isSafeInteger(answered) || Number(answered) < 100 || Number(answered) > 599)
      throw new RecorderError('invalid_request', 'status must be an HTTP status');
    // 410: it has expired at the machine, or the incident has left the record there, which the body says.
    const isArchived = Object.hasOwn(Object(body) as object, 'archived');
    const isExpired = Number(answered) === 410 && !isArchived;
    const state = Number(answered) < 400 ? 'done' : isExpired ? 'expired' : 'refused';
    const { rows } = await sql`
      UPDATE commands SET state = ${state}, status = ${Number(answered)}, result = ${JSON.stringify(body ?? null)},
        finished_at = coalesce(finished_at, clock_timestamp())
      WHERE machine = ${machine} AND id = ${id} RETURNING id`.execute(db);
    if (rows.length === 0) throw new RecorderError('not_found', 'there is no such command for this machine');
    ctx.status = 204;
  };

  const of = '/api/v1/machines/:machine';
  return [
    { method: 'POST', path: '/api/v1/enrol', handle: enrol },
    { method: 'GET', path: `${of}/logs/:log`, handle: limited('held', held) },
    { method: 'PUT', path: `${of}/logs/:log/entries`, handle: store },
    { method: 'PUT', path: `${of}/status`, handle: limited('status', status) },
    { method: 'GET', path: `${of}/commands`, handle: limited('commands', commands) },
    { method: 'POST', path: `${of}/commands/:id/result`, handle: limited('result', result) },
  ];
}

/**
 * Gives the commands that wait, in their order, and notes that they were fetched. One whose result has not come is given
 * again, behind those that were fetched longer ago or never: many without a result keep none waiting.
 * @param admit is called before any is given: whoever asked may have waited, and been revoked meanwhile
 */
async function fetchCommands(
  db: FleetDatabase,
  machine: string,
  admit: () => Promise<unknown>,
): Promise<readonly { id: string; command: string }[]> {
  // The machine may have carried out one that was fetched, and its answer was lost: it says so, also later.
  const { rows } = await sql<{ id: string; command: string }>`
    SELECT w.id, w.command FROM (
      SELECT c.id, c.signed AS command, c.issued_at, row_number() OVER turns AS place,
        sum(octet_length(c.signed)) OVER turns AS bytes
      FROM commands c
      WHERE c.machine = ${machine} AND c.state IN ('pending', 'fetched') AND c.expires_at > clock_timestamp()
        - CASE WHEN c.state = 'fetched' THEN interval '1 day' ELSE interval '0' END
      WINDOW turns AS (ORDER BY coalesce(c.fetched_at, c.issued_at), c.issued_at, c.id)) AS w
    WHERE w.place = 1 OR (w.place <= ${sql.lit(MOST_COMMANDS)} AND w.bytes <= ${sql.lit(MOST_COMMAND_BYTES)})
    ORDER BY w.issued_at, w.id`.execute(db);
  if (rows.length > 0) {
    await admit();
    await sql`
      UPDATE commands SET state = 'fetched', fetched_at = clock_timestamp()
      WHERE machine = ${machine} AND state IN ('pending', 'fetched')
        AND id = ANY(${rows.map(({ id }) => id)}::text[])`.execute(db);
  }
  return rows;
}

/**
 * The machine of a request, which has shown its token or its certificate.
 * @throws RecorderError `unauthenticated` without either; `forbidden` when it is not this machine's, or was revoked
 */
async function machineOf(ctx: Context, db: FleetDatabase, clock: Pick<Clock, 'now'>): Promise<string> {
  const machine = String(ctx.params.machine);
  const token = /^bearer +(\S+)$/i.exec(ctx.req.headers.authorization ?? '')?.[1];
  const named = certifiedName(ctx);
  if (token === undefined && named === undefined) {
    ctx.set('WWW-Authenticate', 'Bearer');
    throw new RecorderError('unauthenticated', 'show the token of the machine: Authorization: Bearer …');
  }
  // Nothing else is looked up: a name with a NUL is none that a column can hold.
  if (!isMachineName(machine)) throw new RecorderError('forbidden', `forbidden: ${PEER}`);
  const row = await db
    .selectFrom('machines')
    .select(['token_sha256', 'revoked_at', 'public_key', 'signs_since'])
    .where('machine', '=', machine)
    .executeTakeFirst();
  if (row === undefined || row.revoked_at !== null)
    throw new RecorderError(
      'forbidden',
      row === undefined ? `forbidden: ${PEER}` : 'forbidden: this machine was revoked',
    );
  const isTokens =
    token !== undefined &&
    row.token_sha256 !== null &&
    timingSafeEqual(createHash('sha256').update(token).digest(), Buffer.from(row.token_sha256, 'hex'));
  const isCertified = token === undefined && named === machine && row.token_sha256 !== null;
  if (!isTokens && !isCertified) throw new RecorderError('forbidden', `forbidden: ${PEER}`);
  const isSigned = requireSignature(ctx, row.public_key, clock.now());
  if (!isSigned && isTokens && row.signs_since !== null)
    throw new RecorderError('forbidden', 'forbidden: this machine signs its requests, and this one is not signed');
  if (isSigned && row.signs_since === null)
    await sql`
      UPDATE machines SET signs_since = clock_timestamp()
      WHERE machine = ${machine} AND public_key = ${row.public_key} AND signs_since IS NULL`.execute(db);
  return machine;
}

/**
 * Looks at the signature of a request.
 * @returns whether there is one; a key that can't verify any has signed nothing
 * @throws RecorderError `forbidden` for a wrong one; `unauthenticated` with `now` for one from another time, because the
 *   machine's clock may be wrong: it signs again then with that
 */
function requireSignature(ctx: Context, publicKey: string | null, now: number): boolean {
  const header = ctx.req.headers[SIGNATURE_HEADER];
  const key = typeof header === 'string' ? machineKeyIn(publicKey) : undefined;
  if (key === undefined) return false;
  const signed = openSignature(header as string, { method: ctx.method, target: ctx.req.url ?? '' }, key);
  if (signed === undefined)
    throw new RecorderError('forbidden', 'forbidden: the key of this machine has not signed this request');
  if (Math.abs(signed.time - now) > SIGNED_WITHIN)
    throw new RecorderError('unauthenticated', 'the request was signed at another time', {
      fields: { code: 'signed_at_another_time', now },
    });
  ctx.state.signedDigest = signed.digest;
  return true;
}

/** The digest of the body that the machine has signed; undefined when it signs nothing. */
const signedDigest = ({ state }: Context): string | undefined => state.signedDigest as string | undefined;

/** The name in the certificate that the client has shown, if one that the fleet trusts has signed it. */
function certifiedName({ req: { socket } }: Context): string | undefined {
  if (!('authorized' in socket) || socket.authorized !== true) return undefined;
  const subject = (socket as TLSSocket).getPeerCertificate().subject as { readonly CN?: string } | undefined;
  return subject?.CN;
}

function logIn(ctx: Context): string {
  const log = String(ctx.params.log);
  if (LOG.test(log)) return log;
  throw new RecorderError('invalid_request', 'a log is named by its identity: 64 digits of lower-case hex');
}

function requireCount(name: string, text: unknown, least: number): number {
  const value = typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least) return value;
  throw new RecorderError('invalid_request', `${name} must be a whole number from ${least} on`);
}

function headerCount(ctx: Context, name: string): number | undefined {
  const text = ctx.req.headers[name];
  return text === undefined ? undefined : requireCount(name, text, 0);
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** PostgreSQL holds no NUL and no half of a character, in JSON neither. */
const withoutNul = (text: string): string => text.replaceAll('\0', '').toWellFormed();

const LOSSLESS_DEPTH = 32;

/** JSON that PostgreSQL takes as `jsonb`. What is nested deeper than anybody nests is left out. */
function jsonb(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return withoutNul(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > LOSSLESS_DEPTH) return null;
  if (Array.isArray(value)) return value.map((one) => jsonb(one, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [withoutNul(key), jsonb(one, depth + 1)]));
}

const LONGEST_TEXT = 512;
const textOrNull = (value: unknown): string | null =>
  typeof value === 'string' ? withoutNul(value).slice(0, LONGEST_TEXT) : null;

const countOrNull = (value: unknown): number | null => (Number.isSafeInteger(value) ? (value as number) : null);

const respond = (ctx: Context, status: number, body: object): void => respondJson(ctx, status, JSON.stringify(body));
