/**
 * The incidents whose evidence has the same values under the same keys as that of one, on all machines: those with the most
 * of them first, then those with rarer ones, then the newest. For each value the newest incidents that have it are looked at.
 */
import { sql } from 'kysely';
import type { Incident } from '../../domain/incident.ts';
import { bySimilarity, evidenceOf, type SimilarIncident } from '../../query/similar-evidence.ts';
import { type EvidenceValue, LONGEST_TERM } from '../../search/evidence-words.ts';
import type { FleetDatabase } from '../database.ts';
import { documentsOf, type IncidentKey } from './documents.ts';
import type { OneIncident } from './one-incident.ts';
import { anyText, foundBy, haveAdded, haveReported, matches } from './list-filter.ts';
import { partsOfRanks } from './list-order.ts';
import { pairsQuery } from './search-query.ts';

/** How many values are looked up, how many incidents are looked at for each, and how many are compared in all. */
const MOST_VALUES = 64;
const NEWEST = 256;
const MOST_COMPARED = 256;
/** With so many incidents or fewer a value is rare, and the newest are found among all that have it. */
const FEW = 2000;
/** Among how many of the newest incidents those are looked for that have what is not rare. */
const MOST_LOOKED_AT = 4000;
const MOST_CHARACTERS = 2 * 1024 * 1024;

interface Found extends IncidentKey {
  readonly created_at: Date;
  readonly number: number;
}

interface Candidate extends IncidentKey {
  readonly number: number;
  count: number;
  weight: number;
}

export interface SimilarOnMachine extends SimilarIncident {
  readonly machine: string;
}

/** @param machines those that count; undefined for all */
export async function similarTo(
  db: FleetDatabase,
  own: OneIncident,
  machines: readonly string[] | undefined,
  limit: number,
): Promise<readonly SimilarOnMachine[]> {
  const values = [...evidenceOf(JSON.parse(own.document) as Incident)]
    .filter(([, { path, value }]) => path.length + String(value).length <= LONGEST_TERM)
    .slice(0, MOST_VALUES);
  const weights = new Map<string, number>();
  const candidates = new Map<string, Candidate>();
  const having = (pairs: readonly EvidenceValue[]) => newestWith(db, pairs, machines);
  for (const [key, value] of values) {
    const found = await having([value]);
    const weight = 1 / found.length;
    weights.set(key, weight);
    for (const one of found) {
      const candidate = candidates.get(nameOf(one)) ?? candidateOf(one, 0);
      candidate.count += 1;
      candidate.weight += weight;
      candidates.set(nameOf(one), candidate);
    }
  }
  if (values.length > 1) {
    for (const one of await having(values.map(([, value]) => value))) {
      candidates.set(nameOf(one), candidateOf(one, values.length));
    }
  }
  candidates.delete(nameOf(own));
  const compared = await documentsOf(db, [...candidates.values()].toSorted(bySimilarity).slice(0, MOST_COMPARED));
  const similar: (Candidate & SimilarOnMachine)[] = [];
  let characters = 0;
  for (const { document, ...candidate } of compared) {
    characters += document.length;
    if (characters > MOST_CHARACTERS && similar.length > 0) break;
    const same = [...evidenceOf(JSON.parse(document) as Incident)].filter(([key]) => weights.has(key));
    if (same.length === 0) continue;
    similar.push({
      ...candidate,
      count: same.length,
      weight: same.reduce((sum, [key]) => sum + (weights.get(key) ?? 0), 0),
      json: document,
      same: same.map(([, value]) => value),
    });
  }
  return similar.toSorted(bySimilarity).slice(0, limit);
}

/** Of the newest the number is the highest, on one machine; over machines the time decides. */
const candidateOf = ({ machine, log, id, created_at, number }: Found, count: number): Candidate => ({
  machine,
  log,
  id,
  number: created_at.getTime() + number / 1e9,
  count,
  weight: 0,
});

const nameOf = ({ machine, id }: Pick<IncidentKey, 'machine' | 'id'>): string => `${machine} ${id}`;

const NEWEST_FIRST = sql`created_at DESC, machine DESC, id DESC`;

async function newestWith(
  db: FleetDatabase,
  values: readonly EvidenceValue[],
  machines: readonly string[] | undefined,
): Promise<readonly Found[]> {
  const wanted = [pairsQuery(values.map(({ path, value }) => ({ path, value: String(value) })))];
  const ofMachines = machines === undefined ? sql`` : sql`AND i.machine = ${anyText(machines)}`;
  const { rows: counts } = await sql<{ count: number }>`
    SELECT count(*) AS count FROM (
      SELECT 1 FROM ${haveReported(wanted)} UNION ALL SELECT 1 FROM ${haveAdded(wanted)} LIMIT ${sql.lit(FEW + 1)}
    ) AS few`.execute(db);
  const newest = sql.join(
    partsOfRanks().map(
      (part) => sql`(
        SELECT machine, log, id, created_at, number FROM incidents i WHERE i.current AND ${part} ${ofMachines}
        ORDER BY ${NEWEST_FIRST} LIMIT ${sql.lit(MOST_LOOKED_AT)})`,
    ),
    sql` UNION ALL `,
  );
  // Of what many have, the newest are among the newest of all.
  const from =
    Number(counts[0]?.count) <= FEW
      ? sql`${foundBy(wanted)} WHERE i.current ${ofMachines}`
      : sql`(
          SELECT * FROM (${newest}) AS u ORDER BY ${NEWEST_FIRST} LIMIT ${sql.lit(MOST_LOOKED_AT)}
        ) AS i WHERE ${matches(wanted)}`;
  const { rows } = await sql<Found>`
    WITH f AS MATERIALIZED (SELECT i.machine, i.log, i.id, i.created_at, i.number FROM ${from})
    SELECT * FROM f ORDER BY created_at DESC, number DESC, machine LIMIT ${sql.lit(NEWEST + 1)}`.execute(db);
  return rows;
}
