/** The formats of a machine. */
import type { AnyStateMachine } from 'xstate';
import { chartOf, type Drawing } from './chart.ts';
import { dotOf } from './dot.ts';
import { configJson } from './machine-config.ts';
import { mermaidOf } from './mermaid.ts';
import { scxmlOf } from './scxml.ts';
import { chartSvg } from './svg.ts';

export const CHART_FORMATS = ['json', 'svg', 'mermaid', 'scxml', 'dot'] as const;
export type ChartFormat = (typeof CHART_FORMATS)[number];

export interface FormattedChart {
  readonly mediaType: string;
  readonly text: string;
}

/** A machine in a format. @param drawing is called for the format that is drawn */
export async function formatChart(
  machine: AnyStateMachine,
  format: ChartFormat,
  drawing: () => Promise<Drawing>,
): Promise<FormattedChart> {
  switch (format) {
    case 'json':
      return { mediaType: 'application/json', text: configJson(machine) };
    case 'svg':
      return { mediaType: 'image/svg+xml', text: chartSvg(machine.id, await drawing()) };
    case 'mermaid':
      return { mediaType: 'text/plain; charset=utf-8', text: mermaidOf(chartOf(machine)) };
    case 'scxml':
      return { mediaType: 'application/scxml+xml', text: scxmlOf(chartOf(machine)) };
    case 'dot':
      return { mediaType: 'text/vnd.graphviz', text: dotOf(chartOf(machine)) };
  }
}
