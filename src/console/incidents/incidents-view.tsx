import { useSignal } from '@preact/signals';
import { drawAtOnce } from '../draw-at-once.ts';
import { useEffect, useMemo } from 'preact/hooks';
import { COMMAND_TABLE, type CommandName, COMMANDS } from '../../../machines/commands.ts';
import { UNATTENDED_STATES } from '../../../machines/vocabulary.ts';
import { IncidentView } from '../incident/incident-view.tsx';
import { type Filters, readFilters } from '../filters.ts';
import { type Keys, useKeys } from '../keyboard.ts';
import { connection, epoch, heard, isOld, listen } from '../live-entries.ts';
import { obstacleFor } from '../identity.ts';
import { now } from '../now.ts';
import { Notice } from '../parts/notice.tsx';
import { fragmentOf, goTo, incidentFragment, route } from '../route.ts';
import { counted, grouped, spelled, timeOfDay } from '../format.ts';
import { FilterBar, SEARCH_ID } from './filter-bar.tsx';
import { GRID_ID, IncidentGrid, isInSight, isListVisible } from './incident-grid.tsx';
import { IncidentRows } from './incident-rows.ts';
import { clearSelection, current, place, selected, sought, toggle } from './selection.ts';
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
    const stopTrying = connection.subscribe((state) => {
      if (state === 'live' && list.progress.peek().kind === 'failed') void list.loadMore();
    });
    // Incidents leave a list of the last hour without an entry.
    const stopAging = now.subscribe(() => list.renew());
    return () => {
      stop();
      stopTrying();
      stopAging();
      list.close();
    };
  }, [list]);

  useKeys(keysOf(list, id));
  return (
    <div class={`incidents ${id === undefined ? '' : 'with-incident'}`}>
      <h1 class="unseen">Incidents</h1>
      <section class="list" aria-label="List of incidents">
        <FilterBar filters={filters} sources={() => sourcesOf(list)} />
        <SelectionBar list={list} />
        {list.isStale.value && (
          <p class="stale" role="status">
            Parts of this list may be old.{' '}
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
    // On a narrow page the incident hides the list until it is closed. The next key may be waiting already, so the list
    // is drawn and takes the focus before this event ends.
    drawAtOnce(() => goTo(fragmentOf({ view: 'incidents', query: route.peek().query }), 'replace'));
    field?.focus();
  };
  /** The open incident, or the current one of the list once it is in sight. */
  const shown = (): string | undefined => {
    if (open !== undefined) return open;
    const id = current.peek();
    if (id === undefined || !rows.some((row) => row.id === id)) return undefined;
    if (isInSight(id)) return id;
    sought.value += 1;
    return undefined;
  };
  const onShown = (act: (id: string) => void) => (): void => {
    const id = shown();
    if (id !== undefined) act(id);
  };
  const give = (command: CommandName): void => {
    const chosen = isListVisible() ? selectedOf(list) : [];
    const one = chosen.length === 0 ? shown() : undefined;
    const ids = one === undefined ? chosen : [one];
    if (ids.length > 0) bulkCommand.value = { command, ids };
  };
  return {
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: open === undefined ? () => move(1) : undefined,
    ArrowUp: open === undefined ? () => move(-1) : undefined,
    Enter: onShown((id) => goTo(incidentFragment(id))),
    x: onShown((id) => isListVisible() && rows.some((row) => row.id === id) && toggle(id)),
    Escape: close,
    ...Object.fromEntries(COMMANDS.map((command) => [COMMAND_TABLE[command].key, () => give(command)])),
    '/': search,
  };
};

/** How many rows are looked at for sources to offer. */
const MOST_FOR_SOURCES = 2000;

/** The sources in the list, the most severe first. */
const sourcesOf = (list: IncidentRows): readonly string[] => [
  ...new Set(
    list.rows
      .peek()
      .slice(0, MOST_FOR_SOURCES)
      .map(({ source }) => source),
  ),
];

/** The selected incidents that are in the list: commands leave out the others. */
const selectedOf = (list: IncidentRows): readonly string[] =>
  list.rows.value.filter(({ id }) => selected.value.has(id)).map(({ id }) => id);

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
  const { states, classes, severities, sources, words, last, since, until, holds } = filters;
  const isUnattended =
    states.join() === UNATTENDED_STATES.join() && [...classes, ...severities, ...sources].length === 0;
  if (isUnattended && words === '' && (last ?? since ?? until ?? holds) === undefined) {
    if (isOld.value && heard.value !== undefined) {
      return (
        <Notice kind="empty" title={`Nothing needed attention at ${timeOfDay(heard.value)}`}>
          <p>What has been reported since is not known.</p>
        </Notice>
      );
    }
    return (
      <Notice kind="empty" title="Nothing needs attention">
        <p>Every incident is acknowledged or resolved. A new one appears here as soon as it is on record.</p>
      </Notice>
    );
  }
  return (
    <Notice kind="empty" title={isOld.value ? 'No incident matched' : 'No incident matches'}>
      <p>
        <a href="#/incidents">Show every incident</a>
      </p>
    </Notice>
  );
};

const SelectionBar = ({ list }: ListProps) => {
  const ids = selectedOf(list);
  const hidden = selected.value.size - ids.length;
  if (selected.value.size === 0) return null;
  const rows = list.rows.value;
  const isWhole = list.progress.value.kind === 'complete';
  return (
    <div class="selection" role="region" aria-label="Selection">
      {ids.length > 0 && <strong>{grouped(ids.length)} selected</strong>}
      {hidden > 0 && (
        <span>
          {grouped(hidden)} {ids.length === 0 && 'selected '}that {hidden === 1 ? 'is' : 'are'} not in this list
        </span>
      )}
      {ids.length > 0 &&
        COMMANDS.map((command) => (
          <button
            key={command}
            type="button"
            disabled={obstacleFor(COMMAND_TABLE[command].roles) !== undefined}
            title={obstacleFor(COMMAND_TABLE[command].roles)}
            onClick={() => (bulkCommand.value = { command, ids })}
          >
            {spelled(command)}
          </button>
        ))}
      {rows.length > 0 && (
        <button
          type="button"
          onClick={() => {
            selected.value = new Set(rows.map(({ id }) => id));
          }}
        >
          {isWhole ? `Select all ${grouped(rows.length)}` : `Select the ${grouped(rows.length)} read so far`}
        </button>
      )}
      <button type="button" class="quiet" onClick={clearSelection}>
        Clear
      </button>
    </div>
  );
};
