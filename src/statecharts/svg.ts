/**
 * A statechart as SVG, alone or with the path of one incident.
 *
 * Lines show the same as colours: the present state has a bold frame, taken transitions thick lines, possible ones thin
 * lines, all others dashes. The drawing follows the reader's colour scheme, and is black on white in print.
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

const STYLE = `
svg { color-scheme: light dark; --ink: #1f2328; --faint: #6b7280; --mark: #0550ae }
text { font: 12px Helvetica, Arial, 'Liberation Sans', sans-serif; fill: var(--ink) }
.transition text { font-size: 10px }
path, .pseudo ellipse { fill: none; stroke: var(--ink); stroke-width: 1.25px }
.pseudo ellipse[fill=black], .transition polygon, .beginning polygon { fill: var(--ink); stroke: var(--ink) }
.state polygon { fill: none; stroke: none }
.current path, .around path { stroke: var(--mark); stroke-width: 4px }
.around path { stroke-width: 2.5px }
.current text { fill: var(--mark); font-weight: bold }
.taken path { stroke: var(--mark); stroke-width: 3px }
.taken polygon { fill: var(--mark); stroke: var(--mark) }
.taken text { font-weight: bold }
.closed path { stroke: var(--faint); stroke-dasharray: 3 3 }
.closed polygon { fill: var(--faint); stroke: var(--faint) }
.closed text { fill: var(--faint) }
@media (prefers-color-scheme: dark) { svg { --ink: #e6edf3; --faint: #9198a1; --mark: #79c0ff } }
@media print { svg { --ink: #000; --faint: #555; --mark: #000 } }
`.trim();

const LEGEND_HEIGHT = 34;
const GROUP = /<g class="(state|transition)" data-id="([^"]*)"><title>([^<]*)<\/title>/g;

/** The chart alone. */
export const chartSvg = (name: string, drawing: Drawing): string =>
  svg(`Statechart ${name}`, drawing.width, drawing.height, drawing.body);

/** The chart with an incident in it, which `title` names. */
export function incidentSvg(title: string, { width, height, body }: Drawing, whereabouts: Whereabouts): string {
  const marked = body.replaceAll(GROUP, (_, kind: 'state' | 'transition', id: string, said: string) => {
    const { marks, words } = kind === 'state' ? markState(id, whereabouts) : markTransition(id, whereabouts);
    return `<g class="${[kind, ...marks].join(' ')}" data-id="${id}"><title>${said}${words}</title>`;
  });
  const wide = Math.max(width, LEGEND_WIDTH);
  return svg(
    title,
    wide,
    height + LEGEND_HEIGHT,
    `${marked}\n<g transform="translate(8 ${height + 18})">${LEGEND}</g>`,
  );
}

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

function markTransition(id: string, { taken, possible }: Whereabouts): Marking {
  const [wasTaken, isPossible] = [taken.has(id), possible.has(id)];
  const words = `${wasTaken ? ' (taken)' : ''} (${isPossible ? 'possible now' : 'not possible now'})`;
  const line = isPossible ? [] : ['closed'];
  return { marks: wasTaken ? ['taken'] : line, words };
}

const sample = (x: number, classes: string, shape: string, words: string): string =>
  `<g class="${classes}" transform="translate(${x})"><path d="${shape}"/><text x="29" y="3.5">${words}</text></g>`;

const LINE = 'M0,0H24';
const LEGEND_WIDTH = 382;
const LEGEND =
  sample(0, 'state current', 'M2,-6H22V6H2Z', 'present state') +
  sample(122, 'transition taken', LINE, 'taken') +
  sample(190, 'transition', LINE, 'possible now') +
  sample(288, 'transition closed', LINE, 'not now');

const svg = (title: string, width: number, height: number, body: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" ` +
  `role="img" aria-labelledby="title"><title id="title">${title}</title>\n<style>\n${STYLE}\n</style>\n${body}\n</svg>\n`;
