import type { Chart, ChartState, ChartTransition } from './chart.ts';

/**
 * A chart as State Chart XML (www.w3.org/TR/scxml). Guards and actions are code, so here a guard is a variable of its
 * name, and an action logs its name.
 */
export function scxmlOf({ name, initial, states, transitions }: Chart): string {
  const guards = [...new Set(transitions.flatMap(({ guard }) => guard ?? []))];
  const lines = element(
    'scxml',
    { xmlns: 'http://www.w3.org/2005/07/scxml', version: '1.0', datamodel: 'ecmascript', name, initial },
    [
      ...(guards.length === 0
        ? []
        : element(
            'datamodel',
            {},
            guards.flatMap((id) => element('data', { id, expr: 'false' })),
          )),
      ...states.flatMap((state) => stateElement(state, transitions)),
    ],
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n${lines.join('\n')}\n`;
}

type Lines = readonly string[];

const stateElement = (
  { id, final, entry, exit, initial, states }: ChartState,
  all: readonly ChartTransition[],
): Lines =>
  element(final ? 'final' : 'state', { id, initial }, [
    ...(entry.length === 0 ? [] : element('onentry', {}, entry.flatMap(action))),
    ...(exit.length === 0 ? [] : element('onexit', {}, exit.flatMap(action))),
    ...all.filter(({ from }) => from === id).flatMap(transitionElement),
    ...states.flatMap((state) => stateElement(state, all)),
  ]);

const transitionElement = ({ event, guard, to, internal, actions }: ChartTransition): Lines =>
  element(
    'transition',
    { event: event || undefined, cond: guard, target: internal ? undefined : to },
    actions.flatMap(action),
  );

const action = (name: string): Lines => element('log', { label: 'action', expr: `'${name}'` });

/** An element with its defined attributes. Their values are names, which need no escapes. */
function element(name: string, attributes: Readonly<Record<string, string | undefined>>, contents: Lines = []): Lines {
  const given = Object.entries(attributes).filter(([, value]) => value !== undefined);
  const start = [name, ...given.map(([key, value]) => `${key}="${value}"`)].join(' ');
  if (contents.length === 0) return [`<${start}/>`];
  return [`<${start}>`, ...contents.map((line) => `  ${line}`), `</${name}>`];
}
