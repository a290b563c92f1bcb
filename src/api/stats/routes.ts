import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { DAY, HOUR } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';
import { type ComparedBy, MOST_COMPARED_HOURS, type TimeRange } from '../../query/comparison-reading.ts';
import { parseTimestamp } from '../request/timestamp.ts';
import { turnsOf } from '../server/peer.ts';
import { nothingSchema } from '../request/fields.ts';
import { readParameters } from '../request/read.ts';
import { respondJson } from '../respond.ts';
import { comparisonSchema, hoursSchema } from './requests.ts';

/** The longest range that is compared: ten years. */
const LONGEST_RANGE = 3653 * DAY;
/** How many hours are counted when the request does not say. */
const DEFAULT_HOURS = 24;

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

/** The range to compare; the last day where the request does not say. @throws RecorderError `invalid_request` */
function rangeOf(since: number | undefined, until: number, by: ComparedBy): TimeRange {
  const range = { since: since ?? until - DEFAULT_HOURS * HOUR, until };
  const length = range.until - range.since;
  if (length <= 0) throw new RecorderError('invalid_request', 'since must be before until');
  if (length > LONGEST_RANGE)
    throw new RecorderError('invalid_request', 'since and until may be ten years apart at most');
  if (by === 'hour' && length > MOST_COMPARED_HOURS * HOUR) {
    const message = `since and until may be ${MOST_COMPARED_HOURS} hours apart at most with by=hour`;
    throw new RecorderError('invalid_request', message);
  }
  return range;
}
