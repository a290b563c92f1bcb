/**
 * A counter with labels that costs an addition for each event. prom-client looks up a series by its labels at each
 * increment; here that is done once a scrape.
 */
import { Counter, type CounterConfiguration } from 'prom-client';

type Labels<Label extends string> = Readonly<Record<Label, string>>;

export class Counts<Label extends string> {
  readonly #counted = new Map<string, { readonly labels: Labels<Label>; since: number }>();

  /** @param zero the series that are shown before the first count, so that the first increase is visible as one */
  constructor(configuration: CounterConfiguration<Label>, zero: () => Iterable<Labels<Label>> = () => []) {
    let isFirst = true;
    const counter = new Counter({
      ...configuration,
      collect: () => {
        if (isFirst) for (const labels of zero()) counter.inc(labels, 0);
        isFirst = false;
        for (const count of this.#counted.values()) {
          counter.inc(count.labels, count.since);
          count.since = 0;
        }
      },
    });
  }

  /**
   * Counts one event.
   * @param key names the series: other labels, another key
   * @param labelsOf is called at the first count of a key
   */
  add(key: string, labelsOf: (key: string) => Labels<Label>): void {
    const count = this.#counted.get(key);
    if (count === undefined) this.#counted.set(key, { labels: labelsOf(key), since: 1 });
    else count.since += 1;
  }
}
