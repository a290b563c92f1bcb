/** The routes for people: what the recorder's API shows, with a machine in it. */
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { admission } from '../../api/middleware/admission.ts';
import { FleetAlarms } from '../alarms.ts';
import { FleetCommands } from '../commands.ts';
import { LabelActs } from '../label-acts.ts';
import { ReleaseActs } from '../release-acts.ts';
import { SilenceActs } from '../silence-acts.ts';
import { bulkRoutes } from './bulk.ts';
import { byLabelRoutes } from './by-label.ts';
import { campaignRoutes } from './campaigns.ts';
import { actingRoutes, commandListRoutes } from './commands.ts';
import { fleetIncidentRoutes } from './fleet-incidents.ts';
import { machineListRoutes } from './machines.ts';
import { machineLogRoutes } from './machine-log.ts';
import { changesRoutes } from './changes.ts';
import { exportRoutes } from './exports.ts';
import type { FleetDependencies } from './dependencies.ts';
import { groupRoutes } from './groups.ts';
import { identityRoutes } from './identity.ts';
import { incidentRoutes } from './incidents.ts';
import { KeptSums } from './kept-sums.ts';
import { postureRoutes } from './posture.ts';
import { recoveryRoutes } from './recoveries.ts';
import { releaseByLabelRoutes } from './release-by-label.ts';
import { releasePreviewRoutes } from './release-preview.ts';
import { serviceRoutes } from './service.ts';
import { silenceByLabelRoutes } from './silence-by-label.ts';
import { silenceRoutes } from './silences.ts';
import { statechartRoutes } from './statecharts.ts';
import { statisticsRoutes } from './stats.ts';
import { FleetStreams, streamRoutes } from './stream.ts';
import { FleetTotals } from './totals.ts';

/** In bytes: as a recorder's. */
const LONGEST_BODY = 256 * 1024;

/** Every route for people. */
export const readRoutes = (dependencies: FleetDependencies): readonly ApiRoute[] => {
  const kept = new KeptSums(dependencies.db, dependencies.clock);
  const totals = new FleetTotals(dependencies.db, kept);
  const streams = new FleetStreams(dependencies);
  const admissions = admission({ access: dependencies.access, maxBodyBytes: LONGEST_BODY });
  const alarms = dependencies.alarms ?? new FleetAlarms(dependencies);
  const commands = dependencies.commands ?? new FleetCommands(dependencies);
  const acts = dependencies.acts ?? new LabelActs({ ...dependencies, commands });
  const releases = dependencies.releases ?? new ReleaseActs({ ...dependencies, commands });
  const silences = dependencies.silences ?? new SilenceActs({ ...dependencies, commands });
  const own = [
    ...machineListRoutes(dependencies, alarms),
    ...fleetIncidentRoutes(dependencies, alarms, admissions),
    ...campaignRoutes(dependencies, admissions),
    ...actingRoutes(dependencies, commands, admissions),
    ...commandListRoutes(dependencies, commands),
    ...bulkRoutes(dependencies, commands, admissions),
    // Before the others by label: release is no act.
    ...releaseByLabelRoutes(dependencies, releases, admissions),
    ...byLabelRoutes(dependencies, acts, admissions),
    ...silenceByLabelRoutes(dependencies, silences, admissions),
  ];
  const reads = [
    ...incidentRoutes(dependencies, totals),
    ...changesRoutes(dependencies),
    ...groupRoutes(dependencies),
    ...statisticsRoutes(dependencies, totals, kept),
    ...streamRoutes(dependencies, streams),
    ...statechartRoutes(dependencies),
    ...releasePreviewRoutes(dependencies),
    ...postureRoutes(dependencies),
    ...recoveryRoutes(dependencies),
    ...machineLogRoutes(dependencies),
    ...silenceRoutes(dependencies),
    ...identityRoutes(dependencies),
    ...exportRoutes(dependencies, admissions),
  ];
  const paths = reads.map(({ path }) => path);
  // The fleet's own first: by-label is no action.
  return [...own, ...reads, ...serviceRoutes(dependencies, streams, paths)];
};
