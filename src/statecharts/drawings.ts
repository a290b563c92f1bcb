/**
 * The drawings of the machines. From the sources they are drawn on demand. In the bundle the result of the build takes
 * the place of this module (`src/build/drawn-charts.ts`), so that the bundle needs neither WebAssembly nor a drawing
 * program.
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
