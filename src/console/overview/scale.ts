/** The scale of the bars of each hour: it fits most of them, so that a burst does not flatten the rest. */

export interface Scale {
  /** What the top of the chart stands for. */
  readonly top: number;
  /** The marks of the axis, from 0 to the top. */
  readonly marks: readonly number[];
}

const MOST_MARKS = 4;
const FITTED_SHARE = 0.95;
/** A highest bar that is no more than this many times the fitted one is drawn whole. */
const NEARLY = 1.6;

/** A step that people count in, so that at most `MOST_MARKS` of them reach the value. */
const stepFor = (value: number): number => {
  const least = Math.max(1, value / MOST_MARKS);
  const unit = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 4, 5, 10].map((factor) => factor * unit).find((step) => step >= least && Number.isInteger(step))!;
};

/** Fits 95 in 100 of the hours in which something happened. */
export const scaleOf = (totals: readonly number[]): Scale => {
  const some = totals.filter((total) => total > 0).toSorted((one, other) => one - other);
  const highest = some.at(-1) ?? 0;
  const fitted = some[Math.ceil(some.length * FITTED_SHARE) - 1] ?? 0;
  // Of a few hours the highest is always among the 95.
  const rest = some.at(-2) ?? highest;
  const most = some.length < 20 ? rest : fitted;
  const value = highest <= most * NEARLY ? highest : most;
  const step = stepFor(value);
  const top = Math.max(step, Math.ceil(value / step) * step);
  return { top, marks: Array.from({ length: Math.round(top / step) + 1 }, (_, index) => index * step) };
};
