import { Counter, Gauge, type Registry } from 'prom-client';

/** Adds a figure that each scrape reads. */
export function addReading(registry: Registry, name: string, help: string, read: () => number): void {
  const gauge: Gauge = new Gauge({ name, help, registers: [registry], collect: () => gauge.set(read()) });
}

/** The value of a figure under its labels. */
export type Sample<Label extends string> = readonly [labels: Readonly<Record<Label, string>>, value: number];

/** Adds a figure with labels; each scrape reads all its values. */
export function addReadings<Label extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly Label[],
  read: () => Iterable<Sample<Label>>,
): void {
  const gauge = new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    collect: () => {
      gauge.reset();
      for (const [labels, value] of read()) gauge.set(labels, value);
    },
  });
}

/** Adds a total that is counted elsewhere; each scrape reads it. */
export const addTotal = (registry: Registry, name: string, help: string, read: () => number): void =>
  addTotals(registry, name, help, [], () => [[{}, read()]]);

/** Adds a total with labels that is counted elsewhere; each scrape reads all its values. */
export function addTotals<Label extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly Label[],
  read: () => Iterable<Sample<Label>>,
): void {
  const counter = new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect: () => {
      counter.reset();
      for (const [labels, value] of read()) counter.inc(labels, value);
    },
  });
}
