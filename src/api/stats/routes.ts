import type { ApiDependencies } from '../dependencies.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { nothingSchema } from '../request/fields.ts';
import { readParameters } from '../request/read.ts';
import { respondJson } from '../respond.ts';
import { hoursSchema } from './requests.ts';

/** How many hours are counted when the request does not say. */
const DEFAULT_HOURS = 24;

/** How many incidents there are by class, state and severity, and what happened in each of the last hours. */
export const statisticsRoutes = ({
  statistics,
  attention,
  activity,
  clock,
}: Pick<ApiDependencies, 'statistics' | 'attention' | 'activity' | 'clock'>): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/stats',
    handle: (ctx) => {
      readParameters(ctx, nothingSchema);
      respondJson(ctx, 200, JSON.stringify({ ...statistics.read(), needs_attention: attention.count(clock.now()) }));
    },
  },
  {
    method: 'GET',
    path: '/api/v1/stats/hours',
    handle: (ctx) => {
      const { hours } = readParameters(ctx, hoursSchema);
      respondJson(ctx, 200, JSON.stringify(activity.read(clock.now(), Number(hours?.[0] ?? DEFAULT_HOURS))));
    },
  },
];
