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
  /** Writes a transition that does not leave its state into the box of that state, as UML does, and draws no line. */
  readonly listInternal?: boolean;
  /** Graphviz's attributes of the graph, of its states and of its transitions; `ROOMY` unless given. */
  readonly layout?: Layout;
}

export async function drawChart(
  chart: Chart,
  { listInternal = false, layout = ROOMY }: DrawingOptions = {},
): Promise<Drawing> {
  const cat = asCat(chart, listInternal);
  const [svg, dot] = await Promise.all([
    // `svg` would use the machine's own Graphviz where there is one, and drawings would differ.
    render(cat, { inputType: 'json', outputType: 'oldsvg', ...layout }),
    render(cat, { inputType: 'json', outputType: 'dot' }),
  ]);
  return { ...tidied(svg, chart), dot };
}

type Layout = Pick<IRenderOptions, 'dotGraphAttrs' | 'dotNodeAttrs' | 'dotEdgeAttrs'>;

/** Room for text that is wider than Graphviz assumes, because the reader has another font. */
const ROOMY: Layout = {
  dotNodeAttrs: [{ name: 'fontsize', value: '13' }],
  dotEdgeAttrs: [{ name: 'fontsize', value: '11' }],
};
/** Keeps a label off its line. */
const GAP = '\u00a0';

/** Whether a transition stays in its state, or leads to a state inside. */
export const staysInside = ({ internal, from, to }: ChartTransition): boolean => internal || to.startsWith(`${from}.`);

/** All states, each before its own inner states. */
const statesOf = (states: readonly ChartState[]): readonly ChartState[] =>
  states.flatMap((state) => [state, ...statesOf(state.states)]);

/** The chart in state-machine-cat's terms. A class such as `s3` or `t3` identifies the state or transition. */
function asCat(chart: Chart, listInternal: boolean): IStateMachine {
  const isListed = (transition: ChartTransition): boolean => listInternal && staysInside(transition);
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
      label: GAP + labelOf(transition),
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

const group = (kind: string, id: string, title: string): string =>
  `<g class="${kind}" data-id="${id}"><title>${title.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</title>`;

const titleOf = ({ name, description }: ChartState): string =>
  description === undefined ? name : `${name}: ${description}`;

const titleOfTransition = (transition: ChartTransition): string =>
  `${transition.from} to ${transition.to}: ${labelOf(transition)}`;
