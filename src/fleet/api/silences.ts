/** The silences of all machines. */
import { sql } from 'kysely';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { nothingSchema } from '../../api/request/fields.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import type { Incident } from '../../domain/incident.ts';
import { isRunning, shownSilence } from '../../domain/silence.ts';
import { silencesMatching } from '../../query/silence-match.ts';
import type { FleetDatabase } from '../database.ts';
import { type MachineSilence, silencesOf } from '../read-models/silences.ts';
import type { FleetDependencies } from './dependencies.ts';
import { documentsOf, type IncidentKey } from './documents.ts';
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
      const matches = new Map<MachineSilence, number>();
      for (const [machine, silences] of Map.groupBy(all, (one) => one.machine)) {
        const running = silences.filter(({ silence }) => isRunning(silence, now));
        if (running.length > 0) await count(db, machine, running, matches);
      }
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

/** Counts the incidents of a machine that would need attention and that its silences match. */
async function count(
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
