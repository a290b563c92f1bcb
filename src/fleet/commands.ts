/**
 * What people ask of machines from here: stored and signed, until the machine fetches it and says what came of it.
 *
 * The log of the machine stays the truth: a command only says what its fate was. A command is named by who gives it and
 * their idempotency key, so that the same one again, at any process, is the same row.
 */
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Role } from '../../machines/vocabulary.ts';
import { type Clock, SECOND, timestamp } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import { canonicalForm } from '../json/canonical-form.ts';
import type { JsonValue } from '../json/exact-json.ts';
import type { Signer } from '../signed-note.ts';
import { NEVER_GIVEN, storable } from './acts.ts';
import { commandIn, type CommandText, signCommand } from './command-note.ts';
import type { FleetDatabase } from './database.ts';

export const COMMAND_STATUSES = ['pending', 'done', 'refused', 'expired'] as const;
export type CommandStatus = (typeof COMMAND_STATUSES)[number];

const LOOK_EVERY = SECOND / 4;

export interface AskedCommand {
  readonly machine: string;
  /** The identity of the machine's log. */
  readonly log: string;
  readonly command: string;
  readonly incident?: string | undefined;
  readonly body: object;
  readonly expectedVersion?: number | undefined;
  /** Names the command, together with `principal`. */
  readonly key?: string | undefined;
  readonly principal: string;
  /** The person, as the machine's log will name them. */
  readonly by: string;
  readonly role: Role;
  /** For how long the machine may fetch it, in milliseconds. */
  readonly goodFor: number;
  readonly act?: string | undefined;
}

export interface CommandRow {
  readonly id: string;
  readonly machine: string;
  readonly log: string | null;
  readonly command: string;
  readonly incident: string | null;
  readonly body: object;
  readonly by: string;
  readonly role: string;
  readonly issued_at: Date;
  readonly expires_at: Date;
  readonly fetched_at: Date | null;
  readonly finished_at: Date | null;
  readonly status: CommandStatus;
  readonly answered: number | null;
  readonly result: string | null;
  readonly act: string | null;
}

/** What a command has come to: one that was not answered until it expired counts as expired, until its answer comes. */
const STATUS = sql<CommandStatus>`CASE WHEN c.state IN ('done', 'refused', 'expired') THEN c.state
  WHEN c.expires_at <= clock_timestamp() THEN 'expired' ELSE 'pending' END`;

/** A machine with several commands of one act has come to the first of these that one of them has come to. */
const WORST_FIRST: readonly CommandStatus[] = ['pending', 'refused', 'expired', 'done'];

/** What several commands of one act have come to on their machine. @param own undefined for one that is missing */
export function worstOf(
  own: readonly (CommandRow | undefined)[],
  over: boolean,
): { readonly status: CommandStatus; readonly reason: string | null; readonly statuses: readonly CommandStatus[] } {
  const statuses = own.map((row) => row?.status ?? (over ? 'expired' : 'pending'));
  const status = WORST_FIRST.find((one) => statuses.includes(one)) ?? 'done';
  const worst = own.find((row) => row?.status === status);
  return {
    status,
    reason: worst !== undefined ? reasonOf(worst) : status === 'expired' ? NEVER_GIVEN : null,
    statuses,
  };
}

export type MachineCounts = Readonly<Record<CommandStatus, number>>;

export const countsIn = (machines: readonly { readonly status: CommandStatus }[]): MachineCounts => {
  const counts = { pending: 0, done: 0, refused: 0, expired: 0 };
  for (const { status } of machines) counts[status] += 1;
  return counts;
};

/** How many commands of acts have come to what. @param machines those that count; undefined for all */
export async function statusCounts(
  db: FleetDatabase,
  acts: readonly string[],
  machines?: readonly string[],
): Promise<ReadonlyMap<string, MachineCounts>> {
  const { rows } = await sql<{ act: string; status: CommandStatus; count: number }>`
    SELECT c.act, ${STATUS} AS status, count(*) AS count FROM commands c WHERE c.act = ANY(${[...acts]}::text[])
      ${machines === undefined ? sql`` : sql`AND c.machine = ANY(${[...machines]}::text[])`}
    GROUP BY 1, 2`.execute(db);
  const counts = new Map(acts.map((act) => [act, { pending: 0, done: 0, refused: 0, expired: 0 }]));
  for (const { act, status, count } of rows) counts.get(act)![status] += count;
  return counts;
}

/**
 * On how many machines an act has come to what, without reading its commands: a list shows many acts.
 * @param wanted how many commands it should have there
 * @param machines those that count; undefined for all
 * @returns undefined while some of its commands are missing
 */
export async function machineCounts(
  db: FleetDatabase,
  act: string,
  wanted: number,
  machines: readonly string[] | undefined,
): Promise<MachineCounts | undefined> {
  const { rows } = await sql<{ worst: number; machines: number; given: number }>`
    SELECT m.worst, count(*) AS machines, sum(m.given)::bigint AS given FROM (
      SELECT min(array_position(${[...WORST_FIRST]}::text[], ${STATUS})) AS worst, count(*) AS given FROM commands c
      WHERE c.act = ${act} ${machines === undefined ? sql`` : sql`AND c.machine = ANY(${[...machines]}::text[])`}
      GROUP BY c.machine) AS m GROUP BY m.worst`.execute(db);
  if (rows.reduce((sum, { given }) => sum + given, 0) < wanted) return undefined;
  const counts = { ...countsIn([]) };
  for (const { worst, machines: some } of rows) counts[WORST_FIRST[worst - 1]!] += some;
  return counts;
}

export const COMMAND_COLUMNS = sql`c.id, c.machine, c.log, c.command, c.incident, c.body, c.by, c.role, c.issued_at,
  c.expires_at, c.fetched_at, c.finished_at, ${STATUS} AS status, c.status AS answered, c.result, c.act`;

export interface CommandsOptions {
  readonly db: FleetDatabase;
  readonly signer: Signer;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
}

export class FleetCommands {
  readonly #options: CommandsOptions;

  constructor(options: CommandsOptions) {
    this.#options = options;
  }

  /**
   * Stores a command, signed.
   * @throws RecorderError `idempotency_mismatch` when the key was used with another command
   */
  async issue(asked: AskedCommand): Promise<{ readonly row: CommandRow; readonly isNew: boolean }> {
    const { db, signer, clock } = this.#options;
    const { machine, log, command, body, key, principal, by, role, act, incident, expectedVersion } = asked;
    const id = commandId(principal, machine, key);
    const now = clock.now();
    const [issued, expires] = [timestamp(now), timestamp(now + asked.goodFor)];
    const version = expectedVersion === undefined ? {} : { expected_version: expectedVersion };
    // The recorder takes two commands with one key for the same: so the key is the name, which holds who gave it.
    const text = { id, machine, log, command, body, ...version, idempotency_key: id, by, role, issued, expires };
    const signed = signCommand(text, signer);
    const { rows } = await sql`
      INSERT INTO commands (machine, id, log, command, incident, body, signed, by, role, issued_at, expires_at, state, act)
      VALUES (${machine}, ${id}, ${log}, ${command}, ${incident ?? null}, ${storable(body)}::jsonb, ${signed}, ${by},
        ${role}, ${issued}::timestamptz, ${expires}::timestamptz, 'pending', ${act ?? null})
      ON CONFLICT DO NOTHING RETURNING id`.execute(db);
    const row = await this.find(machine, id);
    if (row === undefined) throw new RecorderError('internal', 'a command that was stored is not there');
    const isNew = rows.length > 0;
    if (!isNew && !(await this.#isSame(row, text)))
      throw new RecorderError('idempotency_mismatch', 'this Idempotency-Key was used with another command');
    return { row, isNew };
  }

  /** Whether a command that is stored is the one that is asked for again, whenever that was. */
  async #isSame({ machine, id }: CommandRow, asked: CommandText): Promise<boolean> {
    const { signed } = await this.#options.db
      .selectFrom('commands')
      .select('signed')
      .where('machine', '=', machine)
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    return canonicalOf(timeless(commandIn(signed))) === canonicalOf(timeless(asked));
  }

  async find(machine: string, id: string): Promise<CommandRow | undefined> {
    const { rows } = await sql<CommandRow>`
      SELECT ${COMMAND_COLUMNS} FROM commands c WHERE c.machine = ${machine} AND c.id = ${id}`.execute(
      this.#options.db,
    );
    return rows[0];
  }

  /** A command, as soon as it has come to something; as it is when the time is over. @param time in milliseconds */
  async settled(row: CommandRow, time: number, left: AbortSignal): Promise<CommandRow> {
    const { clock } = this.#options;
    const until = clock.monotonic() + time;
    let now = row;
    while (now.status === 'pending' && clock.monotonic() < until && !left.aborted) {
      await wait(LOOK_EVERY, undefined, { ref: false });
      now = (await this.find(row.machine, row.id)) ?? now;
    }
    return now;
  }
}

/** The name of a command: one of its own for every key of a person, and for every command without one. */
function commandId(principal: string, machine: string, key: string | undefined): string {
  if (key === undefined) return `CMD-${randomBytes(12).toString('hex')}`;
  const hash = createHash('sha256').update(JSON.stringify([principal, machine, key]));
  return `CMD-${hash.digest('hex').slice(0, 24)}`;
}

/** What a command asks for, and for how long it is good. The log is that of the machine when it was asked for. */
const timeless = ({ log: _, issued, expires, ...asked }: CommandText): object => ({
  ...asked,
  good_for: Date.parse(expires) - Date.parse(issued),
});

const canonicalOf = (value: object): string => canonicalForm(value as unknown as JsonValue);

/** A command as the API shows it. @param words whether what people and machines have written is shown */
export function shownCommand(row: CommandRow, words = true): object {
  const { body, answered, result, status, issued_at, expires_at, fetched_at, finished_at, act, ...rest } = row;
  const answer = answered === null ? null : { status: answered, body: parsed(result) };
  return {
    ...rest,
    body: words ? body : null,
    status,
    issued_at: issued_at.toISOString(),
    expires_at: expires_at.toISOString(),
    fetched_at: fetched_at?.toISOString() ?? null,
    finished_at: finished_at?.toISOString() ?? null,
    answer: words ? answer : null,
    reason: words ? reasonOf(row) : null,
    act,
  };
}

/** Why a command was not carried out, in the machine's words where it has said so. */
export function reasonOf({ status, result, fetched_at }: CommandRow): string | null {
  if (status === 'pending' || status === 'done') return null;
  const { error } = (parsed(result) ?? {}) as { readonly error?: unknown };
  if (typeof error === 'string') return error;
  if (status === 'refused') return 'the machine gave no reason';
  return fetched_at === null ? 'the machine has not fetched it in time' : 'the machine has fetched it and not answered';
}

/** The identifier of what a machine has made, as it has answered; null where it says none. */
export function idIn(result: string | null): string | null {
  const { id } = (parsed(result) ?? {}) as { readonly id?: unknown };
  return typeof id === 'string' ? id : null;
}

function parsed(text: string | null): unknown {
  if (text === null) return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
