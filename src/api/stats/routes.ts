import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { parseTimestamp } from '../request/timestamp.ts';
import { turnsOf } from '../server/peer.ts';
import { nothingSchema } from '../request/fields.ts';
import { readParameters } from '../request/read.ts';
import { respondJson } from '../respond.ts';
import { DEFAULT_HOURS, rangeOf } from './ranges.ts';
import { comparisonSchema, hoursSchema } from './requests.ts';

/** How many incidents there are by class, state and severity, and what happened in each of the last hours. */
export const statisticsRoutes = (
  {
    statistics,
    attention,
    activity,
    comparison,
    clock,
  }: Pick<ApiDependencies, 'statistics' | 'attention' | 'activity' | 'comparison' | 'clock'>,
  { large }: Pick<Admission, 'large'>,
): readonly ApiRoute[] => [
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
  {
    method: 'GET',
    path: '/api/v1/stats/compare',
    before: large,
    handle: async (ctx) => {
      const { since, until, by } = readParameters(ctx, comparisonSchema);
      const now = clock.now();
      const of = by?.[0] ?? 'class';
      const range = rangeOf(timeOf(since), timeOf(until) ?? now, of);
      respondJson(ctx, 200, JSON.stringify(await comparison.read(range, of, now, turnsOf(ctx.req))));
    },
  },
];

const timeOf = (values: readonly string[] | undefined): number | undefined =>
  values?.[0] === undefined ? undefined : parseTimestamp(values[0]);
