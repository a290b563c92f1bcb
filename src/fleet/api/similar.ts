/**
 * The incidents whose evidence has the same values under the same keys as that of one, on all machines: those with the most
 * of them first, then those with rarer ones, then the newest. For each value the newest incidents that have it are looked at.
 */
import { sql } from 'kysely';
import { MINUTE } from '../../clock.ts';
import type { Incident } from '../../domain/incident.ts';
import { bySimilarity, evidenceOf, type SimilarIncident } from '../../query/similar-evidence.ts';
import { type EvidenceValue, LONGEST_TERM } from '../../search/evidence-words.ts';
import type { FleetDatabase } from '../database.ts';
import { documentsOf, type IncidentKey } from './documents.ts';
import type { OneIncident } from './one-incident.ts';
import { anyText, foundBy, haveAdded, haveReported } from './list-filter.ts';
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
/** What is common is known for so many milliseconds, of so many values. */
const COMMON_FOR = MINUTE;
const MOST_KNOWN = 1000;
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

/**
 * @param machines those that count; undefined for all
 * @param common what was found to be common, and until when that is believed: kept from one time to the next
 */
export async function similarTo(
  db: FleetDatabase,
  own: OneIncident,
  machines: readonly string[] | undefined,
  limit: number,
  common: CommonValues,
): Promise<readonly SimilarOnMachine[]> {
  const values = [...evidenceOf(JSON.parse(own.document) as Incident)]
    .filter(([, { path, value }]) => path.length + String(value).length <= LONGEST_TERM)
    .slice(0, MOST_VALUES);
  const weights = new Map<string, number>();
  const candidates = new Map<string, Candidate>();
  const wanted = values.map(([, value]) => value);
  for (const [place, found] of (await newestWithEach(db, wanted, machines, common)).entries()) {
    const [key] = values[place]!;
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
    for (const one of await newestWithAll(db, wanted, machines)) {
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

/** Those of which it was found that many have them. */
export class CommonValues {
  readonly #until = new Map<string, number>();

  has(value: string): boolean {
    return (this.#until.get(value) ?? 0) > performance.now();
  }

  add(value: string): void {
    if (this.#until.size >= MOST_KNOWN) this.#until.clear();
    this.#until.set(value, performance.now() + COMMON_FOR);
  }
}

const searchFor = (values: readonly EvidenceValue[]): string =>
  pairsQuery(values.map(({ path, value }) => ({ path, value: String(value) })));

const ofMachines = (machines: readonly string[] | undefined) =>
  machines === undefined ? sql`` : sql`AND i.machine = ${anyText(machines)}`;

/** For each of some values the newest incidents that have it. */
async function newestWithEach(
  db: FleetDatabase,
  values: readonly EvidenceValue[],
  machines: readonly string[] | undefined,
  common: CommonValues,
): Promise<readonly (readonly Found[])[]> {
  const found: (readonly Found[])[] = values.map(() => []);
  const frequent: { readonly place: number; readonly search: string }[] = [];
  for (const [place, value] of values.entries()) {
    const search = searchFor([value]);
    if (!common.has(search) && (await areFew(db, [search]))) found[place] = await newestOfFew(db, [search], machines);
    else {
      common.add(search);
      frequent.push({ place, search });
    }
  }
  const searches = frequent.map(({ search }) => search);
  for (const [at, some] of (await amongNewest(db, searches, machines)).entries()) found[frequent[at]!.place] = some;
  return found;
}

/** The newest incidents that have all of some values. */
async function newestWithAll(
  db: FleetDatabase,
  values: readonly EvidenceValue[],
  machines: readonly string[] | undefined,
): Promise<readonly Found[]> {
  const search = searchFor(values);
  if (await areFew(db, [search])) return newestOfFew(db, [search], machines);
  return (await amongNewest(db, [search], machines))[0] ?? [];
}

/** Whether few incidents have what is searched for. */
async function areFew(db: FleetDatabase, wanted: readonly [string]): Promise<boolean> {
  const { rows } = await sql<{ count: number }>`
    WITH found AS MATERIALIZED (
      SELECT 1 FROM ${haveReported(wanted)} UNION ALL SELECT 1 FROM ${haveAdded(wanted)}
    ) SELECT count(*) AS count FROM (SELECT 1 FROM found LIMIT ${sql.lit(FEW + 1)}) AS few`.execute(db);
  return Number(rows[0]?.count) <= FEW;
}

async function newestOfFew(
  db: FleetDatabase,
  wanted: readonly [string],
  machines: readonly string[] | undefined,
): Promise<readonly Found[]> {
  const { rows } = await sql<Found>`
    WITH f AS MATERIALIZED (
      SELECT i.machine, i.log, i.id, i.created_at, i.number FROM ${foundBy(wanted)} WHERE i.current ${ofMachines(machines)}
    )
    SELECT * FROM f ORDER BY created_at DESC, number DESC, machine LIMIT ${sql.lit(NEWEST + 1)}`.execute(db);
  return rows;
}

/** For each of some searches those of the newest incidents that have it: of what many have, the newest are among these. */
async function amongNewest(
  db: FleetDatabase,
  searches: readonly string[],
  machines: readonly string[] | undefined,
): Promise<readonly (readonly Found[])[]> {
  if (searches.length === 0) return [];
  const newest = sql.join(
    partsOfRanks().map(
      (part) => sql`(
        SELECT machine, log, id, created_at, number FROM incidents i WHERE i.current AND ${part} ${ofMachines(machines)}
        ORDER BY ${NEWEST_FIRST} LIMIT ${sql.lit(MOST_LOOKED_AT)})`,
    ),
    sql` UNION ALL `,
  );
  // The words of each are read once for all searches.
  const { rows } = await sql<Found & { readonly places: readonly number[] }>`
    SELECT i.machine, i.log, i.id, i.created_at, i.number, h.places
    FROM (SELECT * FROM (${newest}) AS u ORDER BY ${NEWEST_FIRST} LIMIT ${sql.lit(MOST_LOOKED_AT)}) AS i
      JOIN words w ON w.machine = i.machine AND w.log = i.log AND w.id = i.id
      LEFT JOIN later_words l ON l.machine = i.machine AND l.log = i.log AND l.id = i.id
      CROSS JOIN LATERAL (
        SELECT array_agg(s.place::int) AS places FROM unnest(${[...searches]}::tsquery[]) WITH ORDINALITY AS s (wanted, place)
        WHERE w.search @@ s.wanted OR coalesce((w.search || l.search) @@ s.wanted, false)) AS h
    WHERE h.places IS NOT NULL ORDER BY i.created_at DESC, i.number DESC, i.machine`.execute(db);
  return searches.map((_, at) => rows.filter(({ places }) => places.includes(at + 1)).slice(0, NEWEST + 1));
}
