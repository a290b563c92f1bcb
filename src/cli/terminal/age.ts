const UNITS = [
  ['d', 24 * 60 * 60],
  ['h', 60 * 60],
  ['m', 60],
] as const;

/** How long ago a time was, in its largest unit: `3d`, `5h`, `12m`, `40s`. */
export const ageOf = (timestamp: string, now: number): string => inUnits(now - Date.parse(timestamp));

/** How long there is until a time, in its largest unit. */
export const timeLeft = (timestamp: string, now: number): string => inUnits(Date.parse(timestamp) - now);

const inUnits = (milliseconds: number): string => {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  for (const [name, length] of UNITS) if (seconds >= length) return `${Math.floor(seconds / length)}${name}`;
  return `${seconds}s`;
};
