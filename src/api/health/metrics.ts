import type Router from '@koa/router';
import { FORMATS, type Format } from '../../metrics/exposition.ts';
import type { ApiParts } from '../dependencies.ts';

/** The service's figures in OpenMetrics text, or in the older text format of Prometheus for who accepts only that. */
export const addMetricsRoute = (router: Router, { metrics }: Pick<ApiParts, 'metrics'>): void => {
  router.get('/metrics', async (ctx) => {
    const format = (ctx.accepts(...FORMATS) || FORMATS[0]) as Format;
    const text = await metrics.render(format);
    ctx.set('Content-Type', format);
    ctx.vary('Accept');
    ctx.body = text;
  });
};
