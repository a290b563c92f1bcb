/**
 * The figures of the service in the two text formats of Prometheus.
 *
 * Each metric is in two registries, one for each format. When prom-client writes OpenMetrics it removes `_total` from the
 * name of a counter for good (there it belongs to the sample, not to the counter). So that registry gets an object
 * derived from the metric, which takes the other name.
 */
import { Registry } from 'prom-client';

/** The formats by their content types, the preferred one first. */
export const FORMATS = [Registry.OPENMETRICS_CONTENT_TYPE, Registry.PROMETHEUS_CONTENT_TYPE] as const;
export type Format = (typeof FORMATS)[number];

export class Exposition {
  /** Metrics register here, all of them before the first `render`. */
  readonly registry = new Registry();
  #openMetrics: Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE> | undefined;

  /** All present figures. The cost depends on the number of figures only. */
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
