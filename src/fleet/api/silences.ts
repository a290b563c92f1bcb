/** The silences of all machines. */
import { sql } from 'kysely';
import { SEVERITIES } from '../../../machines/vocabulary.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { nothingSchema } from '../../api/request/fields.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import type { Incident } from '../../domain/incident.ts';
import { isRunning, shownSilence } from '../../domain/silence.ts';
import { silencesMatching } from '../../query/silence-match.ts';
import { storable } from '../acts.ts';
import type { FleetDatabase } from '../database.ts';
import { type MachineSilence, silencesOf } from '../read-models/silences.ts';
import type { FleetDependencies } from './dependencies.ts';
import { documentsOf, type IncidentKey } from './documents.ts';
import { anyText } from './list-filter.ts';
import { parameters } from './one-incident.ts';
import { readingIn } from './reading.ts';

/** How many incidents of one machine are compared with its silences. */
const MOST_COMPARED = 2000;

export const silenceRoutes = (dependencies: FleetDependencies): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/silences',
    handle: async (ctx) => {
      const { db, clock } = dependencies;
      const reading = await readingIn(dependencies, ctx);
      validate(nothingSchema, parameters(reading), 'parameter');
      const now = clock.now();
      const all = await silencesOf(db, reading.machines);
      const matches = await matchesOf(
        db,
        all.filter(({ silence }) => isRunning(silence, now)),
      );
      // Of each machine the newest first.
      const shown = [...Map.groupBy(all, (one) => one.machine).values()].flatMap((silences) =>
        silences.toReversed().map((one) => ({
          machine: one.machine,
          ...shownSilence(one.silence, now, matches.get(one) ?? 0),
        })),
      );
      respondJson(ctx, 200, JSON.stringify(shown));
    },
  },
];

/** How many incidents need attention that each silence matches, on its machine. */
async function matchesOf(
  db: FleetDatabase,
  silences: readonly MachineSilence[],
): Promise<ReadonlyMap<MachineSilence, number>> {
  const [plain, searching] = [silences.filter(isPlain), silences.filter((one) => !isPlain(one))];
  const { rows } = plain.length === 0 ? { rows: [] } : await countPlain(db, plain);
  const matches = new Map(rows.map((row) => [plain[row.place]!, row.count]));
  for (const [machine, some] of Map.groupBy(searching, (one) => one.machine))
    await countByTexts(db, machine, some, matches);
  return matches;
}

/** Whether columns say which incidents a silence matches. */
const isPlain = ({ silence }: MachineSilence): boolean => silence.q === undefined;

/** Counts what silences match whose terms are columns: all of them at once. */
const countPlain = (db: FleetDatabase, silences: readonly MachineSilence[]) => {
  const terms = silences.map(({ machine, silence }, place) => ({
    place,
    machine,
    class: silence.class,
    source: silence.source,
    rank: silence.severity.map((severity) => SEVERITIES.indexOf(severity)),
  }));
  const admits = (name: string) =>
    sql`(cardinality(s.${sql.ref(name)}) = 0 OR i.${sql.ref(name)} = ANY(s.${sql.ref(name)}))`;
  return sql<{ place: number; count: number }>`
    WITH needing AS MATERIALIZED (
      SELECT i.machine, i.class, i.source, i.rank FROM incidents i
      WHERE i.current AND i.attention AND i.machine = ${anyText([...new Set(terms.map(({ machine }) => machine))])}
    )
    SELECT s.place, count(*) AS count
    FROM jsonb_to_recordset(${storable(terms)}::jsonb)
      AS s (place int, machine text, class text[], source text[], rank smallint[])
    JOIN needing i ON i.machine = s.machine AND ${admits('class')} AND ${admits('source')} AND ${admits('rank')}
    GROUP BY s.place`.execute(db);
};

/** Counts the incidents of a machine that need attention and that its silences match, by their texts. */
async function countByTexts(
  db: FleetDatabase,
  machine: string,
  silences: readonly MachineSilence[],
  matches: Map<MachineSilence, number>,
): Promise<void> {
  const { rows } = await sql<IncidentKey>`
    SELECT machine, log, id FROM incidents i WHERE machine = ${machine} AND current AND attention
    LIMIT ${sql.lit(MOST_COMPARED)}`.execute(db);
  for (const { document } of await documentsOf(db, rows)) {
    const incident = JSON.parse(document) as Incident;
    for (const one of silences) {
      if (silencesMatching(incident, [one.silence]).length > 0) matches.set(one, (matches.get(one) ?? 0) + 1);
    }
  }
}
