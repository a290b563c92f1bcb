/**
 * The list as a grid. Only the visible lines are on the page, so a hundred thousand cost what fifty do.
 *
 * Lines have fixed heights, by their kind and the width of the list. One element as high as all of them makes the scroll
 * bar, and the visible lines are moved to their place in it. The grid has the focus, and `aria-activedescendant` names the
 * current line.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { type Filters, type Sort, type SortName, NO_FILTERS, writeFilters } from '../filters.ts';
import { Icon } from '../parts/icon.tsx';
import { fragmentOf, incidentFragment, route } from '../route.ts';
import { changeFilters } from './change-filters.ts';
import type { IncidentRows } from './incident-rows.ts';
import { type Burst, type Line, rowsOfLine } from './list-lines.ts';
import { WIDE_FROM } from './list-width.ts';
import { ListRow, rowId, type Selected } from './list-row.tsx';
import { isFleet } from '../service.ts';
import { current, place, selected, sought, unfold } from './selection.ts';

type Shape = 'narrow' | 'mid' | 'wide';

/** In pixels, as in 3-incidents.css. */
const HEIGHTS: Readonly<Record<Shape, Readonly<Record<'row' | 'member' | 'burst' | 'more' | 'since', number>>>> = {
  narrow: { row: 98, member: 98, burst: 118, more: 40, since: 28 },
  mid: { row: 48, member: 32, burst: 48, more: 32, since: 28 },
  wide: { row: 36, member: 32, burst: 36, more: 32, since: 28 },
};
const HEAD_HEIGHT: Readonly<Record<Shape, number>> = { narrow: 0, mid: 32, wide: 32 };
const NARROW_BELOW = 700;
/** Extra lines above and below the visible ones. */
const SPARE = 8;
/** How many lines before the end the next page is read. */
const LOOK_AHEAD = 100;

export const GRID_ID = 'incidents';

/** Whether the list is on the page and nothing covers it. */
export const isListVisible = (): boolean =>
  document.getElementById(GRID_ID)?.checkVisibility({ visibilityProperty: true }) ?? false;

/** Whether a line can be seen, at least in part. */
export const isInSight = (key: string): boolean => {
  const row = document.getElementById(rowId(key))?.getBoundingClientRect();
  const grid = document.getElementById(GRID_ID)?.getBoundingClientRect();
  return row !== undefined && grid !== undefined && row.bottom > grid.top && row.top < grid.bottom;
};

interface IncidentGridProps {
  readonly list: IncidentRows;
  readonly lines: readonly Line[];
  /** The ids of what has just come. */
  readonly fresh: ReadonlySet<string>;
  /** What stands in the line where the person left off. */
  readonly sinceLine: ComponentChildren;
  readonly onOpen: (line: Line) => void;
  readonly onSelect: (line: Line, index: number, isRange: boolean) => void;
  /** Called when the pointer comes over the lines, and when it leaves them. */
  readonly onPointer: (isOver: boolean) => void;
}

export const IncidentGrid = ({ list, lines, fresh, sinceLine, onOpen, onSelect, onPointer }: IncidentGridProps) => {
  const scroller = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const shape: Shape = size.width < NARROW_BELOW ? 'narrow' : size.width < WIDE_FROM ? 'mid' : 'wide';
  const headHeight = HEAD_HEIGHT[shape];
  const offsets = useMemo(() => offsetsOf(lines, shape), [lines, shape]);

  useLayoutEffect(() => {
    const element = scroller.current!;
    const measure = (): void => setSize({ width: element.clientWidth, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const first = Math.max(0, lineAt(offsets, top) - SPARE);
  const end = Math.min(lines.length, lineAt(offsets, top + size.height) + 1 + SPARE);
  useEffect(() => {
    if (list.progress.value.kind === 'more' && end > lines.length - LOOK_AHEAD) void list.loadMore();
  }, [list, end, lines.length, list.progress.value]);

  const at = lines.findIndex(({ key }) => key === current.value);
  useLayoutEffect(() => {
    const element = scroller.current!;
    if (at === -1) return;
    place.value = at;
    const above = offsets[at]!;
    const below = offsets[at + 1]! + headHeight - element.clientHeight;
    if (element.scrollTop > above) element.scrollTop = above;
    else if (element.scrollTop < below) element.scrollTop = below;
    // Only for another current line or when it is sought, not when lines move.
  }, [current.value, sought.value, shape]);

  const isComplete = list.progress.value.kind === 'complete';
  return (
    <div
      ref={scroller}
      id={GRID_ID}
      class={`grid ${shape} ${isFleet ? 'of-fleet' : ''}`}
      role="grid"
      tabIndex={0}
      aria-label="Incidents"
      aria-multiselectable="true"
      aria-rowcount={isComplete ? lines.length + 1 : -1}
      {...(at >= first && at < end && { 'aria-activedescendant': rowId(lines[at]!.key) })}
      onScroll={({ currentTarget }) => setTop(currentTarget.scrollTop)}
    >
      <GridHead lines={lines} shape={shape} filters={list.filters} />
      <div
        role="rowgroup"
        class="grid-space"
        style={{ height: `${offsets[lines.length]}px` }}
        onPointerEnter={({ pointerType }) => pointerType === 'mouse' && onPointer(true)}
        onPointerLeave={() => onPointer(false)}
      >
        <div role="presentation" class="grid-window" style={{ transform: `translateY(${offsets[first] ?? 0}px)` }}>
          {lines.slice(first, end).map((line, offset) => {
            const index = first + offset;
            if (line.kind === 'since') {
              return (
                <div key="since" role="row" aria-rowindex={index + 2} class="since">
                  <span role="gridcell">{sinceLine}</span>
                </div>
              );
            }
            if (line.kind === 'more') return <MoreLine key={line.key} line={line} index={index} />;
            return (
              <ListRow
                key={line.key}
                line={line}
                index={index}
                isCurrent={line.key === current.value}
                selected={selectedOf(line)}
                isOpen={line.key === route.value.id}
                isNew={fresh.has(line.kind === 'row' ? line.key : line.burst.rows[0]!.id)}
                href={wayOf(line)}
                onOpen={onOpen}
                onSelect={onSelect}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
};

/** Where each line begins, in pixels from the first, and where the last one ends. */
const offsetsOf = (lines: readonly Line[], shape: Shape): Float64Array => {
  const heights = HEIGHTS[shape];
  const offsets = new Float64Array(lines.length + 1);
  for (const [index, line] of lines.entries()) {
    const kind = line.kind === 'row' && line.isMember ? 'member' : line.kind;
    offsets[index + 1] = offsets[index]! + heights[kind];
  }
  return offsets;
};

/** The line at a height. */
const lineAt = (offsets: Float64Array, height: number): number => {
  let [low, high] = [0, offsets.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (offsets[middle + 1]! <= height) low = middle + 1;
    else high = middle;
  }
  return low;
};

const selectedOf = (line: Line): Selected => {
  const rows = rowsOfLine(line);
  const count = rows.filter(({ id }) => selected.value.has(id)).length;
  return count === 0 ? 'none' : count === rows.length ? 'all' : 'some';
};

/** The address of an incident beside this list, or of the list of a burst. */
const wayOf = (line: Line): string => (line.kind === 'burst' ? burstFragment(line.burst) : incidentFragment(line.key));

const burstFragment = ({ class: ofClass, source, first, last }: Burst): string =>
  fragmentOf({
    view: 'incidents',
    query: writeFilters({
      ...NO_FILTERS,
      classes: [ofClass],
      sources: [source],
      since: first,
      until: new Date(Date.parse(last) + 1).toISOString(),
      grouped: false,
    } satisfies Filters),
  });

const MoreLine = ({
  line,
  index,
}: {
  readonly line: Extract<Line, { readonly kind: 'more' }>;
  readonly index: number;
}) => (
  <div role="row" aria-rowindex={index + 2} class="row more">
    <span role="gridcell" class="cell">
      <button type="button" class="link" onClick={() => unfold(line.burst.key, line.burst.rows.length)}>
        Show {line.count} more of {line.burst.rows.length}
      </button>
    </span>
  </div>
);

interface Column {
  readonly name: string;
  readonly label: string;
  readonly sort?: SortName;
  /** Which direction comes first. */
  readonly isDescending?: true;
  readonly only?: Shape;
}

const COLUMNS: readonly Column[] = [
  { name: 'severity', label: 'Severity', sort: 'severity' },
  { name: 'state', label: 'State', sort: 'state', only: 'wide' },
  { name: 'class', label: 'Class', sort: 'class', only: 'wide' },
  { name: 'description', label: 'Description', sort: 'class', only: 'mid' },
  { name: 'description', label: 'Description', only: 'wide' },
  ...(isFleet ? [{ name: 'machine', label: 'Machine' } as const] : []),
  { name: 'evidence', label: 'Evidence', only: 'wide' },
  { name: 'source', label: 'Source', sort: 'source', only: 'wide' },
  { name: 'held', label: 'Containment' },
  { name: 'assignee', label: 'Assignee', sort: 'assignee' },
  { name: 'age', label: 'Age', sort: 'created', isDescending: true },
  { name: 'id', label: 'Id', only: 'wide' },
];

interface GridHeadProps {
  readonly lines: readonly Line[];
  readonly shape: Shape;
  readonly filters: Filters;
}

const GridHead = ({ lines, shape, filters: { sort = 'severity' } }: GridHeadProps) => {
  const ids = lines.flatMap((line) => rowsOfLine(line).map(({ id }) => id));
  const count = ids.filter((id) => selected.value.has(id)).length;
  const state = count === 0 ? 'false' : count === ids.length ? 'true' : 'mixed';
  const look = { false: 'none', true: 'all', mixed: 'some' }[state];
  return (
    <div role="rowgroup" class="grid-head">
      <div role="row" aria-rowindex={1} class="row head">
        <span role="columnheader" class="cell select">
          <button
            type="button"
            role="checkbox"
            class="bare"
            aria-checked={state}
            aria-label="Select all that are shown"
            onClick={() => (selected.value = state === 'true' ? new Set() : new Set(ids))}
          >
            <span class={`check ${look}`} />
          </button>
        </span>
        {COLUMNS.filter(({ only = shape }) => only === shape || (shape === 'narrow' && only === 'mid')).map(
          (column) => (
            <Head key={`${column.name} ${column.label}`} column={column} sort={sort} shape={shape} />
          ),
        )}
      </div>
    </div>
  );
};

/** What each column is sorted by when it is chosen a first, and a second time. */
const Head = ({ column, sort, shape }: { readonly column: Column; readonly sort: Sort; readonly shape: Shape }) => {
  const { name, label, sort: by, isDescending } = column;
  const words =
    name === 'severity' && shape === 'mid'
      ? 'Severity, state'
      : name === 'age' && shape === 'wide'
        ? 'Age, reported'
        : label;
  if (by === undefined) {
    return (
      <span role="columnheader" class={`cell ${name}`}>
        {words}
      </span>
    );
  }
  const isSorted = sort === by || sort === `-${by}`;
  // `severity` is the most severe first.
  const direction = sort.startsWith('-') === (by === 'severity') ? 'ascending' : 'descending';
  const first: Sort = isDescending ? `-${by}` : by;
  const second: Sort = isDescending ? by : `-${by}`;
  return (
    <span role="columnheader" class={`cell ${name}`} aria-sort={isSorted ? direction : 'none'}>
      <button
        type="button"
        class="bare"
        tabIndex={-1}
        onClick={() =>
          changeFilters((now) => {
            const next = isSorted && sort === first ? second : first;
            return { ...now, sort: next === 'severity' ? undefined : next };
          })
        }
      >
        {words} {isSorted && <Icon name={direction === 'descending' ? 'down' : 'up'} />}
      </button>
    </span>
  );
};
