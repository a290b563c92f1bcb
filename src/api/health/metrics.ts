import { FORMATS, type Format } from '../../metrics/exposition.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { ApiRoute } from '../middleware/routing.ts';

/** The figures of the service in OpenMetrics text, or in the older text format of Prometheus where only that is accepted. */
export const metricsRoutes = ({ metrics }: Pick<ApiDependencies, 'metrics'>): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/metrics',
    handle: async (ctx) => {
      const format = (ctx.accepts(...FORMATS) || FORMATS[0]) as Format;
      const text = await metrics.render(format);
      ctx.set('Content-Type', format);
      ctx.vary('Accept');
      ctx.body = text;
    },
  },
];
