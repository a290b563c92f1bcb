import type { StatisticsReading } from '../query/statistics.ts';
import { LiveResource } from './live-resource.ts';

/** The number of incidents of each kind. */
export const statistics = new LiveResource<StatisticsReading>(
  () => '/api/v1/stats',
  ({ event }) => event.startsWith('incident.') || event === 'log.archived',
);
