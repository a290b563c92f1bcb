import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { SEVERITIES, type Severity } from '../../../machines/vocabulary.ts';
import { HOUR } from '../../clock.ts';
import type { ActivityReading } from '../../query/activity-counts.ts';
import type { ComparisonReading } from '../../query/comparison-reading.ts';
import { NO_FILTERS } from '../filters.ts';
import { counted, grouped, timeOfDay } from '../format.ts';
import { listOf } from '../route.ts';
import { scaleOf } from './scale.ts';

interface HoursChartProps {
  readonly reading: ActivityReading;
  /** Each hour beside the same of the week before; undefined while that is not known. */
  readonly weeks: ComparisonReading | undefined;
}

const HEIGHT = 190;
const TOP = 22;
const BASE = 154;
/** Beside the widest mark, and for each of its characters. */
const GAP = 12;
const CHARACTER = 7.5;
const RIGHT = 4;
/** One label of the time axis needs as much room, in pixels. */
const LABEL = 60;
/** The worst is at the base. */
const STACK = SEVERITIES.toSorted((one, other) => rankOf(other) - rankOf(one));

function rankOf(severity: Severity): number {
  return ['low', 'medium', 'high', 'critical'].indexOf(severity);
}

interface Hour {
  readonly at: number;
  readonly counts: readonly (readonly [severity: Severity, count: number])[];
  readonly total: number;
  /** How many there were in the same hour a week before; undefined while that is not known. */
  readonly before: number | undefined;
}

const hoursOf = ({ from, hours, reported }: ActivityReading, weeks: ComparisonReading | undefined): readonly Hour[] => {
  const before = new Map(weeks?.groups.map((group) => [Date.parse(group.hour ?? ''), group.before]));
  return Array.from({ length: hours }, (_, index) => {
    const at = Date.parse(from) + index * HOUR;
    const counts = STACK.map((severity) => [severity, reported[severity][index] ?? 0] as const);
    return { at, counts, total: counts.reduce((sum, [, count]) => sum + count, 0), before: before.get(at) };
  });
};

/** The incidents of each hour, by severity: each bar leads to the list of its hour. */
export const HoursChart = ({ reading, weeks }: HoursChartProps) => {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(700);
  const [active, setActive] = useState<number>();
  useLayoutEffect(() => {
    const element = place.current!;
    const fit = new ResizeObserver(() => setWidth(element.clientWidth));
    fit.observe(element);
    return () => fit.disconnect();
  }, []);
  const hours = hoursOf(reading, weeks);
  const { top, marks } = scaleOf(hours.map(({ total }) => total));
  const left = GAP + CHARACTER * Math.max(3, grouped(top).length);
  const room = width - left - RIGHT;
  const step = room / hours.length;
  const gap = step > 8 ? 6 : step > 4 ? 2 : 1;
  const xOf = (index: number): number => left + index * step;
  const yOf = (count: number): number => BASE - (Math.min(count, top) / top) * (BASE - TOP);
  const current = Math.min(active ?? hours.length - 1, hours.length - 1);
  const move = (event: KeyboardEvent): void => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const next = Math.max(0, Math.min(hours.length - 1, current + by));
    setActive(next);
    place.current?.querySelectorAll<HTMLElement>('a')[next]?.focus();
  };
  const hasBefore = hours.some(({ before = 0 }) => before > 0);
  return (
    <div class="hours" ref={place}>
      <svg width={width} height={HEIGHT} aria-hidden="true">
        {marks.map((mark) => (
          <g key={mark}>
            <line class="mark-line" x1={left} x2={width - RIGHT} y1={yOf(mark)} y2={yOf(mark)} />
            <text x={left - 6} y={yOf(mark) + 4} text-anchor="end">
              {grouped(mark)}
            </text>
          </g>
        ))}
        {hours.map((hour, index) => (
          <Bar key={hour.at} hour={hour} x={xOf(index) + gap / 2} width={Math.max(1, step - gap)} top={top} yOf={yOf} />
        ))}
        {hasBefore && <path class="was" d={stepsOf(hours, xOf, yOf, step)} />}
        {ticksOf(hours, step).map(({ index, time, date }) => (
          <g key={index}>
            <text x={xOf(index)} y={BASE + 16} text-anchor="middle">
              {time}
            </text>
            {date !== undefined && (
              <text class="date" x={xOf(index)} y={BASE + 28} text-anchor="middle">
                {date}
              </text>
            )}
          </g>
        ))}
      </svg>
      <div class="bars" role="group" aria-label="Incidents each hour" onKeyDown={move}>
        {hours.map((hour, index) => (
          <a
            key={hour.at}
            href={listOf({
              ...NO_FILTERS,
              since: new Date(hour.at).toISOString(),
              until: new Date(hour.at + HOUR).toISOString(),
            })}
            tabIndex={index === current ? 0 : -1}
            style={{ insetInlineStart: `${xOf(index)}px`, width: `${step}px` }}
            title={wordsOf(hour)}
            aria-label={wordsOf(hour)}
            onFocus={() => setActive(index)}
          />
        ))}
      </div>
    </div>
  );
};

const wordsOf = ({ at, counts, total, before }: Hour): string => {
  const kinds = counts.filter(([, count]) => count > 0).map(([severity, count]) => `${grouped(count)} ${severity}`);
  const was = before === undefined ? '' : `; a week before ${grouped(before)}`;
  return `${new Date(at).toLocaleDateString('en-GB')} from ${timeOfDay(at).slice(0, 5)}: ${counted(total, 'incident')}${kinds.length === 0 ? '' : `, ${kinds.join(', ')}`}${was}`;
};

interface BarProps {
  readonly hour: Hour;
  readonly x: number;
  readonly width: number;
  readonly top: number;
  readonly yOf: (count: number) => number;
}

/** A bar, the worst at its base. What is higher than the scale is torn, and carries its number. */
const Bar = ({ hour: { counts, total }, x, width, top, yOf }: BarProps) => {
  let below = 0;
  const parts = counts.map(([severity, count]) => {
    const from = below;
    below += count;
    return { severity, y: yOf(below), height: Math.max(0, yOf(from) - yOf(below) - (from > 0 && count > 0 ? 1 : 0)) };
  });
  const isTorn = total > top;
  const tear = Array.from(
    { length: 5 },
    (_, index) => `${index === 0 ? 'M' : 'L'}${x + (index * width) / 4} ${index % 2 === 0 ? TOP + 14 : TOP + 8}`,
  );
  return (
    <g>
      {parts.map(
        ({ severity, y, height }) =>
          height > 0 && <rect key={severity} class={severity} x={x} y={y} width={width} height={height} />,
      )}
      {isTorn && <path class="tear" d={tear.join('')} />}
      {isTorn && (
        <text class="number" x={x + width / 2} y={TOP - 6} text-anchor="middle">
          {grouped(total)}
        </text>
      )}
    </g>
  );
};

/** The week before as steps. */
const stepsOf = (
  hours: readonly Hour[],
  xOf: (index: number) => number,
  yOf: (count: number) => number,
  step: number,
): string =>
  hours
    .flatMap(({ before }, index) =>
      before === undefined
        ? []
        : [
            `${hours[index - 1]?.before === undefined ? 'M' : 'L'}${xOf(index)} ${yOf(before)}`,
            `H${xOf(index) + step}`,
          ],
    )
    .join('');

interface Tick {
  readonly index: number;
  readonly time: string;
  /** At the start of a day. */
  readonly date?: string;
}

/** Hours of the day that people count in, as many as there is room for; each day begins with its date. */
const ticksOf = (hours: readonly Hour[], step: number): readonly Tick[] => {
  const every = [1, 2, 4, 6, 12, 24, 48].find((count) => count * step >= LABEL) ?? 48;
  return hours.flatMap(({ at }, index): readonly Tick[] => {
    const time = new Date(at);
    const hour = time.getHours();
    const isDay = hour === 0;
    const isOn = every <= 24 ? hour % every === 0 : isDay && time.getDate() % (every / 24) === 0;
    if (!isOn || index * step < LABEL / 3 || (hours.length - index) * step < LABEL / 3) return [];
    const date = `${time.getDate()} ${MONTHS[time.getMonth()]}`;
    return [{ index, time: `${String(hour).padStart(2, '0')}:00`, ...(isDay && { date }) }];
  });
};

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
