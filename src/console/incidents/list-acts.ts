/** What keys and the palette do in the list and with the incident that is open. */
import { drawAtOnce } from '../draw-at-once.ts';
import { ATTENTION, type BulkFilter, bulkFilterOf, readFilters } from '../filters.ts';
import { serviceTime } from '../service-time.ts';
import type { Acts } from '../keyboard.ts';
import { fragmentOf, goTo, incidentFragment, route } from '../route.ts';
import { sheetIsOpen } from './change-filters.ts';
import { SEARCH_ID } from './filter-line.tsx';
import { SHEET_SEARCH_ID } from './filter-sheet.tsx';
import { type Doing, DOINGS, give } from './given-command.ts';
import { GRID_ID, isInSight, isListVisible } from './incident-grid.tsx';
import type { IncidentRow } from './incident-row.ts';
import { type Burst, FIRST_MEMBERS, type Line, rowsOfLine } from './list-lines.ts';
import { clearSelection, current, place, select, selected, sought, toggle, unfold } from './selection.ts';
import { silenceDraft } from './silence-dialog.tsx';

interface Situation {
  readonly lines: readonly Line[];
  /** The incident that is open. */
  readonly open: string | undefined;
  readonly openLine: (line: Line) => void;
}

/** The selected incidents that are in these lines: commands leave out the others. */
export const selectedIn = (lines: readonly Line[]): readonly IncidentRow[] => {
  const rows = new Map(lines.flatMap((line) => rowsOfLine(line).map((row) => [row.id, row] as const)));
  return [...rows.values()].filter(({ id }) => selected.value.has(id));
};

const focusOn = (id: string): void => document.getElementById(id)?.focus();

/** Selects a burst among what the list shows, and what else came from there at the time. */
const filterOfBurst = ({ class: name, source, first, last }: Burst): BulkFilter | undefined => {
  const until = new Date(Date.parse(last) + 1).toISOString();
  const shown = readFilters(route.peek().query);
  return bulkFilterOf(
    { ...shown, classes: [name], sources: [source], last: undefined, since: first, until },
    serviceTime(),
  );
};

/** The lines that keys stop at. */
const isStop = ({ kind }: Line): boolean => kind === 'row' || kind === 'burst';

export const listActs = ({ lines, open, openLine }: Situation): Acts => {
  const list = (): string => fragmentOf({ view: 'incidents', query: route.peek().query });
  const at = (): number => lines.findIndex(({ key }) => key === current.peek());
  const move = (step: number): Line | undefined => {
    const stops = lines.flatMap((line, index) => (isStop(line) ? index : []));
    const now = at();
    const from = now === -1 ? place.peek() - (step > 0 ? 1 : 0) : now;
    const next = step > 0 ? stops.find((index) => index > from) : stops.findLast((index) => index < from);
    const line = lines[next ?? (now === -1 ? (stops.at(-1) ?? -1) : now)];
    if (line === undefined) return undefined;
    current.value = line.key;
    document.getElementById(GRID_ID)?.focus({ preventScroll: true });
    if (open !== undefined && line.kind === 'row') goTo(incidentFragment(line.key), 'replace');
    return line;
  };
  const extend = (step: number) => (): void => {
    const line = lines[at()];
    if (line !== undefined) select(rowsOfLine(line).map(({ id }) => id));
    const next = move(step);
    if (next !== undefined) select(rowsOfLine(next).map(({ id }) => id));
  };
  const back = (): void => {
    if (open !== undefined) goTo(list());
    else if (selected.peek().size > 0) clearSelection();
    else if (route.peek().query !== ATTENTION) goTo(fragmentOf({ view: 'incidents', query: ATTENTION }));
  };
  const search = (): void => {
    // The selection has taken the place of the filter line.
    if (selected.peek().size > 0) drawAtOnce(clearSelection);
    focusOn(SEARCH_ID);
    if (document.activeElement?.id === SEARCH_ID) return;
    // On a narrow page the incident hides the list until it is closed. The next key may be waiting already, so the list
    // is drawn and takes the focus before this event ends.
    if (open !== undefined) drawAtOnce(() => goTo(list(), 'replace'));
    focusOn(SEARCH_ID);
    if (document.activeElement?.id === SEARCH_ID) return;
    // Where there is no room for the field, the filters are a sheet.
    drawAtOnce(() => (sheetIsOpen.value = true));
    focusOn(SHEET_SEARCH_ID);
  };
  /** The open incident, or the current line once it is in sight. */
  const shown = (): Line | undefined => {
    const line = lines[at()];
    if (line === undefined) return undefined;
    if (isInSight(line.key)) return line;
    sought.value += 1;
    return undefined;
  };
  const onShown = (does: (line: Line) => void) => (): void => {
    const line = shown();
    if (line !== undefined) does(line);
  };
  const giveTo = (command: Doing) => (): void => {
    const chosen = isListVisible() ? selectedIn(lines) : [];
    if (chosen.length > 0) {
      const listed = new Set(lines.flatMap(rowsOfLine).map(({ id }) => id));
      const filter =
        chosen.length === listed.size ? bulkFilterOf(readFilters(route.peek().query), serviceTime()) : undefined;
      give({ command, ids: chosen.map(({ id }) => id), rows: chosen, filter });
      return;
    }
    if (open !== undefined) {
      const row = lines.flatMap(rowsOfLine).find(({ id }) => id === open);
      give({ command, ids: [open], ...(row !== undefined && { rows: [row] }) });
      return;
    }
    const line = shown();
    if (line === undefined) return;
    const rows = rowsOfLine(line);
    const ids = rows.map(({ id }) => id);
    if (line.kind !== 'burst') return give({ command, ids, rows });
    const { class: name, source } = line.burst;
    give({ command, ids, rows, chosenBy: `class:${name} source:${source}`, filter: filterOfBurst(line.burst) });
  };
  const key = open ?? current.peek();
  const isOver = lines.some((line) => line.kind === 'row' && line.key === key && line.row.state === 'resolved');
  const commands = Object.fromEntries((Object.keys(DOINGS) as Doing[]).map((command) => [command, giveTo(command)]));
  return {
    next: () => move(1),
    previous: () => move(-1),
    extendNext: extend(1),
    extendPrevious: extend(-1),
    open: open === undefined ? onShown(openLine) : undefined,
    select: onShown((line) => isListVisible() && toggle(rowsOfLine(line).map(({ id }) => id))),
    unfold: onShown((line) => line.kind === 'burst' && unfold(line.key, FIRST_MEMBERS)),
    fold: onShown((line) => {
      const burst = lines.find(
        (one) => one.kind === 'burst' && (one === line || one.burst.rows.some(({ id }) => id === line.key)),
      );
      if (burst === undefined) return;
      unfold(burst.key, undefined);
      current.value = burst.key;
    }),
    back,
    search,
    silence: onShown((line) => {
      const [row] = rowsOfLine(line);
      if (row !== undefined)
        silenceDraft.value = {
          class: row.class,
          source: row.source,
          ...(row.machine !== undefined && { machine: row.machine }),
        };
    }),
    ...commands,
    reopen: isOver ? giveTo('reopen') : undefined,
  };
};
