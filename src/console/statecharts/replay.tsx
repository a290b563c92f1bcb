import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { IncidentEntry } from '../../domain/entries.ts';
import { useActs } from '../keyboard.ts';

interface ReplayProps {
  /** What has happened, oldest first. */
  readonly entries: readonly IncidentEntry[];
  /** How many of them are shown. */
  readonly count: number;
  readonly onChange: (count: number) => void;
  /** An entry in words. */
  readonly phraseOf: (entry: IncidentEntry) => string;
}

/** Entries by which something went wrong: their ticks are red. */
const BAD: ReadonlySet<string> = new Set<IncidentEntry['event']>([
  'containment.overdue',
  'containment.failed',
  'containment.lost',
]);

/** From one entry to the next, in milliseconds. */
const STEP = 600;
/** More ticks than this would be a bar. */
const MOST_TICKS = 60;

const noMotion = (): MediaQueryList => matchMedia('(prefers-reduced-motion: reduce)');

/** Goes through what has happened: by steps (`,` and `.`), by itself (`p`), or with the slider. */
export const Replay = ({ entries, count, onChange, phraseOf }: ReplayProps) => {
  const isPlaying = useSignal(false);
  const isStill = useSignal(noMotion().matches);
  useEffect(() => {
    const query = noMotion();
    const follow = (): void => {
      isStill.value = query.matches;
    };
    query.addEventListener('change', follow);
    return () => query.removeEventListener('change', follow);
  }, []);
  const last = entries.length;
  const change = useRef(onChange);
  change.current = onChange;
  const isRunning = isPlaying.value && !isStill.value;
  useEffect(() => {
    if (!isRunning) return;
    if (count >= last) {
      isPlaying.value = false;
      return;
    }
    const timer = setTimeout(() => change.current(count + 1), STEP);
    return () => clearTimeout(timer);
  }, [isRunning, count, last]);

  const step = (by: 1 | -1): void => {
    isPlaying.value = false;
    const next = Math.min(last, Math.max(1, count + by));
    if (next !== count) onChange(next);
  };
  const play = (): void => {
    if (isStill.value) return;
    // From the end it begins at the report.
    if (!isPlaying.value && count >= last) onChange(1);
    isPlaying.value = !isPlaying.value;
  };
  const isOffered = last > 1;
  useActs(isOffered ? { stepBack: () => step(-1), stepOn: () => step(1), play } : {});
  if (!isOffered) return null;
  const entry = entries[count - 1];
  const text = entry === undefined ? '' : `${count} of ${last}: ${phraseOf(entry)}`;
  return (
    <div class="replay" role="group" aria-label="Go through what happened">
      <div class="replay-buttons">
        <button
          type="button"
          aria-label="Step back"
          title="Step back (,)"
          disabled={count <= 1}
          onClick={() => step(-1)}
        >
          <Icon d="M4 3v10M13 3 6 8l7 5z" />
        </button>
        <button
          type="button"
          aria-label={isRunning ? 'Pause' : 'Play'}
          title={
            isStill.value ? 'Your system asks for no motion: use the steps' : `${isRunning ? 'Pause' : 'Play'} (p)`
          }
          disabled={isStill.value}
          onClick={play}
        >
          <Icon d={isRunning ? 'M5 3v10M11 3v10' : 'M4 3l9 5-9 5z'} />
        </button>
        <button type="button" aria-label="Step on" title="Step on (.)" disabled={count >= last} onClick={() => step(1)}>
          <Icon d="M12 3v10M3 3l7 5-7 5z" />
        </button>
      </div>
      <label class="replay-slider">
        <span class="unseen">Replay</span>
        <input
          type="range"
          min={1}
          max={last}
          step={1}
          value={count}
          aria-valuetext={text}
          onInput={({ currentTarget }) => {
            isPlaying.value = false;
            onChange(Number(currentTarget.value));
          }}
        />
        {last <= MOST_TICKS && (
          <span class="ticks" aria-hidden="true">
            {entries.map((one, index) => (
              <i key={index} class={BAD.has(one.event) ? 'bad' : ''} />
            ))}
          </span>
        )}
      </label>
      <output>{text}</output>
    </div>
  );
};

const Icon = ({ d }: { readonly d: string }) => (
  <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
    <path d={d} />
  </svg>
);
