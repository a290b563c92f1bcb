/**
 * The drawings of the machines. In a run from the sources this module draws them on request. The bundle replaces it by its
 * result at build time (`src/build/drawn-charts.ts`), so it needs neither WebAssembly nor the drawing library.
 */
import { chartOf, type Drawing } from './chart.ts';
import { MACHINES } from './machines.ts';

export type Drawings = Readonly<Record<string, Drawing>>;

/** Draws every machine. */
export async function drawings(): Promise<Drawings> {
  const { drawChart } = await import('../build/draw-chart.ts');
  const drawn: Record<string, Drawing> = {};
  for (const [name, machine] of Object.entries(MACHINES)) drawn[name] = await drawChart(chartOf(machine));
  return drawn;
}
