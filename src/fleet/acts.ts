/** The fleet's own record of what people did at it. */
import { createHash, randomBytes } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import { MINUTE } from '../clock.ts';
import type { FleetDatabase } from './database.ts';

/** PostgreSQL holds no NUL and no half of a character, in JSON neither. */
export const storable = (value: unknown): string =>
  JSON.stringify(value, (_, one: unknown) => (typeof one === 'string' ? one.replaceAll('\0', '').toWellFormed() : one));

/** From when on after an act, and for how long, the commands are added that a process which has ended has left out: milliseconds. */
const LATE = 5000;
const COMPLETED_FOR = 10 * MINUTE;
/** After so many milliseconds nobody adds any: one that was begun in time has ended, too. */
const OVER_AFTER = 15 * MINUTE;

const ago = (time: number): RawBuilder<unknown> => sql`clock_timestamp() - ${time}::float8 * interval '1 millisecond'`;

/** Whether the commands of an act, a row `a`, are completed now. */
const isCompleted = sql<boolean>`a.at > ${ago(COMPLETED_FOR)} AND a.at < ${ago(LATE)}`;

/** Whether an act, a row `a`, gets no more commands. */
const isOver = sql<boolean>`a.at < ${ago(OVER_AFTER)}`;

/** Why a command of an act that gets no more of them has come to nothing. */
export const NEVER_GIVEN = 'the fleet was stopped before it gave this command: ask again';

/** Records an act. @param act `machine` is empty where it concerns none */
export async function noteAct(
  db: FleetDatabase,
  { machine, who, what, detail, id }: { machine: string; who: string; what: string; detail: object; id?: string },
): Promise<void> {
  const name = id ?? `${new Date().toISOString()}-${randomBytes(6).toString('hex')}`;
  await sql`
    INSERT INTO acts (machine, id, at, who, what, detail)
    VALUES (${machine}, ${name}, clock_timestamp(), ${who}, ${what}, ${storable(detail)}::jsonb)
    ON CONFLICT DO NOTHING`.execute(db);
}

/** The identifier of an act. @param named what it follows from: the same gives the same; without it, a new one */
export function actName(named: readonly string[] | undefined): string {
  if (named === undefined) return `ACT-${randomBytes(12).toString('hex')}`;
  const digest = createHash('sha256').update(JSON.stringify(named)).digest('hex');
  return `ACT-${digest.slice(0, 24)}`;
}

export interface StoredAct<Detail> {
  readonly id: string;
  readonly at: Date;
  /** Whether the commands that are missing come to nothing. */
  readonly over: boolean;
  /** Of an act that goes on as long as its client asks: how many of its selection were asked for. */
  readonly asked: number;
  readonly detail: Detail;
}

/** How many commands are counted for a page of a list of acts, besides those of the last act on it. */
const MOST_COUNTED = 10_000;

/** The acts of one kind, from which commands to machines follow. */
export class ActStore<Detail extends { readonly act: string; readonly by: string }> {
  readonly #db: FleetDatabase;
  readonly #what: string;

  constructor(db: FleetDatabase, what: string) {
    this.#db = db;
    this.#what = what;
  }

  /**
   * Stores an act.
   * @param size how many commands it gives
   * @param selection what of it is long, and not in lists
   * @returns the one that is stored under this name: the first one stays
   */
  async store(act: Detail, size: number, selection?: object): Promise<StoredAct<Detail> | undefined> {
    await sql`
      INSERT INTO acts (machine, id, at, who, what, detail, size, selection)
      VALUES ('', ${act.act}, clock_timestamp(), ${act.by}, ${this.#what}, ${storable(act)}::jsonb, ${size}::integer,
        ${selection === undefined ? null : storable(selection)}::jsonb)
      ON CONFLICT DO NOTHING`.execute(this.#db);
    return this.find(act.act);
  }

  /** What of an act is not in lists. */
  async selectionOf(act: string): Promise<unknown> {
    const { rows } = await sql<{ selection: unknown }>`
      SELECT a.selection FROM acts a WHERE a.machine = '' AND a.id = ${act}`.execute(this.#db);
    return rows[0]?.selection;
  }

  /** Notes how many of its selection were asked for. */
  async noteAsked(act: string, asked: number): Promise<void> {
    await sql`
      UPDATE acts SET asked = ${asked}::integer WHERE machine = '' AND id = ${act} AND asked < ${asked}::integer`.execute(
      this.#db,
    );
  }

  async find(act: string): Promise<StoredAct<Detail> | undefined> {
    const { rows } = await sql<StoredAct<Detail>>`
      SELECT a.id, a.at, ${isOver} AS over, a.asked, a.detail FROM acts a
      WHERE a.machine = '' AND a.id = ${act} AND a.what = ${this.#what}`.execute(this.#db);
    return rows[0];
  }

  /**
   * The newest acts. What became of each is counted, so a page ends early behind those that have given many commands.
   * @returns the rows, and how many of them fit on the page
   */
  async list(
    limit: number,
    before: { readonly at: string; readonly id: string } | undefined,
  ): Promise<{ readonly rows: readonly StoredAct<Detail>[]; readonly fitting: number }> {
    const { rows } = await sql<StoredAct<Detail> & { readonly fits: boolean }>`
      WITH p AS MATERIALIZED (
        SELECT a.id, a.at, a.size FROM acts a WHERE a.machine = '' AND a.what = ${this.#what}
          ${before === undefined ? sql`` : sql`AND (a.at, a.id) < (${before.at}::timestamptz, ${before.id})`}
        ORDER BY a.at DESC, a.id DESC LIMIT ${limit}::bigint
      ), fitting AS (
        SELECT p.id, sum(p.size) OVER (ORDER BY p.at DESC, p.id DESC) - p.size < ${sql.lit(MOST_COUNTED)} AS fits FROM p
      )
      SELECT a.id, a.at, ${isOver} AS over, a.asked, CASE WHEN f.fits THEN a.detail END AS detail, f.fits
      FROM fitting f JOIN acts a ON a.machine = '' AND a.id = f.id ORDER BY a.at DESC, a.id DESC`.execute(this.#db);
    return { rows, fitting: rows.filter(({ fits }) => fits).length };
  }

  /** The acts that get further commands now, and have fewer than they should. @param wanted how many, of a row `a` */
  async incomplete(wanted: RawBuilder<number>): Promise<readonly Detail[]> {
    const { rows } = await sql<{ detail: Detail }>`
      SELECT a.detail FROM acts a WHERE a.machine = '' AND a.what = ${this.#what} AND ${isCompleted}
        AND ${wanted} > (SELECT count(*) FROM commands c WHERE c.act = a.id)
      LIMIT 10`.execute(this.#db);
    return rows.map(({ detail }) => detail);
  }
}

/** How many commands are stored at a time. */
const AT_ONCE = 4;

/** Does something for each, a few at a time. */
export async function fewAtOnce<One>(all: readonly One[], act: (one: One) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < all.length; at += AT_ONCE) await Promise.all(all.slice(at, at + AT_ONCE).map(act));
}
