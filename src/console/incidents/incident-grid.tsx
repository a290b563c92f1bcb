/**
 * The list as a grid. Only the visible rows are on the page, so a hundred thousand cost what fifty do.
 *
 * All rows have the same height. One element as high as all of them makes the scroll bar, and the visible rows are moved
 * to their place in it. The grid has the focus, and `aria-activedescendant` names the current row.
 */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Filters } from '../filters.ts';
import { listOf, route } from '../route.ts';
import type { IncidentRow } from './incident-row.ts';
import type { IncidentRows } from './incident-rows.ts';
import { ListRow, rowId } from './list-row.tsx';
import { current, place, selected, sought } from './selection.ts';

/** In pixels; narrow lists have two lines a row. As in incidents.css. */
const ROW_HEIGHT = { wide: 34, narrow: 58 } as const;
const HEAD_HEIGHT = { wide: 30, narrow: 0 } as const;
const NARROW_BELOW = 1048;
/** Extra rows above and below the visible ones. */
const SPARE = 8;
/** How many rows before the end the next page is read. */
const LOOK_AHEAD = 100;

export const GRID_ID = 'incidents';

/** Whether the list is on the page and nothing covers it. */
export const isListVisible = (): boolean =>
  document.getElementById(GRID_ID)?.checkVisibility({ visibilityProperty: true }) ?? false;

/** Whether the row of an incident can be seen, at least in part. */
export const isInSight = (id: string): boolean => {
  const row = document.getElementById(rowId(id))?.getBoundingClientRect();
  const grid = document.getElementById(GRID_ID)?.getBoundingClientRect();
  return row !== undefined && grid !== undefined && row.bottom > grid.top && row.top < grid.bottom;
};

export const IncidentGrid = ({ list }: { readonly list: IncidentRows }) => {
  const scroller = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const rows = list.rows.value;
  const shape = size.width < NARROW_BELOW ? 'narrow' : 'wide';
  const rowHeight = ROW_HEIGHT[shape];
  const headHeight = HEAD_HEIGHT[shape];

  useLayoutEffect(() => {
    const element = scroller.current!;
    const observer = new ResizeObserver(() => setSize({ width: element.clientWidth, height: element.clientHeight }));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const first = Math.max(0, Math.floor(top / rowHeight) - SPARE);
  const end = Math.min(rows.length, Math.ceil((top + size.height) / rowHeight) + SPARE);
  useEffect(() => {
    if (list.progress.value.kind === 'more' && end > rows.length - LOOK_AHEAD) void list.loadMore();
  }, [list, end, rows.length, list.progress.value]);

  const at = rows.findIndex(({ id }) => id === current.value);
  useLayoutEffect(() => {
    const element = scroller.current!;
    if (at === -1) return;
    place.value = at;
    const above = at * rowHeight;
    const below = above + rowHeight + headHeight - element.clientHeight;
    if (element.scrollTop > above) element.scrollTop = above;
    else if (element.scrollTop < below) element.scrollTop = below;
    // Only for another current row or when it is sought, not when rows move.
  }, [current.value, sought.value, shape]);

  const isComplete = list.progress.value.kind === 'complete';
  return (
    <div
      ref={scroller}
      id={GRID_ID}
      class={`grid ${shape}`}
      role="grid"
      tabIndex={0}
      aria-label="Incidents"
      aria-multiselectable="true"
      aria-rowcount={isComplete ? rows.length + 1 : -1}
      {...(at >= first && at < end && { 'aria-activedescendant': rowId(rows[at]!.id) })}
      onScroll={({ currentTarget }) => setTop(currentTarget.scrollTop)}
    >
      <GridHead />
      <div role="rowgroup" class="grid-space" style={{ height: `${rows.length * rowHeight}px` }}>
        <div role="presentation" class="grid-window" style={{ transform: `translateY(${first * rowHeight}px)` }}>
          {rows.slice(first, end).map((row, offset) => (
            <ListRow
              key={row.id}
              row={row}
              index={first + offset}
              isCurrent={row.id === current.value}
              isSelected={selected.value.has(row.id)}
              isOpen={row.id === route.value.id}
              unfolded={row.alike === undefined ? undefined : unfolded(list.filters, row)}
            />
          ))}
        </div>
      </div>
    </div>
  );
};

/** The address of the list of what a row stands for. */
const unfolded = (filters: Filters, { severity, state, class: ofClass, source }: IncidentRow): string =>
  listOf({
    ...filters,
    severities: [severity],
    states: [state],
    classes: [ofClass],
    sources: [source],
    collapsed: false,
  });

const GridHead = () => (
  <div role="rowgroup" class="grid-head">
    <div role="row" aria-rowindex={1} class="row head">
      <span role="columnheader" class="cell select">
        <span class="unseen">Selected</span>
      </span>
      {['Severity', 'State', 'Reported', 'Class', 'Description', 'Source'].map((name) => (
        <span key={name} role="columnheader" class={`cell ${name.toLowerCase()}`}>
          {name}
        </span>
      ))}
    </div>
  </div>
);
