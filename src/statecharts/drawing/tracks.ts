/** One axis of a grid: how long its columns or rows and the gaps between them are, and where they begin. */

export interface Span {
  readonly first: number;
  readonly last: number;
  readonly size: number;
}

/** What a gap holds. */
export interface Gap {
  /** Room for frames at its two ends. */
  padBefore: number;
  padAfter: number;
  /** Lanes for detours, at its two ends. */
  lanesBefore: number;
  lanesAfter: number;
  /** The length of the longest label in it; 0 for none. */
  label: number;
  /** How long it is at least. */
  least: number;
}

export interface Tracks {
  readonly length: number;
  startOf(cell: number): number;
  endOf(cell: number): number;
  /** The middle of the labels in a gap. */
  labelsAt(gap: number): number;
  laneAt(gap: number, lane: number): number;
}

const LANE = 14;
const FIRST_LANE = 18;
/** Before a label, and behind it, where an arrow head needs room. */
const LEAD = 30;
const TRAIL = 32;
const LEAD_AFTER_LANE = 22;

export const noGap = (least: number): Gap => ({
  padBefore: 0,
  padAfter: 0,
  lanesBefore: 0,
  lanesAfter: 0,
  label: 0,
  least,
});

const lanesLength = (lanes: number): number => (lanes === 0 ? 0 : FIRST_LANE + LANE * (lanes - 1));

function lengthOf({ padBefore, padAfter, lanesBefore, lanesAfter, label, least }: Gap): number {
  const before = lanesLength(lanesBefore);
  const after = lanesLength(lanesAfter);
  const beside = before + after === 0 ? 0 : FIRST_LANE;
  const inner =
    label > 0 ? (before === 0 ? LEAD : LEAD_AFTER_LANE) + label + (after === 0 ? TRAIL : LEAD_AFTER_LANE) : beside;
  return padBefore + padAfter + Math.max(least, before + inner + after);
}

/** @param total the length to fill, which is shared among the cells or, with `stretch: 'gaps'`, the gaps within */
export function tracksOf(
  spans: readonly Span[],
  gaps: readonly Gap[],
  total = 0,
  stretch: 'cells' | 'gaps' = 'cells',
): Tracks {
  const count = gaps.length - 1;
  const cells = Array.from({ length: count }, () => 0);
  const gapLengths = gaps.map(lengthOf);
  for (const { first, last, size } of spans.toSorted((a, b) => a.last - a.first - (b.last - b.first))) {
    const has = sum(cells.slice(first, last + 1)) + sum(gapLengths.slice(first + 1, last + 1));
    share(cells, first, last, size - has);
  }
  const missing = total - sum(cells) - sum(gapLengths);
  if (stretch === 'cells') share(cells, 0, count - 1, missing);
  else share(gapLengths, Math.min(1, count), Math.max(1, count - 1), missing);
  const starts: number[] = [];
  let at = gapLengths[0]!;
  for (const [index, cell] of cells.entries()) {
    starts.push(at);
    at += cell + gapLengths[index + 1]!;
  }
  const gapStart = (gap: number): number => (gap === 0 ? 0 : starts[gap - 1]! + cells[gap - 1]!);
  return {
    length: at,
    startOf: (cell) => starts[cell]!,
    endOf: (cell) => starts[cell]! + cells[cell]!,
    labelsAt: (gap) => {
      const { padBefore, padAfter, lanesBefore, lanesAfter } = gaps[gap]!;
      const from = gapStart(gap) + padBefore + lanesLength(lanesBefore) + (lanesBefore === 0 ? LEAD : LEAD_AFTER_LANE);
      const to =
        gapStart(gap) +
        gapLengths[gap]! -
        padAfter -
        lanesLength(lanesAfter) -
        (lanesAfter === 0 ? TRAIL : LEAD_AFTER_LANE);
      return Math.round((from + to) / 2);
    },
    laneAt: (gap, lane) => {
      const { padBefore, padAfter } = gaps[gap]!;
      return lane >= 0
        ? gapStart(gap) + padBefore + FIRST_LANE + LANE * lane
        : gapStart(gap) + gapLengths[gap]! - padAfter - FIRST_LANE - LANE * (-1 - lane);
    },
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

/** Lengthens tracks alike by what is missing, in even steps. */
function share(lengths: number[], first: number, last: number, missing: number): void {
  if (missing <= 0) return;
  const each = Math.floor(missing / (last - first + 1) / 2) * 2;
  for (let index = first; index <= last; index++) {
    lengths[index]! += index === last ? Math.ceil((missing - each * (last - first)) / 2) * 2 : each;
  }
}
