/**
 * The raw lines of one machine's log, as the machine has written them: for those who read them at the recorder, too.
 *
 * They are read in pages, and the next one when the reader has taken the last: memory holds one.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Context } from 'koa';
import { sql } from 'kysely';
import type { Role } from '../../../machines/vocabulary.ts';
import { logSchema } from '../../api/log/requests.ts';
import { forbidden, missingRole } from '../../api/middleware/authentication.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { parseQuery } from '../../api/request/query.ts';
import { validate } from '../../api/request/validate.ts';
import { SECOND } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';
import { isWithin } from '../access.ts';
import type { FleetDatabase } from '../database.ts';
import type { FleetDependencies } from './dependencies.ts';
import { entriesOf } from './one-incident.ts';
import { oneMachine } from './one-machine.ts';
import { fleetPrincipal } from './reading.ts';
import { boundsOf, scopeOf } from './scope.ts';

/** As at the recorder: raw lines hold evidence, whatever else says who sees that. */
const LOG_READERS: readonly Role[] = ['anchor', 'auditor'];
/** Those who read at once, at one process. */
const MOST_READERS = 8;
/** How many lines are read in one query, and how many bytes of them. */
const PAGE = 500;
const PAGE_BYTES = 1024 * 1024;
/** How often new lines are looked for, and how often a reader that follows gets an empty line, in milliseconds. */
const LOOK_EVERY = SECOND;
const BEAT_EVERY = 15 * SECOND;
/** How long a reader may leave a page unread. */
const PATIENCE = 60 * SECOND;

/** One history of a machine's log. */
interface History {
  readonly machine: string;
  readonly log: string;
  readonly identity: string;
  readonly first_seq: number;
  readonly through: number;
}

const NEWEST = sql`ORDER BY l.active DESC, l.ordinal DESC LIMIT 1`;
const COLUMNS = sql`l.machine, l.log, l.identity, l.first_seq, l.through`;

export const machineLogRoutes = (dependencies: FleetDependencies): readonly ApiRoute[] => {
  const { db } = dependencies;
  const readers = new Set<ServerResponse>();

  const answer = async (ctx: Context, query: string, history: () => Promise<History>): Promise<void> => {
    requireReader(dependencies, ctx);
    const given = validate(logSchema, parseQuery(query), 'parameter');
    const from = Number(given.from?.[0] ?? 1);
    const found = await history();
    requireFrom(found, from);
    ctx.set({
      'Log-Id': found.identity,
      'Log-Entries': String(found.through),
      'Log-First': String(found.first_seq),
      'Content-Type': 'application/x-ndjson',
    });
    ctx.vary('Authorization');
    if (ctx.method === 'HEAD') {
      ctx.status = 200;
      return;
    }
    if (readers.size >= MOST_READERS)
      throw new RecorderError('overloaded', `${MOST_READERS} others read logs; try again later`);
    if (ctx.res.closed) return;
    const { res } = ctx;
    readers.add(res);
    res.once('close', () => readers.delete(res));
    res.writeHead(200);
    res.flushHeaders();
    const follow = given.follow?.[0] === 'true';
    // What comes while it is read is not announced in the headers: a reader who wants it follows.
    const announced = follow ? Infinity : found.through - from + 1;
    const limit = Math.min(announced, given.limit?.[0] === undefined ? Infinity : Number(given.limit[0]));
    const wanted = { from, limit, follow };
    // Koa would end the response.
    ctx.respond = false;
    send(dependencies, res, found, wanted, () => stillReadsLog(dependencies, ctx, found.machine)).catch(
      (err: unknown) => {
        if (res.closed) return;
        dependencies.log.warn({ err, machine: found.machine }, 'a reader of a log is cut off');
        // What was sent so far is in order; an end would say that it is all.
        res.destroy();
      },
    );
  };

  return [
    {
      method: 'GET',
      path: '/api/v1/machines/:machine/logs/:log/entries',
      handle: (ctx) => {
        const { machine, log } = ctx.params as { readonly machine: string; readonly log: string };
        return answer(ctx, ctx.querystring, () => historyOf(dependencies, ctx, machine, log));
      },
    },
    {
      // As at the recorder, with a machine.
      method: 'GET',
      path: '/api/v1/log',
      handle: async (ctx) => {
        const principal = requireReader(dependencies, ctx);
        const scope = await scopeOf(db, ctx.querystring, boundsOf(principal));
        return answer(ctx, scope.query, async () => {
          const { machine, log } = await oneMachine(db, scope);
          return historyOf(dependencies, ctx, machine, log);
        });
      },
    },
  ];
};

/** Whether its reader may still read the log of a machine: a token may lose a role, and token or machine a label. */
async function stillReadsLog(dependencies: FleetDependencies, ctx: Context, machine: string): Promise<boolean> {
  const principal = fleetPrincipal(dependencies, ctx);
  if (principal?.roles.some((role) => LOG_READERS.includes(role)) !== true) return false;
  const { rows } = await sql<{ labels: Readonly<Record<string, string>> }>`
    SELECT labels FROM machines WHERE machine = ${machine}`.execute(dependencies.db);
  return rows[0] !== undefined && isWithin(rows[0].labels, principal.machines);
}

/** @throws RecorderError `forbidden`, also where reads need no token */
function requireReader(dependencies: FleetDependencies, ctx: Context) {
  const principal = fleetPrincipal(dependencies, ctx);
  if (principal === undefined) throw forbidden(ctx);
  if (!principal.roles.some((role) => LOG_READERS.includes(role))) throw missingRole(principal, LOG_READERS);
  return principal;
}

/**
 * A history by its name, or by the identity of the log: then the one that the machine goes on with, or the last.
 * @throws RecorderError `not_found`, also for a machine that the reader may not see
 */
async function historyOf(dependencies: FleetDependencies, ctx: Context, named: string, log: string): Promise<History> {
  const { db } = dependencies;
  const { rows } = await sql<History & { readonly labels: Readonly<Record<string, string>> }>`
    SELECT ${COLUMNS}, m.labels FROM machines m JOIN logs l ON l.machine = m.machine
    WHERE (m.machine = ${named} OR m.name = ${named}) AND (l.log = ${log} OR l.identity = ${log}) ${NEWEST}`.execute(
    db,
  );
  const [row] = rows;
  if (row === undefined || !isWithin(row.labels, boundsOf(fleetPrincipal(dependencies, ctx))))
    throw new RecorderError('not_found', 'the machine has no such log here');
  return row;
}

/** @throws RecorderError `out_of_range`, `gone` like the recorder */
function requireFrom({ first_seq, through, identity }: History, from: number): void {
  const fields = { first_seq, last_seq: through, log_id: identity };
  if (from > through + 1) {
    const message = `the log ends here with entry ${through}, and ${from} is not the next`;
    throw new RecorderError('out_of_range', message, { fields });
  }
  if (from < first_seq)
    throw new RecorderError('gone', `entry ${from} never came here: the log begins with ${first_seq}`, { fields });
}

interface Wanted {
  readonly from: number;
  readonly limit: number;
  readonly follow: boolean;
}

async function send(
  { db, clock }: FleetDependencies,
  response: ServerResponse,
  history: History,
  { from, limit, follow }: Wanted,
  isEntitled: () => Promise<boolean>,
): Promise<void> {
  let seq = from - 1;
  let left = limit;
  let beaten = clock.monotonic();
  while (left > 0 && !response.closed) {
    if (!(await isEntitled())) throw new RecorderError('forbidden', 'the token may not read this log any more');
    const lines = await linesBehind(db, history, seq, Math.min(left, PAGE));
    const last = lines.at(-1);
    if (last !== undefined) {
      seq = last.seq;
      left -= lines.length;
      if (!response.write(lines.map(({ line }) => `${line}\n`).join(''))) await taken(response);
      continue;
    }
    if (!follow) break;
    if (clock.monotonic() - beaten >= BEAT_EVERY) {
      beaten = clock.monotonic();
      response.write('\n');
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY).unref());
  }
  response.end();
}

/** The next lines of a history, those before it has left another one among them. */
async function linesBehind(
  db: FleetDatabase,
  { machine, log }: History,
  seq: number,
  most: number,
): Promise<readonly { readonly seq: number; readonly line: string }[]> {
  const { rows } = await sql<{ seq: number; line: string; before: number }>`
    SELECT * FROM (
      SELECT e.seq, e.line, sum(octet_length(e.line)) OVER (ORDER BY e.seq) - octet_length(e.line) AS before
      FROM (
        ${entriesOf({ machine, log }, sql`e.seq, e.line`, sql`e.seq > ${seq} AND e.seq <= ${seq + most}`, most)}
      ) AS e
    ) AS e WHERE e.before < ${PAGE_BYTES} ORDER BY e.seq`.execute(db);
  return rows;
}

/** Waits until the reader has taken what was written. @throws Error when that takes too long */
async function taken(response: ServerResponse): Promise<void> {
  const ends = new AbortController();
  const timer = setTimeout(() => ends.abort(new Error('the reader takes nothing')), PATIENCE);
  const closed = (): void => ends.abort();
  response.once('close', closed);
  try {
    await once(response, 'drain', { signal: ends.signal });
  } catch (error) {
    if (!response.closed) throw error;
  } finally {
    clearTimeout(timer);
    response.off('close', closed);
  }
}
