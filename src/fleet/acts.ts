/** The fleet's own record of what people did at it. */
import { randomBytes } from 'node:crypto';
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
export const isCompleted = sql<boolean>`a.at > ${ago(COMPLETED_FOR)} AND a.at < ${ago(LATE)}`;

/** Whether an act, a row `a`, gets no more commands. */
export const isOver = sql<boolean>`a.at < ${ago(OVER_AFTER)}`;

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
