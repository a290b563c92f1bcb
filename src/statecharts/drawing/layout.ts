/**
 * Places the states of a chart on its grids and routes its lines, by the hints for its machine. All lines are horizontal
 * or vertical, all coordinates whole pixels.
 */
import type { Chart, ChartState } from '../chart.ts';
import { boxWidth, insideOf, type Inside, isPlain, labelBox, type PlacedLabel, TITLE_HEIGHT } from './box.ts';
import type { Line, StateContents } from './contents.ts';
import { even } from './measure.ts';
import type { Cell, Head, Placement, Side, Tail } from './placement.ts';
import { type Gap, noGap, type Span, type Tracks, tracksOf } from './tracks.ts';

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export type Point = readonly [x: number, y: number];

export interface PlacedState {
  readonly contents: StateContents;
  readonly box: Box;
  readonly inside: Inside;
  /** The state around it. */
  readonly parent: string;
}

export interface PlacedTail {
  readonly from: string;
  readonly transitions: readonly string[];
  readonly points: readonly Point[];
}

export interface PlacedLine {
  readonly line: Line;
  /** The state whose inner states it connects; empty for the outermost. */
  readonly parent: string;
  readonly tails: readonly PlacedTail[];
  readonly head: readonly Point[];
  readonly box: Box;
  readonly labels: readonly (PlacedLabel & { readonly centre: Point })[];
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly states: readonly PlacedState[];
  readonly lines: readonly PlacedLine[];
  readonly initials: readonly { readonly parent: string; readonly points: readonly Point[] }[];
  readonly frames: readonly Box[];
}

/** Places everything. @throws Error that names what has no hint, or one that does not fit */
export function layOut(
  chart: Chart,
  contents: ReadonlyMap<string, StateContents>,
  lines: readonly Line[],
  placement: Placement,
): Layout {
  return new LayoutMaker(chart, contents, lines, placement).make();
}

const ROOT = '';
const MARGIN = 14;
const INNER_MARGIN = 16;
const LEAST_GAP = 30;
const PLAIN_HEIGHT = 44;
const BELOW = 12;
/** Between labels beside the same state. */
const BETWEEN = 14;
const FRAME = 14;
/** A frame has its caption inside, above its states. */
const FRAME_TOP = 24;
const INITIAL = 36;
/** The least distance of a line from the corner of a box. */
const CORNER = 10;

interface Stack {
  readonly line: Line;
  readonly head: Head;
  readonly labels: readonly PlacedLabel[];
  readonly width: number;
  readonly height: number;
}

interface Grid {
  readonly states: readonly ChartState[];
  readonly cells: ReadonlyMap<string, Required<Cell>>;
  readonly stacks: readonly Stack[];
  readonly columns: number;
  readonly rows: number;
}

const isHorizontal = (side: Side): boolean => side === 'left' || side === 'right';
const OPPOSITE: Readonly<Record<Side, Side>> = { left: 'right', right: 'left', top: 'bottom', bottom: 'top' };

class LayoutMaker {
  readonly #chart: Chart;
  readonly #contents: ReadonlyMap<string, StateContents>;
  readonly #placement: Placement;
  readonly #lines: readonly Line[];
  readonly #grids = new Map<string, Grid>();
  readonly #boxes = new Map<string, Box>();
  readonly #frames = new Map<string, Box>();
  readonly #tracks = new Map<string, { readonly x: Tracks; readonly y: Tracks }>();
  readonly #states: PlacedState[] = [];

  constructor(
    chart: Chart,
    contents: ReadonlyMap<string, StateContents>,
    lines: readonly Line[],
    placement: Placement,
  ) {
    this.#chart = chart;
    this.#contents = contents;
    this.#lines = lines;
    this.#placement = placement;
  }

  make(): Layout {
    this.#requireKnown();
    this.#makeGrid(ROOT, this.#chart.states);
    const x = this.#across(ROOT);
    const y = this.#down(ROOT, x);
    this.#place(ROOT, 0, 0, x, y);
    return {
      width: even(x.length),
      height: even(y.length),
      states: this.#states,
      lines: [...this.#grids].flatMap(([parent, { stacks }]) => stacks.map((stack) => this.#route(parent, stack))),
      initials: [...this.#grids.keys()].map((parent) => this.#initial(parent)),
      frames: [...this.#frames.values()],
    };
  }

  #fault(what: string): Error {
    return new Error(`statechart ${this.#chart.name}: ${what} (src/statecharts/drawing/placements.ts)`);
  }

  /** Everything that is drawn has a hint. A hint for what is not there does nothing. */
  #requireKnown(): void {
    const { states, lines, initial } = this.#placement;
    for (const id of this.#contents.keys()) {
      if (!Object.hasOwn(states, id)) throw this.#fault(`the state ${id} has no place`);
    }
    const drawn = new Set(
      this.#lines.flatMap(({ labels }) => labels.flatMap((one) => one.transitions.map(({ id }) => id))),
    );
    for (const id of drawn) if (!Object.hasOwn(lines, id)) throw this.#fault(`the transition ${id} has no place`);
    for (const { initial: id } of [this.#chart, ...[...this.#contents.values()].map(({ state }) => state)]) {
      if (id !== undefined && !Object.hasOwn(initial, id)) throw this.#fault(`the initial state ${id} has no arrow`);
    }
  }

  /** The grid of the states inside a state, and of the lines that end at one of them. */
  #makeGrid(parent: string, states: readonly ChartState[]): void {
    const cells = new Map(
      states.map(({ id }) => [id, { columns: 1, rows: 1, fill: false, ...this.#placement.states[id]! }] as const),
    );
    const stacks = this.#lines.filter(({ to }) => cells.has(to)).map((line) => this.#stackOf(line));
    const all = [...cells.values()];
    this.#grids.set(parent, {
      states,
      cells,
      stacks,
      columns: Math.max(...all.map(({ column, columns }) => column + columns)),
      rows: Math.max(...all.map(({ row, rows }) => row + rows)),
    });
    for (const { id, states: inner } of states) if (inner.length > 0) this.#makeGrid(id, inner);
  }

  /** The labels of a line, above each other, and the hint of where they are. */
  #stackOf(line: Line): Stack {
    const ids = [...line.sources.values()].flat();
    const hints = ids.map((id) => this.#placement.lines[id]!);
    for (const hint of hints) {
      if ('like' in hint && !ids.includes(hint.like)) {
        throw this.#fault(`the transition ${ids[hints.indexOf(hint)]} can't be on the line of ${hint.like}`);
      }
    }
    const heads = hints.filter((hint): hint is Tail & Head => 'beside' in hint && hint.beside !== undefined);
    if (heads.length !== 1)
      throw this.#fault(`the label of ${line.id} has ${heads.length === 0 ? 'no place' : 'two places'}`);
    const labels = line.labels.map(labelBox);
    return {
      line,
      head: heads[0]!,
      labels,
      width: Math.max(...labels.map(({ width }) => width)),
      height: labels.reduce((sum, { height }) => sum + height, 0),
    };
  }

  /** How the line leaves a state. */
  #tailOf(line: Line, source: string): Tail {
    const own = line.sources.get(source)!.map((id) => this.#placement.lines[id]!);
    const tail = own.find((hint): hint is Tail => 'from' in hint);
    if (tail === undefined) throw this.#fault(`the line of ${line.id} has no tail from ${source}`);
    return tail;
  }

  /** The gaps of a grid along an axis. */
  #gaps(parent: string, axis: 'x' | 'y'): readonly Gap[] {
    const { stacks, columns, rows, cells } = this.#grids.get(parent)!;
    const count = axis === 'x' ? columns : rows;
    const isRoot = parent === ROOT;
    const gaps = Array.from({ length: count + 1 }, (_, index) => {
      const isMargin = index === 0 || index === count;
      return noGap(isMargin ? (isRoot ? MARGIN : INNER_MARGIN) : isRoot ? LEAST_GAP : INNER_MARGIN);
    });
    for (const { line, head, width, height } of stacks) {
      const isAlong = isHorizontal(head.to) === (axis === 'x');
      if (isAlong && head.gap !== undefined) {
        const gap = gaps[head.gap]!;
        gap.label = Math.max(gap.label, axis === 'x' ? width : height);
      }
      for (const source of line.sources.keys()) {
        const { from, via = [] } = this.#tailOf(line, source);
        for (const [step, [index, lane]] of via.entries()) {
          if ((isHorizontal(from) === (step % 2 === 0)) !== (axis === 'x')) continue;
          const gap = gaps[index];
          if (gap === undefined) throw this.#fault(`the line of ${line.id} has a lane in a gap that is not there`);
          if (lane >= 0) gap.lanesBefore = Math.max(gap.lanesBefore, lane + 1);
          else gap.lanesAfter = Math.max(gap.lanesAfter, -lane);
        }
      }
    }
    for (const states of Object.values(this.#placement.frames ?? {})) {
      if (!states.every((id) => cells.has(id))) continue;
      const [first, last] = this.#extentOf(parent, states, axis);
      gaps[first]!.padAfter = axis === 'x' ? FRAME : FRAME_TOP;
      gaps[last + 1]!.padBefore = FRAME;
    }
    const initial = parent === ROOT ? this.#chart.initial : this.#contents.get(parent)!.state.initial!;
    const side = this.#placement.initial[initial]!;
    const cell = cells.get(initial)!;
    if ((side === 'left') === (axis === 'x')) {
      const gap = gaps[axis === 'x' ? cell.column : cell.row]!;
      const isFirst = (axis === 'x' ? cell.column : cell.row) === 0;
      if (isFirst) gap.least = Math.max(gap.least, INITIAL + MARGIN - gap.padAfter);
    }
    return gaps;
  }

  #extentOf(parent: string, states: readonly string[], axis: 'x' | 'y'): readonly [first: number, last: number] {
    const { cells } = this.#grids.get(parent)!;
    const spans = states.map((id) => spanOf(cells.get(id)!, axis));
    return [Math.min(...spans.map(([first]) => first)), Math.max(...spans.map(([, last]) => last))];
  }

  /** The labels beside a state along an axis, in the order of their hints. */
  #beside(parent: string, state: string, axis: 'x' | 'y', at: Head): readonly Stack[] {
    const order = Object.keys(this.#placement.lines);
    return this.#grids
      .get(parent)!
      .stacks.filter(
        ({ head }) =>
          head.beside === state &&
          isHorizontal(head.to) === (axis === 'y') &&
          head.gap === at.gap &&
          head.column === at.column,
      )
      .toSorted((one, other) => order.indexOf(one.line.id) - order.indexOf(other.line.id));
  }

  /** How long a state must be for the labels beside it. */
  #lengthBeside(parent: string, state: string, axis: 'x' | 'y'): number {
    const { stacks } = this.#grids.get(parent)!;
    const own = stacks.filter(({ head }) => head.beside === state && isHorizontal(head.to) === (axis === 'y'));
    return Math.max(
      0,
      ...own.map(({ head }) => {
        const shared = this.#beside(parent, state, axis, head);
        return sum(shared.map((stack) => sizeAlong(stack, axis) + BETWEEN));
      }),
    );
  }

  /** The columns of a grid. @param total the width to fill */
  #across(parent: string, total = 0): Tracks {
    const { states, cells, stacks } = this.#grids.get(parent)!;
    const spans: Span[] = states.map((state) => {
      const [first, last] = spanOf(cells.get(state.id)!, 'x');
      const inner = state.states.length === 0 ? 0 : this.#across(state.id).length;
      const beside = this.#lengthBeside(parent, state.id, 'x');
      return { first, last, size: Math.max(boxWidth(this.#contents.get(state.id)!), inner, even(beside)) };
    });
    for (const { head, width } of stacks) {
      if (head.column !== undefined) spans.push({ first: head.column, last: head.column, size: width + 8 });
    }
    return tracksOf(spans, this.#gaps(parent, 'x'), total);
  }

  /** The rows of a grid, for its columns. @param total the height to fill */
  #down(parent: string, x: Tracks, total = 0): Tracks {
    const { states, cells } = this.#grids.get(parent)!;
    const spans: Span[] = states.map((state) => {
      const cell = cells.get(state.id)!;
      const [first, last] = spanOf(cell, 'y');
      const beside = even(this.#lengthBeside(parent, state.id, 'y'));
      return { first, last, size: Math.max(this.#heightOf(state, widthIn(cell, x)), beside) };
    });
    return tracksOf(spans, this.#gaps(parent, 'y'), total, parent === ROOT ? 'cells' : 'gaps');
  }

  #heightOf(state: ChartState, width: number): number {
    const contents = this.#contents.get(state.id)!;
    if (isPlain(contents) && state.states.length === 0) return PLAIN_HEIGHT;
    const { height } = insideOf(contents, width);
    const inner = state.states.length === 0 ? BELOW : this.#down(state.id, this.#across(state.id, width)).length;
    return even(TITLE_HEIGHT + height + inner);
  }

  /** Places the states of a grid whose corner is at this point. */
  #place(parent: string, left: number, top: number, x: Tracks, y: Tracks): void {
    const { states, cells } = this.#grids.get(parent)!;
    const shifted = (tracks: Tracks, by: number): Tracks => ({
      length: tracks.length,
      startOf: (cell) => tracks.startOf(cell) + by,
      endOf: (cell) => tracks.endOf(cell) + by,
      labelsAt: (gap) => tracks.labelsAt(gap) + by,
      laneAt: (gap, lane) => tracks.laneAt(gap, lane) + by,
    });
    const own = { x: shifted(x, left), y: shifted(y, top) };
    this.#tracks.set(parent, own);
    for (const state of states) {
      const cell = cells.get(state.id)!;
      const width = widthIn(cell, x);
      const [first, last] = spanOf(cell, 'y');
      const room = own.y.endOf(last) - own.y.startOf(first);
      const contents = this.#contents.get(state.id)!;
      const height = this.#fills(parent, contents) ? room : this.#heightOf(state, width);
      const box: Box = {
        x: own.x.startOf(cell.column),
        y: own.y.startOf(first) + Math.round((room - height) / 2),
        width,
        height,
      };
      this.#boxes.set(state.id, box);
      const inside = insideOf(contents, width);
      this.#states.push({ contents, box, inside, parent });
      if (state.states.length > 0) {
        const from = box.y + TITLE_HEIGHT + inside.height;
        const across = this.#across(state.id, width);
        this.#place(state.id, box.x, from, across, this.#down(state.id, across, box.y + box.height - from));
      }
    }
    for (const [name, within] of Object.entries(this.#placement.frames ?? {})) {
      if (within.every((id) => cells.has(id))) this.#frames.set(name, framed(within.map((id) => this.#boxes.get(id)!)));
    }
  }

  /** Whether a state is as high as its cell: in a compact grid, and for several labels beside it. */
  #fills(parent: string, { state }: StateContents): boolean {
    const cell = this.#grids.get(parent)!.cells.get(state.id)!;
    const isBeside = this.#grids
      .get(parent)!
      .stacks.some(({ head }) => head.beside === state.id && this.#beside(parent, state.id, 'y', head).length > 1);
    return isBeside || cell.fill;
  }

  #initial(parent: string): { readonly parent: string; readonly points: readonly Point[] } {
    const state = parent === ROOT ? this.#chart.initial : this.#contents.get(parent)!.state.initial!;
    const box = this.#boxes.get(state)!;
    const end = portOf(box, this.#placement.initial[state]!, 0.5);
    const [x, y] = end;
    return { parent, points: [this.#placement.initial[state] === 'left' ? [x - INITIAL, y] : [x, y - INITIAL], end] };
  }

  #route(parent: string, stack: Stack): PlacedLine {
    const { line, head, labels, width, height } = stack;
    const tracks = this.#tracks.get(parent)!;
    const isAcross = isHorizontal(head.to);
    const axis = isAcross ? 'y' : 'x';
    const shared = this.#beside(parent, head.beside, axis, head);
    const beside = this.#boxes.get(head.beside)!;
    const [start, length] = isAcross ? [beside.y, beside.height] : [beside.x, beside.width];
    // What is left of the side is shared alike.
    const slots = shared.map((one) => sizeAlong(one, axis) + BETWEEN);
    const rest = (length - sum(slots)) / slots.length;
    const index = shared.indexOf(stack);
    const along = Math.round(start + sum(slots.slice(0, index)) + rest * index + (slots[index]! + rest) / 2);
    const across =
      head.column === undefined
        ? (isAcross ? tracks.x : tracks.y).labelsAt(head.gap!)
        : Math.round((tracks.x.startOf(head.column) + tracks.x.endOf(head.column)) / 2);
    const [cx, cy] = isAcross ? [across, along] : [along, across];
    const box: Box = { x: cx - width / 2, y: cy - height / 2, width, height };
    const exit = OPPOSITE[head.to];
    const target = this.#boxes.get(line.to)!;
    const end = this.#straight(line, target, head.to, isAcross ? cy : cx, line.to);
    let top = box.y;
    const placed = labels.map((label) => {
      const centre: Point = [cx, top + label.height / 2];
      top += label.height;
      return { ...label, width, centre };
    });
    return {
      line,
      parent,
      box,
      labels: placed,
      head: [portOf(box, exit, 0.5), end],
      tails: [...line.sources].map(([from, transitions]) => ({
        from,
        transitions,
        points: this.#tail(parent, line, from, box, OPPOSITE[exit]),
      })),
    };
  }

  /** The point of a box's side at a coordinate. */
  #straight(line: Line, box: Box, side: Side, at: number, state: string): Point {
    const [from, to] = isHorizontal(side) ? [box.y, box.y + box.height] : [box.x, box.x + box.width];
    if (at < from + CORNER || at > to - CORNER) {
      throw this.#fault(`the line of ${line.id} is not straight at ${state}: it needs a lane`);
    }
    const [x, y] = portOf(box, side, 0.5);
    return isHorizontal(side) ? [x, at] : [at, y];
  }

  #tail(parent: string, line: Line, source: string, label: Box, opposite: Side): readonly Point[] {
    const { from, frame, at, via = [], into = opposite } = this.#tailOf(line, source);
    if (frame !== undefined) {
      const missing = this.#placement.frames?.[frame]?.find((id) => !line.sources.has(id));
      if (missing !== undefined) throw this.#fault(`the line of ${line.id} does not leave ${missing} in its frame`);
    }
    const box = frame === undefined ? this.#boxes.get(source)! : this.#frames.get(frame)!;
    const tracks = this.#tracks.get(parent)!;
    const end = portOf(label, into, 0.5);
    const isStraight = via.length === 0 && isHorizontal(from) === isHorizontal(into);
    if (isStraight) return [this.#straight(line, box, from, isHorizontal(from) ? end[1] : end[0], source), end];
    const points: Point[] = [portOf(box, from, at ?? 0.5)];
    let isAcross = isHorizontal(from);
    for (const lane of via) {
      const [x, y] = points.at(-1)!;
      points.push(isAcross ? [tracks.x.laneAt(...lane), y] : [x, tracks.y.laneAt(...lane)]);
      isAcross = !isAcross;
    }
    const [x, y] = points.at(-1)!;
    if (isAcross !== isHorizontal(into)) points.push(isAcross ? [end[0], y] : [x, end[1]]);
    else if (isAcross ? y !== end[1] : x !== end[0])
      throw this.#fault(`the tail of ${line.id} from ${source} ends beside its label`);
    return [...points, end];
  }
}

const sum = (lengths: readonly number[]): number => lengths.reduce((all, one) => all + one, 0);

const sizeAlong = ({ width, height }: Stack, axis: 'x' | 'y'): number => (axis === 'x' ? width : height);

const spanOf = ({ column, row, columns, rows }: Required<Cell>, axis: 'x' | 'y'): readonly [number, number] =>
  axis === 'x' ? [column, column + columns - 1] : [row, row + rows - 1];

const widthIn = ({ column, columns }: Required<Cell>, x: Tracks): number =>
  x.endOf(column + columns - 1) - x.startOf(column);

/** A frame around boxes. */
function framed(boxes: readonly Box[]): Box {
  const x = Math.min(...boxes.map((box) => box.x)) - FRAME;
  const y = Math.min(...boxes.map((box) => box.y)) - FRAME_TOP;
  return {
    x,
    y,
    width: Math.max(...boxes.map((box) => box.x + box.width)) + FRAME - x,
    height: Math.max(...boxes.map((box) => box.y + box.height)) + FRAME - y,
  };
}

/** A point on the side of a box. @param at from 0 to 1 */
function portOf({ x, y, width, height }: Box, side: Side, at: number): Point {
  switch (side) {
    case 'left':
      return [x, y + Math.round(height * at)];
    case 'right':
      return [x + width, y + Math.round(height * at)];
    case 'top':
      return [x + Math.round(width * at), y];
    case 'bottom':
      return [x + Math.round(width * at), y + height];
  }
}
