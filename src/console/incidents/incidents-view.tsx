import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { attention, isAttention } from '../attention.ts';
import { IncidentView } from '../incident/incident-view.tsx';
import { type Filters, isGrouped, readFilters } from '../filters.ts';
import { useActs } from '../keyboard.ts';
import { leftAt } from '../last-seen.ts';
import { areAlarmsKnown, silentMachines } from '../of-fleet/live-fleet.ts';
import { heard, isOld } from '../live-entries.ts';
import { Notice } from '../parts/notice.tsx';
import { goTo, incidentFragment, route } from '../route.ts';
import { counted, momentOf } from '../format.ts';
import { now } from '../now.ts';
import { useArrivals } from './arrivals.ts';
import { BulkLine } from './bulk-line.tsx';
import { FilterLine } from './filter-line.tsx';
import { FollowedList } from './followed-list.ts';
import { GRID_ID, IncidentGrid } from './incident-grid.tsx';
import type { IncidentRows } from './incident-rows.ts';
import { listActs } from './list-acts.ts';
import { ListFoot } from './list-foot.tsx';
import { FIRST_MEMBERS, type Line, linesOf, rowsOfLine } from './list-lines.ts';
import { anchor, current, place, select, selected, toggle, unfold, unfolded } from './selection.ts';
import { SinceLine } from './since-line.tsx';

/** The list of the filters, or the one of what needs attention, which is kept for every view. */
const useFollowedList = (filters: Filters): FollowedList => {
  const followed = useMemo(() => (isAttention(filters) ? attention : new FollowedList(filters)), [filters]);
  useEffect(() => {
    if (followed === attention) return undefined;
    followed.follow();
    return () => followed.close();
  }, [followed]);
  return followed;
};

/** The list and the open incident, side by side where there is room. */
export const IncidentsView = () => {
  const { id, query } = route.value;
  const filters = useMemo(() => readFilters(query), [query]);
  const followed = useFollowedList(filters);
  const list = followed.shown.value;
  const arrivals = useArrivals(list);
  const isPointed = useRef(false);
  const isSorted = filters.sort !== undefined;
  const since = isAttention(filters) && !isSorted ? leftAt.value?.at : undefined;
  const rows = list.rows.value;
  const all = useMemo(() => {
    const shown = arrivals.waiting.size === 0 ? rows : rows.filter((row) => !arrivals.waiting.has(row.id));
    return linesOf(shown, { isGrouped: isGrouped(filters), unfolded: unfolded.value, since });
  }, [rows, arrivals.waiting, filters, unfolded.value, since]);

  const isHeld = (): boolean =>
    isPointed.current || (document.activeElement?.id === GRID_ID && current.peek() !== undefined);
  const open = (line: Line): void => {
    current.value = line.key;
    if (line.kind === 'row') goTo(incidentFragment(line.key));
    else if (line.kind === 'burst') unfold(line.key, line.isUnfolded ? undefined : FIRST_MEMBERS);
    document.getElementById(GRID_ID)?.focus({ preventScroll: true });
  };
  const choose = (line: Line, index: number, isRange: boolean): void => {
    const from = anchor.peek();
    if (isRange && from !== undefined) {
      const [low, high] = [Math.min(from, index), Math.max(from, index)];
      select(all.slice(low, high + 1).flatMap((one) => rowsOfLine(one).map((row) => row.id)));
    } else {
      toggle(rowsOfLine(line).map((row) => row.id));
      anchor.value = index;
    }
    current.value = line.key;
    place.value = index;
  };

  useActs(listActs({ lines: all, open: id, openLine: open }));
  const hasSelection = selected.value.size > 0;
  return (
    <div class={`incidents ${id === undefined ? '' : 'with-incident'}`}>
      <h1 class="unseen">Incidents</h1>
      <section class="list" aria-label="List of incidents">
        {hasSelection ? (
          <BulkLine list={list} lines={all} filters={filters} />
        ) : (
          <FilterLine filters={filters} rows={() => list.rows.peek()} />
        )}
        {list.isStale.value && !isGrouped(filters) && (
          <p class="stale" role="status">
            Parts of this list may be old.{' '}
            <button type="button" class="link" onClick={() => void followed.reread()}>
              Read the list again
            </button>
          </p>
        )}
        <div
          class="list-body"
          onFocusIn={() => arrivals.hold(isHeld())}
          onFocusOut={() => setTimeout(() => arrivals.hold(isHeld()))}
        >
          <ListBody list={list} filters={filters} onReread={() => void followed.reread()}>
            <IncidentGrid
              list={list}
              lines={all}
              fresh={arrivals.fresh}
              sinceLine={<SinceLine lines={all} waiting={arrivals.waiting.size} onShow={arrivals.show} />}
              onOpen={open}
              onSelect={choose}
              onPointer={(isOver) => {
                isPointed.current = isOver;
                arrivals.hold(isHeld());
              }}
            />
          </ListBody>
        </div>
        <ListFoot
          list={list}
          lines={all}
          filters={filters}
          waiting={all.some(({ kind }) => kind === 'since') ? 0 : arrivals.waiting.size}
          onShow={arrivals.show}
        />
      </section>
      {id !== undefined && <IncidentView key={id} id={id} lines={all} />}
    </div>
  );
};

interface ListBodyProps {
  readonly list: IncidentRows;
  readonly filters: Filters;
  readonly onReread: () => void;
  readonly children: ComponentChildren;
}

const ListBody = ({ list, filters, onReread, children }: ListBodyProps) => {
  const progress = list.progress.value;
  const isEmpty = list.rows.value.length === 0;
  if (isEmpty && progress.kind === 'failed') {
    return (
      <Notice kind="fault" title="The list could not be read">
        <p>{progress.reason}</p>
        <button type="button" onClick={onReread}>
          Try again
        </button>
      </Notice>
    );
  }
  if (isEmpty && progress.kind === 'complete') return <NothingThere filters={filters} />;
  return <>{children}</>;
};

const NothingThere = ({ filters }: { readonly filters: Filters }) => {
  const others = (
    <p>
      <a href="#/incidents">Show every incident</a>
    </p>
  );
  if (!isAttention(filters)) {
    return (
      <Notice kind="empty" title={isOld.value ? 'No incident matched' : 'No incident matches'}>
        {others}
      </Notice>
    );
  }
  if (isOld.value && heard.value !== undefined) {
    return (
      <Notice kind="empty" title={`Nothing needed attention at ${momentOf(heard.value, now.value)}`}>
        <p>What has been reported since is not known.</p>
      </Notice>
    );
  }
  const silent = silentMachines.value;
  if (silent > 0) {
    return (
      <Notice kind="empty" title="Nothing needs attention on the machines that are heard">
        <p>
          <a href="#/machines">
            {counted(silent, 'machine')} {silent === 1 ? 'is' : 'are'} silent
          </a>
          : what happens there is not known.
        </p>
        {others}
      </Notice>
    );
  }
  if (!areAlarmsKnown.value) {
    return (
      <Notice kind="empty" title="Nothing needs attention on the machines that are heard">
        <p>Which machines are silent is not known yet.</p>
        {others}
      </Notice>
    );
  }
  return (
    <Notice kind="empty" title="Nothing needs attention">
      <p>Every incident is taken on or resolved. A new one appears here as soon as it is on record.</p>
      {others}
    </Notice>
  );
};
