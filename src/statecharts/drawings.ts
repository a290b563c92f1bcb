/**
 * The drawings of the machines. This module is for a run from the sources, where they are drawn when they are asked for;
 * in the bundle its place is taken by what it gave at build time (`src/build/drawn-charts.ts`), so that neither
 * WebAssembly nor what draws is needed there.
 */
import { chartOf } from './chart.ts';
import { MACHINES } from './machines.ts';

/** A chart laid out: SVG elements without the `<svg>` around them, of this size in points, and Graphviz's source. */
export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly body: string;
  readonly dot: string;
}

export type Drawings = Readonly<Record<string, Drawing>>;

/** Draws every machine. */
export async function drawings(): Promise<Drawings> {
  const { drawChart } = await import('../build/draw-chart.ts');
  const drawn: Record<string, Drawing> = {};
  for (const [name, machine] of Object.entries(MACHINES)) drawn[name] = await drawChart(chartOf(machine));
  return drawn;
}
