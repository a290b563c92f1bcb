/**
 * The incident's statechart as a picture for the READMEs. `npm run chart` writes it to `machines/incident.svg`.
 *
 * It differs from what the service draws, because a repository page shows it small, without a way to look closer. All
 * text is at least 12 px. Transitions that stay in their state are listed in its box. And it has a background: such a
 * page may be dark where the reader's system is light, or the other way round, and lines alone would vanish.
 */
import { writeFileSync } from 'node:fs';
import { incidentMachine } from '../../machines/incident.ts';
import { chartOf } from '../statecharts/chart.ts';
import { chartSvg } from '../statecharts/svg.ts';
import { drawChart } from './draw-chart.ts';

/** Space for the labels, and for a reader whose font is wider than the one that Graphviz measures. */
const LAYOUT = {
  dotGraphAttrs: [{ name: 'nodesep', value: '0.05' }],
  dotNodeAttrs: [{ name: 'fontsize', value: '13.5' }],
  dotEdgeAttrs: [{ name: 'fontsize', value: '12.5' }],
};

/** Labels hide the lines behind them. */
const STYLE = `
svg { --paper: #fff }
.paper { fill: var(--paper) }
.transition text { font-size: 12px; stroke: var(--paper); stroke-width: 4px; paint-order: stroke }
@media (prefers-color-scheme: dark) { svg { --paper: #0d1117 } }
@media print { svg { --paper: #fff } }
`.trim();

/** The SVG: the same text for the same machine, on every computer. */
export async function incidentChart(): Promise<string> {
  const drawing = await drawChart(chartOf(incidentMachine), { listed: 'inside', layout: LAYOUT });
  const paper = `<style>\n${STYLE}\n</style>\n<rect class="paper" width="100%" height="100%" rx="6"/>\n`;
  return chartSvg(incidentMachine.id, { ...drawing, body: paper + drawing.body });
}

if (import.meta.main) writeFileSync(new URL('../../machines/incident.svg', import.meta.url), await incidentChart());
