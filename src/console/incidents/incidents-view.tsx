import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { COMMAND_TABLE, type CommandName, COMMANDS } from '../../../machines/commands.ts';
import { UNATTENDED_STATES } from '../../../machines/vocabulary.ts';
import { IncidentView } from '../incident/incident-view.tsx';
import { type Filters, readFilters } from '../filters.ts';
import { type Keys, useKeys } from '../keyboard.ts';
import { epoch, listen } from '../live-entries.ts';
import { Notice } from '../parts/notice.tsx';
import { fragmentOf, goTo, incidentFragment, route } from '../route.ts';
import { counted, spelled } from '../format.ts';
import { FilterBar, SEARCH_ID } from './filter-bar.tsx';
import { GRID_ID, IncidentGrid } from './incident-grid.tsx';
import { IncidentRows } from './incident-rows.ts';
import { clearSelection, current, place, selected, toggle } from './selection.ts';
import { bulkCommand } from './bulk-command.ts';

/** The list and the open incident, side by side where there is room. */
export const IncidentsView = () => {
  const { id, query } = route.value;
  const rereads = useSignal(0);
  const filters = useMemo(() => readFilters(query), [query]);
  const list = useMemo(() => new IncidentRows(filters), [filters, epoch.value, rereads.value]);
  useEffect(() => {
    void list.loadMore();
    const stop = listen((entry) => list.take(entry));
    return () => {
      stop();
      list.close();
    };
  }, [list]);

  useKeys(keysOf(list, id));
  return (
    <div class={`incidents ${id === undefined ? '' : 'with-incident'}`}>
      <h1 class="unseen">Incidents</h1>
      <section class="list" aria-label="List of incidents">
        <FilterBar filters={filters} />
        <SelectionBar list={list} />
        {list.isStale.value && (
          <p class="stale" role="status">
            Much has changed at once.{' '}
            <button type="button" class="link" onClick={() => (rereads.value += 1)}>
              Read the list again
            </button>
          </p>
        )}
        <ListBody list={list} filters={filters} onReread={() => (rereads.value += 1)} />
      </section>
      {id !== undefined && <IncidentView key={id} id={id} />}
    </div>
  );
};

const keysOf = (list: IncidentRows, open: string | undefined): Keys => {
  const rows = list.rows.value;
  const move = (step: number): void => {
    const at = rows.findIndex(({ id }) => id === current.peek());
    const from = at === -1 ? place.peek() - (step > 0 ? 1 : 0) : at;
    const to = rows[Math.min(rows.length - 1, Math.max(0, from + step))];
    if (to === undefined) return;
    current.value = to.id;
    document.getElementById(GRID_ID)?.focus({ preventScroll: true });
    if (open !== undefined) goTo(incidentFragment(to.id), 'replace');
  };
  const close = (): void => {
    if (open === undefined) clearSelection();
    else goTo(fragmentOf({ view: 'incidents', query: route.peek().query }));
  };
  const search = (): void => {
    const field = document.getElementById(SEARCH_ID);
    field?.focus();
    if (document.activeElement === field) return;
    // On a narrow page the incident hides the list until it is closed. Preact renders in a microtask, so the field gets
    // the focus before the next key arrives.
    goTo(fragmentOf({ view: 'incidents', query: route.peek().query }), 'replace');
    queueMicrotask(() => field?.focus());
  };
  const onCurrent = (act: (id: string) => void) => (): void => {
    const id = open ?? current.peek();
    if (id !== undefined) act(id);
  };
  const give = (command: CommandName): void => {
    const ids = targets(open);
    if (ids.length > 0) bulkCommand.value = { command, ids };
  };
  return {
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: open === undefined ? () => move(1) : undefined,
    ArrowUp: open === undefined ? () => move(-1) : undefined,
    Enter: onCurrent((id) => goTo(incidentFragment(id))),
    x: onCurrent(toggle),
    Escape: close,
    ...Object.fromEntries(COMMANDS.map((command) => [COMMAND_TABLE[command].key, () => give(command)])),
    '/': search,
  };
};

/** The incidents that a command is for: the selection, else the open incident, else the current one. */
const targets = (open: string | undefined): readonly string[] => {
  if (selected.peek().size > 0) return [...selected.peek()];
  const one = open ?? current.peek();
  return one === undefined ? [] : [one];
};

interface ListProps {
  readonly list: IncidentRows;
}

const ListBody = ({
  list,
  filters,
  onReread,
}: ListProps & { readonly filters: Filters; readonly onReread: () => void }) => {
  const progress = list.progress.value;
  const isEmpty = list.rows.value.length === 0;
  const again = (
    <button type="button" onClick={onReread}>
      Try again
    </button>
  );
  if (isEmpty && progress.kind === 'failed') {
    return (
      <Notice kind="fault" title="The list could not be read">
        <p>{progress.reason}</p>
        {again}
      </Notice>
    );
  }
  if (isEmpty && progress.kind === 'complete') return <NothingThere filters={filters} />;
  return (
    <>
      <IncidentGrid list={list} />
      <p class="list-foot" role="status">
        {progress.kind === 'loading' && 'Reading…'}
        {progress.kind === 'more' && `${sizeOf(list)} so far, more below`}
        {progress.kind === 'complete' && sizeOf(list)}
        {progress.kind === 'failed' && (
          <>
            The rest could not be read: {progress.reason}.{' '}
            <button type="button" class="link" onClick={() => void list.loadMore()}>
              Try again
            </button>
          </>
        )}
      </p>
    </>
  );
};

/** `3 incidents`, in a collapsed list `568 incidents in 3 rows`. */
const sizeOf = ({ rows, filters }: IncidentRows): string => {
  const { length } = rows.value;
  if (!filters.collapsed) return counted(length, 'incident');
  const all = rows.value.reduce((sum, { alike }) => sum + 1 + (alike?.count ?? 0), 0);
  return `${counted(all, 'incident')} in ${counted(length, 'row')}`;
};

const NothingThere = ({ filters }: { readonly filters: Filters }) => {
  const { states, classes, severities, sources, words, last, since, until } = filters;
  const isUnattended =
    states.join() === UNATTENDED_STATES.join() && [...classes, ...severities, ...sources].length === 0;
  if (isUnattended && words === '' && (last ?? since ?? until) === undefined) {
    return (
      <Notice kind="empty" title="Nothing needs attention">
        <p>Every incident is acknowledged or resolved. A new one appears here as soon as it is on record.</p>
      </Notice>
    );
  }
  return (
    <Notice kind="empty" title="No incident matches">
      <p>
        <a href="#/incidents">Show every incident</a>
      </p>
    </Notice>
  );
};

const SelectionBar = ({ list }: ListProps) => {
  const ids = [...selected.value];
  if (ids.length === 0) return null;
  const hidden = ids.filter((id) => list.get(id) === undefined).length;
  return (
    <div class="selection" role="region" aria-label="Selection">
      <strong>{ids.length} selected</strong>
      {hidden > 0 && <span>{hidden} not in this list</span>}
      {COMMANDS.map((command) => (
        <button key={command} type="button" onClick={() => (bulkCommand.value = { command, ids })}>
          {spelled(command)}
        </button>
      ))}
      <button
        type="button"
        onClick={() => {
          selected.value = new Set(list.rows.value.map(({ id }) => id));
        }}
      >
        Select all {list.rows.value.length}
      </button>
      <button type="button" class="quiet" onClick={clearSelection}>
        Clear
      </button>
    </div>
  );
};
