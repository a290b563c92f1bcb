/** The inside of boxes and labels: which text is where. Coordinates are those of the upper left corner of the box. */
import type { Effect } from '../containment-effects.ts';
import type { Label, Row, StateContents, Topic } from './contents.ts';
import { even, widthOf } from './measure.ts';

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A piece of text. `y` is the middle of its line. */
export interface Words {
  readonly x: number;
  readonly y: number;
  readonly text: string;
  readonly class?: 'word' | 'guard' | 'ev' | 'name' | 'engage' | 'release';
  readonly anchor?: 'middle';
}

export interface PlacedRow {
  readonly row: Row;
  readonly pill: { readonly x: number; readonly y: number; readonly width: number };
  readonly words: readonly Words[];
}

export interface PlacedChip extends Effect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

/** The contents of a box, below its title. */
export interface Inside {
  readonly words: readonly Words[];
  readonly chips: readonly PlacedChip[];
  readonly rows: readonly PlacedRow[];
  /** Where lines part the contents from what is above, and topics from the rows. */
  readonly rules: readonly number[];
  readonly height: number;
}

const PAD = 13;
export const TITLE_HEIGHT = 32;
export const PILL_HEIGHT = 20;
export const CHIP_HEIGHT = 20;
const PITCH = 24;
const GAP = 7;
/** Before an arrow: a guard in a wider font ends later. */
const ARROW_GAP = 11;
/** A row that is wider goes on in a second line. */
const WIDEST_ROW = 310;
/** What is listed in flowing lines asks for this much and takes more where there is more. */
const FLOW = 344;

const rowPillWidth = (event: string): number => even(widthOf(event, 'bold') + 18);
const chipWidth = ({ action }: Effect): number => even(widthOf(action) + 30);
const arrowed = (actions: string): string => (actions === '' ? '' : `→ ${actions}`);

/** What a row or a label says of containment: `engage`, `release` or both. */
const directivesOf = (effects: readonly Effect[]): readonly Effect['directive'][] => [
  ...new Set(effects.map(({ directive }) => directive)),
];
const EFFECT_GAP = 12;
/** The mark of an effect and its word. */
const effectWidth = (directive: string): number => 12 + widthOf(directive);
const effectsWidth = (effects: readonly Effect[]): number =>
  directivesOf(effects).reduce((sum, directive) => sum + EFFECT_GAP + effectWidth(directive), 0);

const pairWidth = ({ event, guard }: Row): number => rowPillWidth(event) + (guard === '' ? 0 : GAP + widthOf(guard));

const tailWidth = ({ actions, effects }: Row): number =>
  (actions === '' ? 0 : widthOf(arrowed(actions))) + effectsWidth(effects);

const isWrapped = (row: Row): boolean => tailWidth(row) > 0 && pairWidth(row) + ARROW_GAP + tailWidth(row) > WIDEST_ROW;

const rowWidth = (row: Row): number =>
  isWrapped(row)
    ? Math.max(pairWidth(row), 16 + tailWidth(row))
    : pairWidth(row) + (tailWidth(row) === 0 ? 0 : ARROW_GAP + tailWidth(row));

const titleWidth = (name: string): number => widthOf(name, 'bold', 14);

/** Whether a box has only its name. */
export const isPlain = ({ entry, exit, rows, topics, chips }: StateContents): boolean =>
  entry === '' && exit === '' && rows.length === 0 && topics.length === 0 && chips.length === 0;

/** The least width of a box for its contents. */
export function boxWidth(contents: StateContents): number {
  const { state, rows, topics, chips, entry, exit } = contents;
  if (isPlain(contents) && state.states.length === 0) return even(Math.max(titleWidth(state.name) + 32, 96));
  const widths = [
    titleWidth(state.name) + 48,
    ...rows.map(rowWidth),
    ...[entry, exit].map((text) => (text === '' ? 0 : widthOf(`entry / ${text}`))),
    chips.length === 0 ? 0 : FLOW,
    ...topics.map(() => FLOW),
  ];
  // A little more, for a reader whose font is wider.
  return even(Math.max(...widths) + 2 * PAD + 8);
}

/** The contents of a box of this width. */
export function insideOf(contents: StateContents, width: number): Inside {
  const { entry, exit, chips, rows, topics, state } = contents;
  if (isPlain(contents)) return { words: [], chips: [], rows: [], rules: [], height: 0 };
  const [right, words, placedChips, placedRows, rules] = [
    width - PAD,
    [] as Words[],
    [] as PlacedChip[],
    [] as PlacedRow[],
    [0] as number[],
  ];
  let y = 16;
  for (const [word, text] of [
    ['entry', entry],
    ['exit', exit],
  ] as const) {
    if (text === '') continue;
    words.push({ x: PAD, y, text: `${word} /`, class: 'word' });
    words.push({ x: PAD + widthOf(`${word} / `) + 2, y, text });
    y += 22;
    if (word !== 'entry') continue;
    // Chips follow in the same line if all of them fit.
    const after = PAD + widthOf(`${word} / ${text}`) + 16;
    if (chips.length > 0 && after + sumOf(chips.map((chip) => chipWidth(chip) + 6)) <= right) {
      flow(
        chips.map((chip) => chipWidth(chip)),
        after,
        right,
        y - 22,
        (index, x, at) => placedChips.push({ ...chips[index]!, x, y: at, width: chipWidth(chips[index]!) }),
      );
      y += 2;
      continue;
    }
    y = flow(
      chips.map((chip) => chipWidth(chip)),
      PAD,
      right,
      y,
      (index, x, at) => placedChips.push({ ...chips[index]!, x, y: at, width: chipWidth(chips[index]!) }),
    );
  }
  for (const row of rows) {
    placedRows.push(placeRow(row, PAD, y));
    y += isWrapped(row) ? PITCH + 20 : PITCH;
  }
  for (const topic of topics) {
    if (y > 16) rules.push(y - 9);
    y = placeTopic(topic, right, y + (y > 16 ? 9 : 0), words, placedRows);
  }
  const isCompound = state.states.length > 0;
  return { words, chips: placedChips, rows: placedRows, rules: isCompound ? [...rules, y - 8] : rules, height: y - 8 };
}

const sumOf = (lengths: readonly number[]): number => lengths.reduce((sum, length) => sum + length, 0);

/** Places things from left to right and line by line; gives the middle of the line after them. */
function flow(
  widths: readonly number[],
  left: number,
  right: number,
  y: number,
  place: (index: number, x: number, y: number) => void,
  gap = 6,
): number {
  if (widths.length === 0) return y;
  let [x, at] = [left, y];
  for (const [index, width] of widths.entries()) {
    if (x > left && x + width > right) [x, at] = [left, at + PITCH];
    place(index, x, at);
    x += width + gap;
  }
  return at + PITCH;
}

const pairOf = (row: Row, x: number, y: number): PlacedRow => {
  const width = rowPillWidth(row.event);
  const words: Words[] = row.guard === '' ? [] : [{ x: x + width + GAP, y, text: row.guard, class: 'guard' }];
  return { row, pill: { x, y, width }, words };
};

function placeRow(row: Row, left: number, y: number): PlacedRow {
  const pair = pairOf(row, left, y);
  const [x, at] = isWrapped(row) ? [left + 16, y + 21] : [left + pairWidth(row) + ARROW_GAP, y];
  const { actions } = row;
  const said: Words[] = actions === '' ? [] : [{ x, y: at, text: arrowed(actions) }];
  const after = x + (actions === '' ? -EFFECT_GAP : widthOf(arrowed(actions)));
  return { ...pair, words: [...pair.words, ...said, ...effectWords(row.effects, after, at)] };
}

/** The words for effects, each behind the place of its mark. */
function effectWords(effects: readonly Effect[], left: number, y: number): readonly Words[] {
  let x = left;
  return directivesOf(effects).map((directive) => {
    const at = x + EFFECT_GAP;
    x = at + effectWidth(directive);
    return { x: at + 12, y, text: directive, class: directive };
  });
}

/** A topic has its name and its actions in one line, and its rows behind each other in the next. */
function placeTopic(
  { name, actions, rows }: Topic,
  right: number,
  y: number,
  words: Words[],
  placed: PlacedRow[],
): number {
  words.push({ x: PAD, y, text: name, class: 'word' });
  if (actions !== '') words.push({ x: PAD + widthOf(name) + GAP, y, text: arrowed(actions) });
  return flow(rows.map(pairWidth), PAD, right, y + 22, (index, x, at) => placed.push(pairOf(rows[index]!, x, at)), 14);
}

/** A label: its lines of text, and its size. */
export interface PlacedLabel extends Size {
  readonly label: Label;
  /** From the middle of the label. */
  readonly words: readonly Words[];
}

/** If event and guard are wider, the guard has a line of its own. */
const WIDEST_LINE = 130;

export function labelBox(label: Label): PlacedLabel {
  const { event, guard, actions, effects } = label;
  const head = widthOf(event, 'bold');
  const both = head + (event === '' || guard === '' ? 0 : GAP) + widthOf(guard);
  const isSplit = event !== '' && guard !== '' && both > WIDEST_LINE;
  type Part = readonly [text: string, width: number, kind?: Words['class']];
  const lines: (readonly Part[])[] = [];
  const eventPart: readonly Part[] = event === '' ? [] : [[event, head, 'ev']];
  const guardPart: readonly Part[] = guard === '' ? [] : [[guard, widthOf(guard), 'guard']];
  if (isSplit) lines.push(eventPart, guardPart);
  else lines.push([...eventPart, ...guardPart]);
  const effectParts = directivesOf(effects).map((directive) => [directive, effectWidth(directive), directive] as const);
  const slashed = actions === '' ? '' : `/ ${actions}`;
  if (actions !== '' || effectParts.length > 0) {
    lines.push([...(actions === '' ? [] : [[slashed, widthOf(slashed)] as const]), ...effectParts]);
  }
  const gapBefore = ([, , kind]: Part): number => (kind === 'engage' || kind === 'release' ? EFFECT_GAP : GAP);
  const lengths = lines.map((parts) =>
    sumOf(parts.map((part, index) => part[1] + (index === 0 ? 0 : gapBefore(part)))),
  );
  const words = lines.flatMap((parts, row) => {
    const y = row * 16 - (lines.length - 1) * 8;
    if (parts.length === 1 && parts[0]![2] !== 'engage' && parts[0]![2] !== 'release') {
      const [text, , kind] = parts[0]!;
      return [{ x: 0, y, text, anchor: 'middle' as const, ...(kind && { class: kind }) }];
    }
    let x = -Math.round(lengths[row]! / 2);
    return parts.map((part, index) => {
      const [text, width, kind] = part;
      if (index > 0) x += gapBefore(part);
      const isEffect = kind === 'engage' || kind === 'release';
      const one: Words = { x: isEffect ? x + 12 : x, y, text, ...(kind && { class: kind }) };
      x += width;
      return one;
    });
  });
  return { label, words, width: even(Math.max(...lengths) + 24), height: 8 + 16 * lines.length };
}
