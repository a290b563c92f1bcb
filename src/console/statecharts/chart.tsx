import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { connection } from '../live-entries.ts';
import { reasonOf } from '../request.ts';
import { boxOf, drawingOf, sentencesOf, type Shape, shapesIn } from './drawing.ts';
import { type Marks, sizeOf, Statechart } from './statechart.tsx';

interface ChartProps extends Marks {
  /** The name of the machine: `incident`. */
  readonly machine: string;
  /** The drawing in words. */
  readonly label: string;
  /** The innermost state that an incident is in: it is kept in view. */
  readonly current?: string | undefined;
  /** Words for a transition: `taken`, `possible now`. */
  readonly wordsOf?: (ids: readonly string[]) => string;
}

/** Text of 12 px stays readable down to this; smaller only to see the whole. */
const SCALES = [0.25, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3] as const;
/** A drawing that is fitted grows no larger than this. */
const MOST_FITTED = 1.5;
/** Around the drawing, by the style sheet. */
const PADDING = 8;
/** Around a state that is fitted. */
const MARGIN = 24;

/** A machine's statechart with marks, which can be zoomed and scrolled, and the same in words. */
export const Chart = ({ machine, label, current, wordsOf, ...marks }: ChartProps) => {
  const drawing = useSignal<Shape | undefined>(undefined);
  const fault = useSignal<string | undefined>(undefined);
  const scale = useSignal(1);
  const view = useRef<HTMLDivElement>(null);
  const isLive = connection.value === 'live';
  useEffect(() => {
    // What could not be read is read again once the service answers.
    drawingOf(machine).then(
      (read) => (drawing.value = read),
      (error: unknown) => (fault.value = reasonOf(error)),
    );
  }, [machine, isLive]);
  const shown = drawing.value;
  const isShown = shown !== undefined;
  // Once it has its size, so that it opens at the current state.
  useLayoutEffect(() => {
    if (shown !== undefined) bringIntoView(view.current, shown, current, scale.peek());
  }, [isShown, current]);
  if (shown === undefined) return <p class="hint">{fault.value ?? 'Reading the chart…'}</p>;

  const { width, height } = sizeOf(shown);
  const zoomTo = (next: number, state?: string): void => {
    const element = view.current!;
    const centre = [
      (element.scrollLeft + element.clientWidth / 2) / scale.peek(),
      (element.scrollTop + element.clientHeight / 2) / scale.peek(),
    ] as const;
    scale.value = next;
    // After the drawing has its new size.
    requestAnimationFrame(() => {
      if (state !== undefined) return bringIntoView(element, shown, state, next, true);
      element.scrollLeft = centre[0] * next - element.clientWidth / 2;
      element.scrollTop = centre[1] * next - element.clientHeight / 2;
    });
  };
  const zoom = (by: 1 | -1): void => {
    const steps = by === 1 ? SCALES : SCALES.toReversed();
    zoomTo(steps.find((step) => (step - scale.peek()) * by > 0.01) ?? steps.at(-1)!);
  };
  const fit = (): void => {
    const { clientWidth, clientHeight } = view.current!;
    zoomTo(scaleToFit(width + 2 * PADDING, height + 2 * PADDING, clientWidth, clientHeight));
  };
  const fitCurrent = (): void => {
    const box = current === undefined ? undefined : boxOfState(shown, current);
    if (box === undefined) return;
    const { clientWidth, clientHeight } = view.current!;
    zoomTo(scaleToFit(box.width + 2 * MARGIN, box.height + 2 * MARGIN, clientWidth, clientHeight), current);
  };
  const press = (event: KeyboardEvent): void => {
    const act = { '+': () => zoom(1), '=': () => zoom(1), '-': () => zoom(-1), '0': () => zoomTo(1) }[event.key];
    if (act === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  };
  return (
    <div class="chart-view" onKeyDown={press}>
      <div class="chart-tools" role="toolbar" aria-label="Zoom">
        <button type="button" class="quiet" aria-label="Zoom out" onClick={() => zoom(-1)}>
          −
        </button>
        <button type="button" class="quiet scale" title="Back to full size" onClick={() => zoomTo(1)}>
          {Math.round(scale.value * 100)} %
        </button>
        <button type="button" class="quiet" aria-label="Zoom in" onClick={() => zoom(1)}>
          +
        </button>
        <button type="button" class="quiet" onClick={fit}>
          Fit
        </button>
        {current !== undefined && (
          <button type="button" class="quiet" onClick={fitCurrent}>
            Fit current state
          </button>
        )}
      </div>
      <div class="chart-scroll" ref={view} tabIndex={0} role="region" aria-label={`Drawing: ${label}`}>
        <Statechart drawing={shown} label={label} scale={scale.value} {...marks} />
      </div>
      <details class="chart-words">
        <summary>The chart in words</summary>
        <ul>
          {sentencesOf(shown).map(({ ids, text }) => (
            <li key={ids.join(' ')}>
              {text}
              {(wordsOf?.(ids) ?? '') !== '' && <strong> ({wordsOf!(ids)})</strong>}
            </li>
          ))}
        </ul>
      </details>
    </div>
  );
};

const scaleToFit = (width: number, height: number, roomWidth: number, roomHeight: number): number =>
  Math.max(SCALES[0], Math.min(MOST_FITTED, roomWidth / width, roomHeight / height));

const boxOfState = (drawing: Shape, state: string) => {
  const shape = shapesIn(drawing).find(({ of }) => of?.kind === 'state' && of.id === state);
  return shape === undefined ? undefined : boxOf(shape);
};

/** Scrolls a state into the middle of the view, unless all of it is there already. */
const bringIntoView = (
  view: HTMLElement | null,
  drawing: Shape,
  state: string | undefined,
  scale: number,
  always = false,
): void => {
  const box = state === undefined ? undefined : boxOfState(drawing, state);
  if (view === null || box === undefined) return;
  const [left, top, right, bottom] = [box.x, box.y, box.x + box.width, box.y + box.height].map((at) => at * scale) as [
    number,
    number,
    number,
    number,
  ];
  const isSeen =
    left >= view.scrollLeft &&
    top >= view.scrollTop &&
    right <= view.scrollLeft + view.clientWidth &&
    bottom <= view.scrollTop + view.clientHeight;
  if (isSeen && !always) return;
  // Where it is larger than the view, its name is in it.
  const middle = (from: number, to: number, room: number): number =>
    to - from > room ? from - 8 : (from + to - room) / 2;
  view.scrollTo({
    left: middle(left, right, view.clientWidth),
    top: middle(top, bottom, view.clientHeight),
  });
};
