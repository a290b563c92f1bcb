/**
 * Tables that fit the terminal.
 *
 * Columns are as wide as their widest value while there is room. Without room, columns that may be cut share what is left,
 * each at least at its least width. If that is still too wide, optional columns are left out, the last one first. Output
 * that is no terminal has unlimited room: a pipe gets whole values.
 */
import { printable } from './printable.ts';
import { styled, type Style } from './colour.ts';
import { fitted, padded, widthOf } from './width.ts';

export interface Column<Row> {
  readonly header: string;
  readonly value: (row: Row) => string;
  readonly style?: (row: Row) => Style | undefined;
  /** The width down to which values may be cut; without it they are never cut. */
  readonly least?: number;
  /** Whether the column may be left out. */
  readonly optional?: boolean;
}

const GAP = '  ';

/** The width of the terminal in columns; infinite for other output. */
export const terminalWidth = (): number => {
  const { columns } = process.stdout;
  return columns === undefined || columns === 0 ? Number.POSITIVE_INFINITY : columns;
};

/** The lines of a table, its header first. */
export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  room = terminalWidth(),
): readonly string[] {
  const cells = columns.map(({ value }) => rows.map((row) => printable(value(row))));
  const natural = columns.map(({ header }, index) =>
    Math.max(widthOf(header), ...(cells[index] ?? []).map((text) => widthOf(text))),
  );
  const widths = fit(columns, natural, room);
  const line = (textOf: (index: number) => string, styleOf: (index: number) => Style | undefined): string =>
    widths
      .flatMap((width, index) => (width === 0 ? [] : [{ width, index }]))
      .map(({ width, index }, place, shown) => {
        const text = fitted(textOf(index), width);
        return (
          styled(styleOf(index), text) + (place === shown.length - 1 ? '' : padded(text, width).slice(text.length))
        );
      })
      .join(GAP)
      .trimEnd();
  return [
    line(
      (index) => columns[index]?.header ?? '',
      () => 'dim',
    ),
    ...rows.map((row, at) =>
      line(
        (index) => cells[index]?.[at] ?? '',
        (index) => columns[index]?.style?.(row),
      ),
    ),
  ];
}

/** The width of each column, 0 for one that is left out. */
function fit(
  columns: readonly Pick<Column<never>, 'least' | 'optional'>[],
  natural: readonly number[],
  room: number,
): readonly number[] {
  const least = columns.map((column, index) => Math.min(natural[index] ?? 0, column.least ?? Number.POSITIVE_INFINITY));
  const shown = columns.map(() => true);
  const needed = (widths: readonly number[]): number =>
    widths.reduce((sum, width, index) => (shown[index] ? sum + width + GAP.length : sum), -GAP.length);
  while (needed(least) > room) {
    const last = columns.findLastIndex(({ optional }, index) => optional === true && shown[index]);
    if (last === -1) break;
    shown[last] = false;
  }
  const widths = [...least];
  // The first columns matter most: they get the remaining room first.
  for (const index of columns.keys()) {
    widths[index] = Math.min(natural[index] ?? 0, (widths[index] ?? 0) + Math.max(0, room - needed(widths)));
  }
  return widths.map((width, index) => (shown[index] ? width : 0));
}
