import { type Chart, type ChartState, labelOf } from './chart.ts';

/**
 * A chart in Graphviz's language (graphviz.org/doc/info/lang.html). A state with inner states is a cluster; a line to or
 * from it ends at its border, on the way to its initial inner state.
 */
export function dotOf({ name, initial, states, transitions }: Chart): string {
  const all = allOf(states);
  const lines = [
    'compound=true rankdir=TB fontname="Helvetica" fontsize=12',
    'node [shape=box style=rounded fontname="Helvetica" fontsize=12]',
    'edge [fontname="Helvetica" fontsize=10]',
    ...beginning('initial', leafOf(initial, all), clusterOf(initial, all)),
    ...states.flatMap((state) => linesOf(state, all)),
    ...transitions.map((one) =>
      edge(leafOf(one.from, all), leafOf(one.to, all), {
        id: one.id,
        class: 'transition',
        label: labelOf(one),
        // A line within a cluster, or around it, has its ends inside.
        ltail: one.to.startsWith(`${one.from}.`) || one.to === one.from ? undefined : clusterOf(one.from, all),
        lhead: one.from.startsWith(`${one.to}.`) || one.to === one.from ? undefined : clusterOf(one.to, all),
      }),
    ),
  ];
  return `digraph ${quoted(name)} {\n${indented(lines).join('\n')}\n}\n`;
}

type States = ReadonlyMap<string, ChartState>;
type Attributes = Readonly<Record<string, string | undefined>>;

const allOf = (states: readonly ChartState[]): States =>
  new Map(states.flatMap((state) => [[state.id, state] as const, ...allOf(state.states)]));

/** The node for a state: that of its initial inner state, where it has some. */
const leafOf = (id: string, all: States): string => {
  const inner = all.get(id)?.initial;
  return inner === undefined ? id : leafOf(inner, all);
};

const clusterOf = (id: string, all: States): string | undefined =>
  all.get(id)?.initial === undefined ? undefined : `cluster ${id}`;

function linesOf(state: ChartState, all: States): readonly string[] {
  const { id, name, description, final, entry, exit, initial, states } = state;
  const label = [name, ...entry.map((action) => `entry / ${action}`), ...exit.map((action) => `exit / ${action}`)].join(
    '\n',
  );
  const own: Attributes = { id, class: 'state', label, tooltip: description, peripheries: final ? '2' : undefined };
  if (initial === undefined) return [`${quoted(id)} [${written(own)}]`];
  return [
    `subgraph ${quoted(`cluster ${id}`)} {`,
    ...indented([
      ...Object.entries(own).flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${quoted(value)}`])),
      'style=rounded',
      ...beginning(`initial ${id}`, leafOf(initial, all), clusterOf(initial, all)),
      ...states.flatMap((inner) => linesOf(inner, all)),
    ]),
    '}',
  ];
}

/** The dot before an initial state, and its arrow. */
const beginning = (node: string, initial: string, lhead: string | undefined): readonly string[] => [
  `${quoted(node)} [shape=point width=0.12 class="initial"]`,
  edge(node, initial, { class: 'initial', lhead }),
];

const edge = (from: string, to: string, attributes: Attributes): string =>
  `${quoted(from)} -> ${quoted(to)} [${written(attributes)}]`;

const written = (attributes: Attributes): string =>
  Object.entries(attributes)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${quoted(value)}`]))
    .join(' ');

const quoted = (text: string): string =>
  `"${text
    .replaceAll('\\', '\\\\')
    .replaceAll('"', String.raw`\"`)
    .replaceAll('\n', String.raw`\n`)}"`;

const indented = (lines: readonly string[]): readonly string[] => lines.map((line) => `  ${line}`);
