/**
 * Draws a statechart with state-machine-cat, which uses Graphviz for the layout. Graphviz is WebAssembly, which the
 * hardened host cannot run, so charts are drawn at build time.
 *
 * Graphviz decides the places. The attributes of the groups are ours: each state and each transition has its id as
 * `data-id`, so that code can find it to show an incident in the drawing, and a title that describes it in words.
 */
import { type IRenderOptions, type IState, type IStateMachine, type ITransition, render } from 'state-machine-cat';
import { type Chart, type ChartState, type ChartTransition, type Drawing, labelOf } from '../statecharts/chart.ts';

export interface DrawingOptions {
  /**
   * Which transitions are written into the box of their state, as UML does, and have no line: those that are internal
   * (the default), or also those that lead to a state inside it. By default each has a group of its own, so that an
   * incident can be shown in the drawing.
   */
  readonly listed?: 'internal' | 'inside';
  /** Graphviz's attributes of the graph, of its states and of its transitions; `ROOMY` unless given. */
  readonly layout?: Layout;
}

export async function drawChart(
  chart: Chart,
  { listed = 'internal', layout = ROOMY }: DrawingOptions = {},
): Promise<Drawing> {
  const isListed = (transition: ChartTransition): boolean =>
    listed === 'inside' ? staysInside(transition) : transition.internal;
  const [svg, dot] = await Promise.all([
    // `svg` would use the machine's own Graphviz where there is one, and drawings would differ.
    render(asCat(chart, isListed, listed === 'inside'), { inputType: 'json', outputType: 'oldsvg', ...layout }),
    render(
      asCat(chart, () => false),
      { inputType: 'json', outputType: 'dot' },
    ),
  ]);
  const { body, ...size } = tidied(svg, chart);
  return { ...size, body: listed === 'inside' ? body : markListed(body, chart.transitions.filter(isListed)), dot };
}

type Layout = Pick<IRenderOptions, 'dotGraphAttrs' | 'dotNodeAttrs' | 'dotEdgeAttrs'>;

/** Room for text that is wider than Graphviz assumes, because the reader has another font. */
const ROOMY: Layout = {
  dotNodeAttrs: [{ name: 'fontsize', value: '13' }],
  dotEdgeAttrs: [{ name: 'fontsize', value: '11' }],
};
/** Keeps a label off its line. */
const GAP = '\u00a0';

/** The space before a guard and before the actions of a transition. */
const BEFORE_DETAIL = / (?=[[/])/g;

/** Whether a transition stays in its state, or leads to a state inside. */
export const staysInside = ({ internal, from, to }: ChartTransition): boolean => internal || to.startsWith(`${from}.`);

/** All states, each before its own inner states. */
const statesOf = (states: readonly ChartState[]): readonly ChartState[] =>
  states.flatMap((state) => [state, ...statesOf(state.states)]);

/**
 * The chart in state-machine-cat's terms. A class such as `s3` or `t3` identifies the state or transition.
 * @param isNarrow whether guard and actions are below their event
 */
function asCat(chart: Chart, isListed: (transition: ChartTransition) => boolean, isNarrow = false): IStateMachine {
  const all = statesOf(chart.states);
  const transitions: ITransition[] = [];
  const connect = (from: string, to: string, more: Partial<ITransition> = {}): void => {
    transitions.push({ id: transitions.length, from, to, label: '', ...more });
  };
  const machineIn = (states: readonly ChartState[], initial: string, around: string): IStateMachine => {
    const beginning = `${around}.initial`;
    connect(beginning, initial);
    return { states: [{ name: beginning, type: 'initial' }, ...states.flatMap(catStates)] };
  };
  const catStates = (state: ChartState): IState[] => {
    const { id, name, final, entry, exit, initial, states } = state;
    const actions = [
      ...entry.map((body) => ({ type: 'entry', body }) as const),
      ...exit.map((body) => ({ type: 'exit', body }) as const),
      ...chart.transitions
        .filter((transition) => transition.from === id && isListed(transition))
        .map((transition) => ({ type: 'activity', body: labelOf(transition) }) as const),
    ];
    const box: IState = {
      name: id,
      label: name,
      type: 'regular',
      class: `s${all.indexOf(state)}`,
      ...(actions.length === 0 ? {} : { actions }),
      ...(initial === undefined ? {} : { statemachine: machineIn(states, initial, id) }),
    };
    if (!final) return [box];
    // A final state keeps its name: the end of the chart is drawn after it.
    const end = `${id}.end`;
    connect(id, end);
    return [box, { name: end, type: 'final' }];
  };
  const { states } = machineIn(chart.states, chart.initial, '');
  for (const [index, transition] of chart.transitions.entries()) {
    if (isListed(transition)) continue;
    const { from, to, internal } = transition;
    connect(from, to, {
      label: GAP + (isNarrow ? labelOf(transition).replaceAll(BEFORE_DETAIL, '\n') : labelOf(transition)),
      class: `t${index}`,
      type: internal ? 'internal' : 'external',
    });
  }
  return { states, transitions };
}

const SIZE = /<svg width="(\d+)pt" height="(\d+)pt"/;
const GROUP = /<g id="[^"]*" class="(?:node|edge|cluster) ([^"]*)">\n<title>[^<]*<\/title>/g;
const OUR_CLASS = /(?:^| )([st])(\d+)(?: |$)/;

/** Graphviz's SVG without its head, its background and its names. */
function tidied(svg: string, chart: Chart): Omit<Drawing, 'dot'> {
  const [, width, height] = SIZE.exec(svg) ?? [];
  const all = statesOf(chart.states);
  const body = svg
    .slice(svg.indexOf('<g id="graph0"'), svg.lastIndexOf('</svg>'))
    .replace(/<g id="graph0" class="graph" ([^>]*)>\n<title>[^<]*<\/title>\n<polygon [^>]*\/>/, '<g $1>')
    .replaceAll(/<!--.*?-->\n/gs, '')
    .replaceAll(GROUP, (_, classes: string) => {
      const [, kind, index] = OUR_CLASS.exec(classes) ?? [];
      if (kind === undefined) return `<g class="${classes.includes('transition') ? 'beginning' : 'pseudo'}">`;
      const state = all[Number(index)];
      const transition = chart.transitions[Number(index)];
      return kind === 's'
        ? group('state', state!.id, titleOf(state!))
        : group('transition', transition!.id, titleOfTransition(transition!));
    });
  return { width: Number(width), height: Number(height), body };
}

/** Gives each transition that is listed in the box of its state a group of its own, behind the one of the state. */
function markListed(body: string, listed: readonly ChartTransition[]): string {
  return listed.reduce((drawn, transition) => {
    const from = drawn.indexOf(`<g class="state" data-id="${transition.from}">`);
    const words = `>${labelOf(transition)}</text>\n`;
    const end = drawn.indexOf('</g>\n', from);
    const at = drawn.indexOf(words, from);
    if (from === -1 || at === -1 || at > end) return drawn;
    const start = drawn.lastIndexOf('<text ', at);
    const line = drawn.slice(start, at + words.length);
    const rest = drawn.slice(at + words.length, end) + '</g>\n';
    const marked = `${group('transition', transition.id, titleOfTransition(transition))}\n${line}</g>\n`;
    return drawn.slice(0, start) + rest + marked + drawn.slice(end + '</g>\n'.length);
  }, body);
}

const group = (kind: string, id: string, title: string): string =>
  `<g class="${kind}" data-id="${id}"><title>${title.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</title>`;

const titleOf = ({ name, description }: ChartState): string =>
  description === undefined ? name : `${name}: ${description}`;

const titleOfTransition = (transition: ChartTransition): string =>
  `${transition.from} to ${transition.to}: ${labelOf(transition)}`;
