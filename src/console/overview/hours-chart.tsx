/** Charts of the hours, drawn by uPlot, which is loaded with the first chart. */
import { useEffect, useRef } from 'preact/hooks';
import type uPlot from 'uplot';
import { SEVERITIES } from '../../../machines/vocabulary.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../clock.ts';
import type { ActivityReading } from '../../projections/activity.ts';
import { isDark } from '../theme.ts';
import { duration, inOneUnit, spelled } from '../format.ts';

interface HoursChartProps {
  readonly kind: 'reported' | 'resolution';
  readonly reading: ActivityReading;
}

const HEIGHT = 200;

export const HoursChart = ({ kind, reading }: HoursChartProps) => {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let chart: uPlot | undefined;
    let isGone = false;
    const element = place.current!;
    const fit = new ResizeObserver(() => chart?.setSize({ width: widthWithin(element), height: HEIGHT }));
    void import('uplot').then(({ default: Plot }) => {
      if (isGone) return;
      const plan = kind === 'reported' ? reported(Plot, reading) : resolution(reading);
      chart = new Plot({ ...plan.options, width: widthWithin(element), height: HEIGHT }, plan.data, element);
      fit.observe(element);
    });
    return () => {
      isGone = true;
      fit.disconnect();
      chart?.destroy();
    };
    // The colours are read when the chart is drawn.
  }, [kind, reading, isDark.value]);
  return <div ref={place} class="chart" role="img" aria-label={labelOf(kind, reading)} />;
};

/** The width that an element has for its contents. */
const widthWithin = (element: HTMLElement): number => {
  const { paddingLeft, paddingRight } = getComputedStyle(element);
  return element.clientWidth - Number.parseFloat(paddingLeft) - Number.parseFloat(paddingRight);
};

const labelOf = (kind: HoursChartProps['kind'], reading: ActivityReading): string =>
  kind === 'reported'
    ? `Incidents reported in each of the last ${reading.hours} hours, by severity; the figures are below`
    : `Median time to resolution in each of the last ${reading.hours} hours; the figures are below`;

interface Plan {
  readonly options: Omit<uPlot.Options, 'width' | 'height'>;
  readonly data: uPlot.AlignedData;
}

const colour = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** uPlot counts time in seconds. */
const timesOf = ({ from, hours }: ActivityReading): number[] =>
  Array.from({ length: hours }, (_, hour) => (Date.parse(from) + hour * HOUR) / SECOND);

const FONT = '12px system-ui, sans-serif';
/** In pixels: the tick, the gap and a margin beside the label of an axis. */
const BESIDE_LABEL = 20;
const NARROWEST = 44;

/** Wide enough for the widest label: a label that is cut is another number. */
const widthOf = ({ ctx }: uPlot, labels: readonly string[] | null): number => {
  ctx.save();
  ctx.font = FONT;
  const widest = Math.max(0, ...(labels ?? []).map((label) => ctx.measureText(label ?? '').width));
  ctx.restore();
  return Math.max(NARROWEST, Math.ceil(widest) + BESIDE_LABEL);
};

const axis = (more: uPlot.Axis): uPlot.Axis => ({
  stroke: colour('muted'),
  grid: { stroke: colour('line'), width: 1 },
  ticks: { stroke: colour('line'), width: 1 },
  font: FONT,
  ...more,
});

/** The tick marks of the time axis: the hours, and each day at its start. */
const timeAxis = (): uPlot.Axis =>
  axis({
    values: [
      [24 * 3600, '{DD} {MMM}', null, null, null, null, null, null, 1],
      [3600, '{HH}:00', '\n{DD} {MMM}', null, '\n{DD} {MMM}', null, null, null, 1],
    ],
  });

/** Shows the last hour in full width. */
const WHOLE_HOURS: uPlot.Scale = { range: (_, first, last) => [first, last + HOUR / SECOND] };

/** Stacked bars by severity: each is drawn from zero to its upper end, the tallest first. */
const reported = (Plot: typeof uPlot, reading: ActivityReading): Plan => {
  const columns = SEVERITIES.map((severity) => reading.reported[severity]);
  const upTo = columns.map((_, last) =>
    Array.from({ length: reading.hours }, (__, hour) =>
      columns.slice(0, last + 1).reduce((sum, column) => sum + (column[hour] ?? 0), 0),
    ),
  );
  const bars = Plot.paths.bars!({ size: [0.8, 40], align: 1 });
  const series = SEVERITIES.map((severity, index) => ({
    label: spelled(severity),
    fill: colour(severity),
    stroke: colour(severity),
    width: 0,
    paths: bars,
    points: { show: false },
    value: (_: uPlot, __: number | null, ___: number, hour: number | null): string =>
      hour === null ? '–' : String(columns[index]?.[hour] ?? 0),
  }));
  return {
    options: {
      scales: { x: WHOLE_HOURS, y: { range: (_, __, most) => [0, Math.max(4, Math.ceil(most * 1.1))] } },
      series: [{ label: 'Hour from', value: '{YYYY}-{MM}-{DD} {HH}:{mm}' }, ...series.toReversed()],
      axes: [
        timeAxis(),
        axis({ size: widthOf, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10_000, 100_000] }),
      ],
      cursor: { y: false },
    },
    data: [timesOf(reading), ...upTo.toReversed()],
  };
};

/** What is marked on the axis of durations, in milliseconds: each decade has one at least. */
const ROUND_DURATIONS = [
  1,
  10,
  100,
  ...[1, 10].map((seconds) => seconds * SECOND),
  ...[1, 10].map((minutes) => minutes * MINUTE),
  ...[1, 10].map((hours) => hours * HOUR),
  ...[1, 10, 100, 1000].map((days) => days * DAY),
];

// oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- uPlot's enum is there for the compiler only
const LOGARITHMIC = 3 as uPlot.Scale.Distr;

const resolution = (reading: ActivityReading): Plan => ({
  options: {
    scales: { x: WHOLE_HOURS, y: { distr: LOGARITHMIC } },
    series: [
      { label: 'Hour from', value: '{YYYY}-{MM}-{DD} {HH}:{mm}' },
      {
        label: 'Median to resolution',
        stroke: colour('accent'),
        width: 2,
        spanGaps: true,
        points: { show: true, size: 5, fill: colour('accent') },
        value: (_, milliseconds) => (milliseconds === null ? '–' : duration(milliseconds)),
      },
    ],
    axes: [
      timeAxis(),
      axis({
        size: widthOf,
        splits: (_, __, least, most) => ROUND_DURATIONS.filter((at) => at >= least && at <= most),
        filter: (_, splits) => splits,
        values: (_, splits) => splits.map(inOneUnit),
      }),
    ],
    cursor: { y: false },
  },
  data: [
    timesOf(reading),
    reading.time_to_resolution.hourly_median_ms.map((median) => (median === null ? null : Math.max(median, 1))),
  ],
});
