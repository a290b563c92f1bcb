/**
 * The drawings of the machines. In a run from the sources this module draws them on request. The bundle replaces it by its
 * result at build time (`src/build/drawn-charts.ts`), so the service neither lays out nor measures.
 */
import type { AnyStateMachine } from 'xstate';
import type { Drawing } from './chart.ts';
import { drawChart } from './drawing/draw-chart.ts';
import { PLACEMENTS } from './drawing/placements.ts';
import { MACHINES, TOPICS } from './machines.ts';

export type Drawings = Readonly<Record<string, Drawing>>;

/** Draws every machine. @throws Error that names a machine, a state or a transition without a place */
export const drawings = (): Promise<Drawings> =>
  Promise.resolve(
    Object.fromEntries(Object.entries(MACHINES).map(([name, machine]) => [name, drawMachine(name, machine)])),
  );

function drawMachine(name: string, machine: AnyStateMachine): Drawing {
  const placement = PLACEMENTS[name];
  if (placement === undefined) throw new Error(`the machine ${name} has no placement`);
  return drawChart(machine, placement, TOPICS[name]);
}
