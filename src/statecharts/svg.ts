/**
 * A statechart as an SVG file, alone or with the path of one incident.
 *
 * Marks show the same without colours: the present state has a bold frame, taken transitions thick lines, possible ones
 * filled labels, and what is not possible is as in the chart. The file follows the reader's colour scheme and is light in
 * print. Its style uses neither variables nor functions, which other tools do not know; they show the light one.
 */
import type { Drawing } from './chart.ts';

/** The place of an incident in its chart, by the ids of states and transitions. */
export interface Whereabouts {
  /** The states that it is in, outer states first. */
  readonly current: ReadonlySet<string>;
  /** The transitions that it has taken. */
  readonly taken: ReadonlySet<string>;
  /** The transitions that are possible now. */
  readonly possible: ReadonlySet<string>;
}

interface Palette {
  readonly surface: string;
  readonly raised: string;
  readonly text: string;
  readonly muted: string;
  readonly line: string;
  readonly edge: string;
  readonly accent: string;
  readonly soft: string;
  readonly border: string;
  readonly onAccent: string;
  readonly engage: string;
  readonly engageSoft: string;
  readonly release: string;
  readonly releaseSoft: string;
}

const LIGHT: Palette = {
  surface: '#fff',
  raised: '#f4f6f9',
  text: '#171c22',
  muted: '#545e69',
  line: '#d5dae1',
  edge: '#7b848e',
  accent: '#1a57b5',
  soft: '#e6eefb',
  border: '#9db8e0',
  onAccent: '#fff',
  engage: '#6b35b8',
  engageSoft: '#f1eafb',
  release: '#3c6b3c',
  releaseSoft: '#e9f3e9',
};

const DARK: Palette = {
  surface: '#171b21',
  raised: '#1d232b',
  text: '#e3e8ee',
  muted: '#9aa6b2',
  line: '#343d48',
  edge: '#7d8996',
  accent: '#7fb2ff',
  soft: '#1b2a42',
  border: '#3d5f93',
  onAccent: '#0b1420',
  engage: '#c3a2ff',
  engageSoft: '#2a2140',
  release: '#8dc98d',
  releaseSoft: '#1d2c20',
};

const SHAPES = `
.chart text { font: 12px Helvetica, Arial, 'Liberation Sans', sans-serif }
.chart .name { font-size: 14px; font-weight: 700 }
.chart .word { font-style: italic }
.chart .ev { font-weight: 600 }
.box { stroke-width: 1.5 }
.edge path { fill: none; stroke-width: 1.5; stroke-linejoin: round }
.edge .halo { stroke-width: 6 }
.edge .tip { stroke: none }
.edge.tail > .line { stroke: none }
.ring, .label > rect, .stack, .between, .rule, .chip rect { stroke-width: 1 }
.ring, .frame rect, .label.one > rect { fill: none }
.label.one > rect { stroke: none }
.pill { stroke: none }
.label.always > rect { stroke-dasharray: 3 2.5 }
.frame rect { stroke-dasharray: 2 4 }
.chip rect { stroke-opacity: .5 }
.chip circle, .effect circle { stroke-width: 1.5 }
.state.current > .box { stroke-width: 3.5 }
.state.around > .box { stroke-width: 2.5 }
.edge.possible > .line { stroke-width: 2 }
.edge.taken > .line { stroke-width: 3 }
.label.taken > rect, .internal.taken > .pill { stroke-width: 2; stroke-dasharray: none }
`.trim();

const colours = (c: Palette): string =>
  `
.paper, .box, .label.always > rect { fill: ${c.surface} }
.chart text, .start { fill: ${c.text} }
.chart .word, .chart .guard { fill: ${c.muted} }
.chart .ev { fill: ${c.accent} }
.state.compound > .box { fill: ${c.raised} }
.box, .ring, .edge .line, .label.always > rect, .frame rect { stroke: ${c.edge} }
.edge .tip { fill: ${c.edge} }
.edge .halo { stroke: ${c.surface} }
.edge.in .halo { stroke: ${c.raised} }
.rule { stroke: ${c.line} }
.pill, .stack, .label > rect { fill: ${c.soft} }
.stack, .between, .label > rect { stroke: ${c.border} }
.label.one > rect { fill: none; stroke: none }
.label.always > rect { fill: ${c.surface}; stroke: ${c.edge} }
.chip rect { fill: ${c.engageSoft}; stroke: ${c.engage} }
.chart .chip text, .chart .engage, .chip circle, .effect circle { fill: ${c.engage} }
.chip circle, .effect circle { stroke: ${c.engage} }
.chip[data-directive=release] rect { fill: ${c.releaseSoft}; stroke: ${c.release} }
.chart .chip[data-directive=release] text, .chart .release { fill: ${c.release} }
[data-directive=release] circle { fill: none; stroke: ${c.release} }
.state.current > .box { stroke: ${c.accent}; fill: ${c.soft} }
.state.around > .box { stroke: ${c.accent} }
.state.current .internal:not(.possible) > .pill { fill: ${c.surface} }
.edge.possible > .line { stroke: ${c.accent} }
.edge.possible > .tip { fill: ${c.accent} }
.edge.taken > .line { stroke: ${c.text} }
.edge.taken > .tip { fill: ${c.text} }
.label.taken > rect, .internal.taken > .pill { stroke: ${c.text} }
.label.possible > rect, .internal.possible > .pill { fill: ${c.accent} }
.label.possible:not(.taken) > rect { stroke: ${c.accent} }
.chart .label.possible text, .chart .internal.possible > .ev { fill: ${c.onAccent} }
.label.possible circle { fill: ${c.onAccent}; stroke: ${c.onAccent} }
`.trim();

/** Rules for the drawing alone: where a page takes the file in, they must not style the page. */
const scoped = (rules: string): string =>
  rules.replaceAll(/^(.*?) \{/gm, (_, selectors: string) => {
    const own = selectors.split(', ').map((one) => (one.startsWith('.chart ') ? one : `.chart ${one}`));
    return `${own.join(', ')} {`;
  });

const STYLE = `${scoped(SHAPES)}
${scoped(colours(LIGHT))}
@media screen and (prefers-color-scheme: dark) {
${scoped(colours(DARK))}
}`;

const LEGEND_HEIGHT = 36;
const GROUP =
  /<g class="(state|label|internal|edge)([^"]*)"(?: data-state="([^"]*)")?(?: data-transition="([^"]*)")?([^>]*)>/g;
const TITLE = /<title>([^<]*)<\/title>/y;

/** The chart alone. */
export const chartSvg = (name: string, { width, height, body }: Drawing): string =>
  svg(`Statechart ${name}`, width, height, body);

/** The chart with an incident in it, which `title` names. */
export function incidentSvg(title: string, { width, height, body }: Drawing, whereabouts: Whereabouts): string {
  const marked = markedBody(body, whereabouts);
  return svg(title, width, height + LEGEND_HEIGHT, `${marked}\n${group(`translate(24 ${height + 14})`, LEGEND)}`);
}

/** The body with a class, and in its titles words, for each state and transition of the incident. */
const markedBody = (body: string, whereabouts: Whereabouts): string => {
  let marked = '';
  let end = 0;
  for (const match of body.matchAll(GROUP)) {
    const [found, kind, more, state, transitions, rest] = match;
    const ids = (transitions ?? '').split(' ').filter((id) => id !== '');
    const { marks, words } = state === undefined ? markTransition(ids, whereabouts) : markState(state, whereabouts);
    const data =
      state === undefined ? (ids.length === 0 ? '' : ` data-transition="${transitions}"`) : ` data-state="${state}"`;
    marked += `${body.slice(end, match.index)}<g class="${[`${kind}${more}`, ...marks].join(' ')}"${data}${rest}>`;
    end = match.index + found.length;
    TITLE.lastIndex = end;
    const title = TITLE.exec(body);
    if (title === null) continue;
    marked += `<title>${title[1]}${words}</title>`;
    end = TITLE.lastIndex;
  }
  return marked + body.slice(end);
};

interface Marking {
  readonly marks: readonly string[];
  /** The same for screen readers. */
  readonly words: string;
}

function markState(id: string, { current }: Whereabouts): Marking {
  if (!current.has(id)) return { marks: [], words: '' };
  const isAround = [...current].some((other) => other.startsWith(`${id}.`));
  return { marks: [isAround ? 'around' : 'current'], words: ' (present state)' };
}

function markTransition(ids: readonly string[], { taken, possible }: Whereabouts): Marking {
  if (ids.length === 0) return { marks: [], words: '' };
  const [wasTaken, isPossible] = [ids.some((id) => taken.has(id)), ids.some((id) => possible.has(id))];
  return {
    marks: [...(wasTaken ? ['taken'] : []), ...(isPossible ? ['possible'] : [])],
    words: `${wasTaken ? ' (taken)' : ''} (${isPossible ? 'possible now' : 'not possible now'})`,
  };
}

const group = (transform: string, contents: string, classes?: string): string =>
  `<g${classes === undefined ? '' : ` class="${classes}"`} transform="${transform}">${contents}</g>`;

const LEGEND = [
  group(
    'translate(0)',
    '<rect class="box" x="0" y="-8" width="28" height="16" rx="4"/><text x="36" y="4">present state</text>',
    'state current',
  ),
  group('translate(140)', '<path class="line" d="M0 0H28"/><text x="36" y="4">taken</text>', 'edge taken'),
  group('translate(230)', '<rect x="0" y="-8" width="28" height="16" rx="8"/>', 'label possible'),
  group('translate(230)', '<text x="36" y="4">possible now</text>'),
].join('');

const svg = (title: string, width: number, height: number, body: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" class="chart" width="${width}" height="${height}" ` +
  `viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title"><title id="title">${title}</title>\n` +
  `<style>\n${STYLE}\n</style>\n<rect class="paper" width="${width}" height="${height}" rx="8"/>\n${body}\n</svg>\n`;
