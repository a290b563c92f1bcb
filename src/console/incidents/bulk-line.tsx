import { useState } from 'preact/hooks';
import { SEVERITIES, STATES } from '../../../machines/vocabulary.ts';
import { bulkFilterOf, type Filters } from '../filters.ts';
import { serviceTime } from '../service-time.ts';
import { grouped } from '../format.ts';
import { obstacleFor } from '../identity.ts';
import { rowOfAct } from '../keyboard.ts';
import { isOld } from '../live-entries.ts';
import { inWords } from './filter-fields.ts';
import { type Doing, DOINGS, give } from './given-command.ts';
import type { IncidentRows } from './incident-rows.ts';
import type { IncidentRow } from './incident-row.ts';
import { selectedIn } from './list-acts.ts';
import type { Line } from './list-lines.ts';
import { clearSelection, selected } from './selection.ts';

/** The usual one first; what takes something away last. */
const BUTTONS: readonly Doing[] = ['acknowledge', 'contain', 'note', 'assign', 'snooze', 'resolve'];
/** The most incidents that are read to select them. */
const MOST_SELECTED = 10_000;

interface BulkLineProps {
  readonly list: IncidentRows;
  readonly lines: readonly Line[];
  readonly filters: Filters;
}

/** What is selected, by severity and state, and what can be done with it; in the place of the filter line. */
export const BulkLine = ({ list, lines, filters }: BulkLineProps) => {
  const [isReading, setReading] = useState(false);
  const rows = selectedIn(lines);
  const ids = rows.map(({ id }) => id);
  const hidden = selected.value.size - ids.length;
  const all = list.rows.value;
  const isWhole = list.progress.value.kind === 'complete';
  const isAll = isWhole && rows.length === all.length;
  const selectAll = async (): Promise<void> => {
    setReading(true);
    while (list.progress.peek().kind === 'more' && list.rows.peek().length < MOST_SELECTED) await list.loadMore();
    setReading(false);
    selected.value = new Set(list.rows.peek().map(({ id }) => id));
  };
  return (
    <div class="selection" role="region" aria-label="Selection">
      {ids.length > 0 && <strong>{grouped(ids.length)} selected</strong>}
      {hidden > 0 && (
        <span>
          {grouped(hidden)} {ids.length === 0 && 'selected '}that {hidden === 1 ? 'is' : 'are'} not in this list
        </span>
      )}
      <span class="small muted kinds">{kindsOf(rows)}</span>
      {ids.length > 0 &&
        BUTTONS.map((command) => {
          const obstacle = isOld.value ? 'What is shown may have changed' : obstacleFor(DOINGS[command].roles);
          const [key = ''] = rowOfAct(command).keys;
          return (
            <button
              key={command}
              type="button"
              class={`sm ${command === 'acknowledge' ? 'primary' : ''}`}
              disabled={obstacle !== undefined}
              title={obstacle}
              aria-keyshortcuts={key}
              onClick={() =>
                give({
                  command,
                  ids,
                  rows,
                  ...(isAll && {
                    chosenBy: inWords(filters) || 'every incident',
                    filter: bulkFilterOf(filters, serviceTime()),
                  }),
                })
              }
            >
              {DOINGS[command].label}
              {command === 'resolve' && '…'} <kbd aria-hidden="true">{key}</kbd>
            </button>
          );
        })}
      <span class="end small">
        {all.length > 0 && !isAll && (
          <button type="button" class="link" disabled={isReading} onClick={() => void selectAll()}>
            {isReading
              ? `Reading, ${grouped(all.length)} so far…`
              : isWhole
                ? `Select all ${grouped(all.length)} that match`
                : 'Select all that match'}
          </button>
        )}
        <button type="button" class="link" onClick={clearSelection}>
          Clear <kbd aria-hidden="true">Esc</kbd>
        </button>
      </span>
    </div>
  );
};

/** `2 critical, 1 high · 3 contained` */
const kindsOf = (rows: readonly IncidentRow[]): string => {
  const counts = (words: readonly string[], of: (row: IncidentRow) => string): string =>
    words
      .map((word) => [word, rows.filter((row) => of(row) === word).length] as const)
      .filter(([, count]) => count > 0)
      .map(([word, count]) => `${grouped(count)} ${word}`)
      .join(', ');
  const severities = counts(SEVERITIES, ({ severity }) => severity);
  return severities === '' ? '' : `${severities} · ${counts(STATES, ({ state }) => state)}`;
};
