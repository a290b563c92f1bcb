/** Reads the documents of incidents: many in one query. */
import { sql } from 'kysely';
import type { FleetDatabase } from '../database.ts';

export interface IncidentKey {
  readonly machine: string;
  readonly log: string;
  readonly id: string;
}

/** The documents of some incidents, JSON text, in their order. What has left the database meanwhile is left out. */
export async function documentsOf<Key extends IncidentKey>(
  db: FleetDatabase,
  keys: readonly Key[],
): Promise<readonly (Key & { readonly document: string })[]> {
  if (keys.length === 0) return [];
  const { rows } = await sql<{ place: number; document: string }>`
    SELECT k.place, d.document FROM unnest(
      ${keys.map(({ machine }) => machine)}::text[], ${keys.map(({ log }) => log)}::text[],
      ${keys.map(({ id }) => id)}::text[]) WITH ORDINALITY AS k (machine, log, id, place)
    JOIN documents d ON d.machine = k.machine AND d.log = k.log AND d.id = k.id
    ORDER BY k.place`.execute(db);
  return rows.map(({ place, document }) => ({ ...keys[place - 1]!, document }));
}

/** What the statecharts of some incidents remember, JSON text, in their order, as `documentsOf`. */
export async function contextsOf<Key extends IncidentKey>(
  db: FleetDatabase,
  keys: readonly Key[],
): Promise<readonly (Key & { readonly context: string })[]> {
  if (keys.length === 0) return [];
  const { rows } = await sql<{ place: number; context: string }>`
    SELECT k.place, d.context FROM unnest(
      ${keys.map(({ machine }) => machine)}::text[], ${keys.map(({ log }) => log)}::text[],
      ${keys.map(({ id }) => id)}::text[]) WITH ORDINALITY AS k (machine, log, id, place)
    JOIN documents d ON d.machine = k.machine AND d.log = k.log AND d.id = k.id
    ORDER BY k.place`.execute(db);
  return rows.map(({ place, context }) => ({ ...keys[place - 1]!, context }));
}

/** An incident's document as the fleet shows it: with the machine as its first member. */
export const withMachine = (machine: string, json: string): string =>
  `{"machine":${JSON.stringify(machine)},${json.slice(1)}`;

/** A JSON list of incidents' documents, each with its machine as its first member. */
export function listWithMachines(items: readonly { readonly machine: string; readonly json: string }[]): Buffer {
  const pieces: Buffer[] = [OPENING];
  const prefixes = new Map<string, Buffer>();
  for (const { machine, json } of items) {
    if (pieces.length > 1) pieces.push(COMMA);
    let prefix = prefixes.get(machine);
    if (prefix === undefined) {
      prefix = Buffer.from(`{"machine":${JSON.stringify(machine)},`);
      prefixes.set(machine, prefix);
    }
    // One text of all of them would be copied once more before it is UTF-8.
    pieces.push(prefix, Buffer.from(json).subarray(1));
  }
  pieces.push(CLOSING);
  return Buffer.concat(pieces);
}

const [OPENING, COMMA, CLOSING] = ['[', ',', ']'].map((text) => Buffer.from(text)) as [Buffer, Buffer, Buffer];
