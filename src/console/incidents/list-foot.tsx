import { type Filters, isGrouped } from '../filters.ts';
import { counted, grouped, timeOfDay } from '../format.ts';
import { act } from '../keyboard.ts';
import { heard, isOld } from '../live-entries.ts';
import { useLiveResource } from '../live-resource.ts';
import { statistics } from '../statistics.ts';
import type { IncidentRows } from './incident-rows.ts';
import type { Line } from './list-lines.ts';
import { activeSilences, silences } from './silences.ts';

interface ListFootProps {
  readonly list: IncidentRows;
  readonly lines: readonly Line[];
  readonly filters: Filters;
  /** How many have come and wait. */
  readonly waiting: number;
  readonly onShow: () => void;
}

/** How many incidents are shown of how many, in how many rows; what is silenced; and the keys. */
export const ListFoot = ({ list, lines, filters, waiting, onShow }: ListFootProps) => {
  const total = useLiveResource(statistics)?.total_incidents;
  useLiveResource(silences);
  const silenced = activeSilences.value.reduce((sum, { matches }) => sum + matches, 0);
  const progress = list.progress.value;
  return (
    <footer class="list-foot">
      <p role="status">
        {progress.kind === 'loading' && list.rows.value.length === 0 && 'Reading…'}
        {(progress.kind === 'complete' || list.rows.value.length > 0) && (
          <Size list={list} lines={lines} filters={filters} total={total} />
        )}
        {progress.kind === 'failed' && list.rows.value.length > 0 && (
          <>
            . The rest could not be read: {progress.reason}.{' '}
            <button type="button" class="link" onClick={() => void list.loadMore()}>
              Try again
            </button>
          </>
        )}
      </p>
      {waiting > 0 && (
        <p role="status">
          <b>{waiting} new</b>{' '}
          <button type="button" class="link" onClick={onShow}>
            show
          </button>
        </p>
      )}
      {silenced > 0 && (
        <p class="silenced">
          silenced: {grouped(silenced)}{' '}
          <button type="button" class="link" onClick={() => act('silences')}>
            show
          </button>
        </p>
      )}
      <span class="hints" aria-hidden="true">
        {HINTS.map(([keys, does]) => (
          <span key={does}>
            {keys.map((key) => (
              <kbd key={key}>{key}</kbd>
            ))}{' '}
            {does}
          </span>
        ))}
      </span>
      {isOld.value && heard.value !== undefined && <b class="error">as of {timeOfDay(heard.value).slice(0, 5)}</b>}
    </footer>
  );
};

const HINTS: readonly (readonly [readonly string[], string])[] = [
  [['j', 'k'], 'move'],
  [['Enter'], 'open'],
  [['→'], 'unfold'],
  [['x'], 'select'],
  [['a'], 'acknowledge'],
  [['?'], 'all keys'],
];

interface SizeProps {
  readonly list: IncidentRows;
  readonly lines: readonly Line[];
  readonly filters: Filters;
  readonly total: number | undefined;
}

/** `328 of 94,873 incidents in 14 rows`; while there are further pages, `200 of 94,873 incidents so far`. */
const Size = ({ list, lines, filters, total }: SizeProps) => {
  const count = list.rows.value.length;
  const rows = lines.filter((line) => line.kind === 'burst' || (line.kind === 'row' && !line.isMember)).length;
  const isPart = total !== undefined && total > count;
  const isOpenEnded = list.progress.value.kind === 'more' || (list.progress.value.kind === 'loading' && count > 0);
  return (
    <>
      <b>{isPart ? `${grouped(count)} of ${grouped(total)}` : grouped(count)}</b>{' '}
      {isPart ? 'incidents' : counted(count, 'incident').replace(/^\S+ /, '')}
      {isGrouped(filters) && ` in ${counted(rows, 'row')}`}
      {isOpenEnded && ', more below'}
    </>
  );
};
