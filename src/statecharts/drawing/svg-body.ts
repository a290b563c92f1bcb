/** Writes a layout as SVG, without `<svg>` and without colours: those are of the classes. */
import { labelOf } from '../chart.ts';
import {
  CHIP_HEIGHT,
  type Inside,
  PILL_HEIGHT,
  type PlacedChip,
  type PlacedRow,
  TITLE_HEIGHT,
  type Words,
} from './box.ts';
import type { Box, Layout, PlacedLine, PlacedState, Point } from './layout.ts';

/** From the middle of a line of text to its baseline, for type of 12 and of 14 pixels. */
const BASELINE = 4;
const NAME_BASELINE = 5;
const RADIUS = 10;
const HEAD = 9;
const HEAD_WIDTH = 4;

type Attributes = Readonly<Record<string, string | number | undefined>>;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

function element(tag: string, attributes: Attributes, contents?: string): string {
  const given = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}="${typeof value === 'string' ? escaped(value) : value}"`)
    .join('');
  return contents === undefined ? `<${tag}${given}/>` : `<${tag}${given}>${contents}</${tag}>`;
}

const group = (attributes: Attributes, ...contents: readonly string[]): string =>
  element('g', attributes, contents.join(''));
const titled = (text: string): string => element('title', {}, escaped(text));
const rect = (name: string | undefined, { x, y, width, height }: Box, rx: number): string =>
  element('rect', { class: name, x, y, width, height, rx });
const path = (name: string, d: string): string => element('path', { class: name, d });

/** The groups of a drawing: frames, lines, states with the lines inside them, and labels on top. */
export function svgBody({ states, lines, initials, frames }: Layout): string {
  const within = (parent: string): readonly string[] => {
    const inside = parent === '' ? '' : ' in';
    return [
      ...lines.filter((line) => line.parent === parent).map((line) => lineOf(line, inside)),
      ...initials.filter((one) => one.parent === parent).map(({ points }) => initialOf(points, inside)),
      ...states
        .filter((state) => state.parent === parent)
        .flatMap((state) => [
          stateOf(state),
          ...(state.contents.state.states.length === 0 ? [] : within(state.contents.state.id)),
        ]),
    ];
  };
  return [...frames.map(frameOf), ...within(''), ...lines.map(labelsOf)].join('\n');
}

const frameOf = (frame: Box): string =>
  group(
    { class: 'frame' },
    rect('border', frame, 14),
    wordAt({ x: 12, y: 13, text: 'from any', class: 'word' }, frame.x, frame.y),
  );

function wordAt({ x, y, text: words, class: kind, anchor }: Words, left = 0, top = 0): string {
  const baseline = kind === 'name' ? NAME_BASELINE : BASELINE;
  return element('text', { x: left + x, y: top + y + baseline, class: kind, 'text-anchor': anchor }, escaped(words));
}

function stateOf({ contents: { state }, box, inside }: PlacedState): string {
  const { id, name, description, final, states } = state;
  const { x, y, width } = box;
  const isPlain = inside.height === 0 && states.length === 0;
  const title = isPlain
    ? wordAt({ x: width / 2, y: box.height / 2, text: name, class: 'name', anchor: 'middle' }, x, y)
    : wordAt({ x: 14, y: 17, text: name, class: 'name' }, x, y);
  const ring = final
    ? [rect('ring', { x: x + 4, y: y + 4, width: width - 8, height: box.height - 8 }, RADIUS - 3)]
    : [];
  const inset = final ? 5 : 1;
  return group(
    {
      class: ['state', ...(states.length > 0 ? ['compound'] : []), ...(final ? ['final'] : [])].join(' '),
      'data-state': id,
    },
    titled(description === undefined ? id : `${id}: ${description}`),
    rect('box', box, RADIUS),
    ...ring,
    title,
    ...(isPlain ? [] : insideOf(inside, x, y + TITLE_HEIGHT, width, inset)),
  );
}

function insideOf(
  { words, chips, rows, rules }: Inside,
  x: number,
  y: number,
  width: number,
  inset: number,
): readonly string[] {
  return [
    ...rules.map((at) => path('rule', `M${x + inset} ${y + at}H${x + width - inset}`)),
    ...words.map((one) => wordAt(one, x, y)),
    ...chips.map((chip) => chipOf(chip, x, y)),
    ...rows.map((row) => rowOf(row, x, y)),
  ];
}

const chipOf = ({ action, directive, x, y, width }: PlacedChip, left: number, top: number): string => {
  const box: Box = { x: left + x, y: top + y - CHIP_HEIGHT / 2, width, height: CHIP_HEIGHT };
  return group(
    { class: 'chip', 'data-action': action, 'data-directive': directive },
    titled(`${directive} ${action}`),
    rect(undefined, box, 4),
    element('circle', { cx: box.x + 11, cy: top + y, r: 3 }),
    wordAt({ x: 19, y, text: action }, box.x, top),
  );
};

const isEffect = ({ class: kind }: Words): boolean => kind === 'engage' || kind === 'release';

/** What a transition may ask of containment, with the mark of its chips. */
const effectOf = (one: Words, left: number, top: number): string =>
  group(
    { class: 'effect', 'data-directive': one.class },
    element('circle', { cx: left + one.x - 8, cy: top + one.y, r: 3 }),
    wordAt(one, left, top),
  );

const wordsOf = (words: readonly Words[], left: number, top: number): string =>
  words.map((one) => (isEffect(one) ? effectOf(one, left, top) : wordAt(one, left, top))).join('');

const effectsTitle = (effects: readonly { readonly action: string; readonly directive: string }[]): string =>
  effects.length === 0
    ? ''
    : `; may ${[...new Set(effects.map(({ directive }) => directive))]
        .map(
          (one) =>
            `${one} ${effects
              .filter(({ directive }) => directive === one)
              .map(({ action }) => action)
              .join(', ')}`,
        )
        .join(' and ')}`;

const rowOf = ({ row, pill, words }: PlacedRow, left: number, top: number): string => {
  const { id, event, guard, actions, effects } = row;
  const box: Box = { x: left + pill.x, y: top + pill.y - PILL_HEIGHT / 2, width: pill.width, height: PILL_HEIGHT };
  const said = [event, guard, actions === '' ? '' : `/ ${actions}`].filter((part) => part !== '').join(' ');
  return group(
    { class: 'internal', 'data-transition': id, 'data-event': event },
    titled(`${said}${effectsTitle(effects)}`),
    rect('pill', box, PILL_HEIGHT / 2),
    wordAt({ x: box.width / 2, y: pill.y, text: event, class: 'ev', anchor: 'middle' }, box.x, top),
    wordsOf(words, left, top),
  );
};

function lineOf({ tails, head, line }: PlacedLine, inside: string): string {
  const ids = [...line.sources.values()].flat().join(' ');
  const strokes = [...new Set(tails.map(({ points }) => pathOf(points)))].join('');
  const both = (d: string): string => path('halo', d) + path('line', d);
  const shaft = pathOf([head[0]!, before(head.at(-1)!, head.at(-2)!, HEAD - 2)]);
  return [
    group({ class: `edge base${inside}` }, both(strokes)),
    group({ class: `edge head${inside}`, 'data-transition': ids }, both(shaft), tip(head)),
    ...tails.map(({ from, transitions, points }) =>
      group(
        { class: `edge tail${inside}`, 'data-transition': transitions.join(' '), 'data-from': from },
        path('line', pathOf(points)),
      ),
    ),
  ].join('');
}

const initialOf = (points: readonly Point[], inside: string): string => {
  const [start, end] = points as readonly [Point, Point];
  return group(
    { class: `edge initial${inside}` },
    path('line', pathOf([start, before(end, start, HEAD - 2)])),
    tip(points),
    element('circle', { class: 'start', cx: start[0], cy: start[1], r: 6 }),
  );
};

/** A point before the end of a segment. */
const before = ([x, y]: Point, [fromX, fromY]: Point, distance: number): Point => [
  x - Math.sign(x - fromX) * distance,
  y - Math.sign(y - fromY) * distance,
];

function tip(points: readonly Point[]): string {
  const end = points.at(-1)!;
  const [x, y] = before(end, points.at(-2)!, HEAD);
  const isAcross = y === end[1];
  const [dx, dy] = isAcross ? [0, HEAD_WIDTH] : [HEAD_WIDTH, 0];
  return path('tip', `M${end[0]} ${end[1]}L${x + dx} ${y + dy}L${x - dx} ${y - dy}Z`);
}

/** A path with round corners. */
function pathOf(points: readonly Point[]): string {
  const corners = points.filter((point, index) => index === 0 || String(point) !== String(points[index - 1]));
  const parts = corners.map((point, index) => {
    const [previous, next] = [corners[index - 1], corners[index + 1]];
    if (previous === undefined) return `M${point.join(' ')}`;
    if (next === undefined || isStraight(previous, point, next)) return `L${point.join(' ')}`;
    const radius = Math.min(RADIUS, Math.floor(Math.min(distance(previous, point), distance(point, next)) / 2));
    return `L${before(point, previous, radius).join(' ')}Q${point.join(' ')} ${before(point, next, radius).join(' ')}`;
  });
  return parts.join('');
}

const distance = ([x, y]: Point, [toX, toY]: Point): number => Math.abs(x - toX) + Math.abs(y - toY);
const isStraight = (one: Point, two: Point, three: Point): boolean =>
  (one[0] === two[0] && two[0] === three[0]) || (one[1] === two[1] && two[1] === three[1]);

function labelsOf({ labels, box, line }: PlacedLine): string {
  const isStack = labels.length > 1;
  const drawn = labels.map(({ label, words, width, height, centre: [x, y] }) => {
    const { transitions, event } = label;
    const [first] = transitions;
    const kind = ['label', ...(event === '' ? ['always'] : []), ...(isStack ? ['one'] : [])].join(' ');
    const from = transitions.map((one) => one.from).join(', ');
    return group(
      { class: kind, 'data-transition': transitions.map(({ id }) => id).join(' '), 'data-event': event || undefined },
      titled(`${from} to ${line.to}: ${labelOf(first!)}${effectsTitle(label.effects)}`),
      rect(undefined, { x: x - width / 2, y: y - height / 2, width, height }, 12),
      wordsOf(words, x, y),
    );
  });
  if (!isStack) return drawn.join('');
  const between = labels
    .slice(1)
    .map(({ height, centre: [, y] }) => path('between', `M${box.x} ${y - height / 2}H${box.x + box.width}`));
  return [rect('stack', box, 12), ...drawn, ...between].join('');
}
