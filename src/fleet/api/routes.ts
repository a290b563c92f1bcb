/** The routes for people: what the recorder's API shows, with a machine in it. */
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { changesRoutes } from './changes.ts';
import type { FleetDependencies } from './dependencies.ts';
import { groupRoutes } from './groups.ts';
import { identityRoutes } from './identity.ts';
import { incidentRoutes } from './incidents.ts';
import { KeptSums } from './kept-sums.ts';
import { postureRoutes } from './posture.ts';
import { serviceRoutes } from './service.ts';
import { silenceRoutes } from './silences.ts';
import { statechartRoutes } from './statecharts.ts';
import { statisticsRoutes } from './stats.ts';
import { FleetStreams, streamRoutes } from './stream.ts';
import { FleetTotals } from './totals.ts';

/** Every route for people. */
export const readRoutes = (dependencies: FleetDependencies): readonly ApiRoute[] => {
  const kept = new KeptSums(dependencies.db, dependencies.clock);
  const totals = new FleetTotals(dependencies.db, kept);
  const streams = new FleetStreams(dependencies);
  const reads = [
    ...incidentRoutes(dependencies, totals),
    ...changesRoutes(dependencies),
    ...groupRoutes(dependencies),
    ...statisticsRoutes(dependencies, totals, kept),
    ...streamRoutes(dependencies, streams),
    ...statechartRoutes(dependencies),
    ...postureRoutes(dependencies),
    ...silenceRoutes(dependencies),
    ...identityRoutes(dependencies),
  ];
  const paths = reads.map(({ path }) => path);
  return [...reads, ...serviceRoutes(dependencies, streams, paths)];
};
