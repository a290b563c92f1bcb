/**
 * Draws a statechart: the words are those of the machine, the places those of its hints, and nothing measures on a screen,
 * so that the same machine gives the same bytes on every computer.
 *
 * Each state, label, row, line and containment action has a group with its id, so that a page can mark it.
 */
import type { AnyStateMachine } from 'xstate';
import { chartOf, type Drawing } from '../chart.ts';
import { containmentEffects } from '../containment-effects.ts';
import { contentsOf, linesOf, type Topics } from './contents.ts';
import { layOut } from './layout.ts';
import type { Placement } from './placement.ts';
import { svgBody } from './svg-body.ts';

/**
 * The drawing of a machine.
 * @param topics events that belong together, by topic
 * @throws Error that names the state or the transition without a place
 */
export function drawChart(machine: AnyStateMachine, placement: Placement, topics: Topics = {}): Drawing {
  const chart = chartOf(machine);
  const effects = containmentEffects(machine);
  const layout = layOut(chart, contentsOf(chart, effects, topics), linesOf(chart, effects), placement);
  return { width: layout.width, height: layout.height, body: svgBody(layout) };
}
