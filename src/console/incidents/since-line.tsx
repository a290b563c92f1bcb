import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { counted, timeOfDay } from '../format.ts';
import { act } from '../keyboard.ts';
import { leftAt, markAsSeen } from '../last-seen.ts';
import { type Change, readChanges } from './changes.tsx';
import type { Line } from './list-lines.ts';

interface SinceLineProps {
  readonly lines: readonly Line[];
  /** How many have come and wait. */
  readonly waiting: number;
  readonly onShow: () => void;
}

/** What people did since, in words; empty while that is not known. */
const deeds = signal('');

/** Where the person left off: what is new or changed stands above this line. */
export const SinceLine = ({ lines, waiting, onShow }: SinceLineProps) => {
  const mark = leftAt.value;
  useEffect(() => {
    deeds.value = '';
    if (mark === undefined) return undefined;
    const ends = new AbortController();
    readChanges(mark.place, ends.signal).then(
      (changes) => {
        deeds.value = deedsOf(changes);
      },
      // The line says less then.
      () => {},
    );
    return () => ends.abort();
  }, [mark?.place]);
  const changed = lines.findIndex(({ kind }) => kind === 'since');
  const above = lines
    .slice(0, changed)
    .filter((line) => line.kind === 'burst' || (line.kind === 'row' && !line.isMember));
  if (mark === undefined) return null;
  return (
    <>
      <b>Since you left, {timeOfDay(Date.parse(mark.at)).slice(0, 5)}</b>
      <span class="muted cut">
        {counted(above.length, 'row')} new or changed above{deeds.value}
      </span>
      {waiting > 0 && (
        <button type="button" class="link" onClick={onShow}>
          {waiting} new
        </button>
      )}
      <span class="fill" />
      <button type="button" class="link" onClick={() => act('changes')}>
        What changed
      </button>
      <button type="button" class="link seen" onClick={markAsSeen}>
        Mark as seen
      </button>
    </>
  );
};

const WORDS: Readonly<Record<string, string>> = {
  'incident.assigned': 'assigned',
  'incident.acknowledged': 'took',
  'incident.resolved': 'resolved',
  'incident.snoozed': 'snoozed',
  'containment.released': 'released early',
};
const MOST_DEEDS = 3;

/** ` · bo took 1 · kim released early 1` */
const deedsOf = (changes: readonly Change[]): string => {
  const counts = new Map<string, number>();
  for (const { event, by } of changes) {
    const word = WORDS[event];
    if (word !== undefined && by !== undefined) counts.set(`${by} ${word}`, (counts.get(`${by} ${word}`) ?? 0) + 1);
  }
  return [...counts]
    .slice(0, MOST_DEEDS)
    .map(([deed, count]) => ` · ${deed} ${count}`)
    .join('');
};
