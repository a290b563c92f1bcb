import { type IncidentGroup, statisticsOfGroup } from '../../query/incident-groups.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import { readerOf } from '../middleware/read-access.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { respondJson } from '../respond.ts';
import { turnsOf } from '../server/peer.ts';
import { writeGroupsCursor } from './cursor.ts';
import { readGroupsQuery } from './groups-query.ts';
import { linkToNext } from './link.ts';
import { sayUnsearched } from './reads.ts';

/** The incidents in groups: a burst of hundreds is one of them. And the same as statistics, without drills. */
export const groupRoutes = (
  { incidents, clock, ...dependencies }: Pick<ApiDependencies, 'incidents' | 'clock' | 'access' | 'readEvidence'>,
  { large }: Pick<Admission, 'large'>,
): readonly ApiRoute[] => {
  const route = (
    path: string,
    withoutDrills: boolean,
    show: (group: IncidentGroup) => Partial<IncidentGroup>,
  ): ApiRoute => ({
    method: 'GET',
    path,
    before: large,
    handle: async (ctx) => {
      const query = {
        ...readGroupsQuery(ctx.querystring, clock.now(), readerOf(dependencies, ctx)),
        withoutDrills,
        isBare: withoutDrills,
      };
      const {
        groups,
        incidents: count,
        total,
        isComplete,
        head,
        log,
        unsearched,
      } = await incidents.groups(query, turnsOf(ctx.req));
      ctx.set('X-Total-Count', String(count));
      ctx.set('X-Group-Count', String(total));
      ctx.set('X-Complete', String(isComplete));
      const skip = query.skip + query.limit;
      if (skip < total) {
        const cursor = writeGroupsCursor({ skip, head, ...(log !== undefined && { log }) });
        ctx.set('Link', linkToNext(ctx.path, ctx.querystring, 'cursor', cursor));
      }
      sayUnsearched(ctx, unsearched);
      ctx.vary('Authorization');
      respondJson(ctx, 200, JSON.stringify(groups.map(show)));
    },
  });
  return [
    route('/api/v1/incidents/groups', false, (group) => group),
    route('/api/v1/stats/groups', true, statisticsOfGroup),
  ];
};
