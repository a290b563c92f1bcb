import { type Chart, type ChartState, labelOf } from './chart.ts';

/** A chart as a Mermaid state diagram (mermaid.js.org/syntax/stateDiagram.html). */
export function mermaidOf({ initial, states, transitions }: Chart): string {
  const arrows = transitions.map((one) => `${nameOf(one.from)} --> ${nameOf(one.to)}: ${labelOf(one)}`);
  const lines = [`[*] --> ${nameOf(initial)}`, ...states.flatMap(linesOf), ...arrows];
  return `stateDiagram-v2\n${indented(lines).join('\n')}\n`;
}

function linesOf({ id, name, final, entry, exit, initial, states }: ChartState): readonly string[] {
  const own = nameOf(id);
  const inner = initial === undefined ? [] : [`[*] --> ${nameOf(initial)}`, ...states.flatMap(linesOf)];
  return [
    `state "${name}" as ${own}`,
    ...entry.map((action) => `${own}: entry / ${action}`),
    ...exit.map((action) => `${own}: exit / ${action}`),
    ...(inner.length === 0 ? [] : [`state ${own} {`, ...indented(inner), '}']),
    ...(final ? [`${own} --> [*]`] : []),
  ];
}

const indented = (lines: readonly string[]): readonly string[] => lines.map((line) => `    ${line}`);

/** Mermaid's names have no dots. */
const nameOf = (id: string): string => id.replaceAll('.', '_');
