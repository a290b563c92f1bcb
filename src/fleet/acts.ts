/** The fleet's own record of what people did at it. */
import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { FleetDatabase } from './database.ts';

/** PostgreSQL holds no NUL and no half of a character, in JSON neither. */
export const storable = (value: unknown): string =>
  JSON.stringify(value, (_, one: unknown) => (typeof one === 'string' ? one.replaceAll('\0', '').toWellFormed() : one));

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
