/**
 * The figures of the service as Prometheus reads them, in either of its two text formats.
 *
 * Each metric stands in two registries, one for each format. When prom-client writes OpenMetrics it takes `_total` off
 * the name of a counter for good (there it belongs to the sample, not to the counter), so that registry is given an
 * object derived from the metric, which bears the other name in its place.
 */
import { Registry } from 'prom-client';

/** The formats by their content types, the preferred one first. */
export const FORMATS = [Registry.OPENMETRICS_CONTENT_TYPE, Registry.PROMETHEUS_CONTENT_TYPE] as const;
export type Format = (typeof FORMATS)[number];

export class Exposition {
  /** Where metrics are made, all of them before the first `render`. */
  readonly registry = new Registry();
  #openMetrics: Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE> | undefined;

  /** All figures as they are now. What that costs depends on how many figures there are, and on nothing else. */
  render(format: Format): Promise<string> {
    if (format === Registry.PROMETHEUS_CONTENT_TYPE) return this.registry.metrics();
    this.#openMetrics ??= this.#derive();
    return this.#openMetrics.metrics();
  }

  #derive() {
    const derived = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>();
    derived.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    for (const metric of this.registry.getMetricsAsArray()) derived.registerMetric(Object.create(metric));
    return derived;
  }
}
