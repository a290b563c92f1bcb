import type { StatisticsReading } from '../projections/statistics.ts';
import { Kept } from './kept.ts';

/** How many incidents there are, of each kind. */
export const statistics = new Kept<StatisticsReading>(
  () => '/api/v1/stats',
  ({ event }) => event.startsWith('incident.') || event === 'log.archived',
);
