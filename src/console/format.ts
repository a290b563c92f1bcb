/** How the console writes words of the vocabulary, times and durations. */
import { DAY, HOUR, MINUTE, SECOND } from '../clock.ts';

/** `policy_bypass_attempt` as a person writes it: `Policy bypass attempt`. */
export const spelled = (word: string): string => capitalized(word.replaceAll('_', ' '));

export const capitalized = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** `1 incident`, `2 incidents`, `1,000 incidents`; `plural` where that is not the noun with an s. */
export const counted = (count: number, noun: string, plural = `${noun}s`): string =>
  `${grouped(count)} ${count === 1 ? noun : plural}`;

/** `1,000` */
export const grouped = (count: number): string => count.toLocaleString('en-GB');

/** A duration in milliseconds, in two units at most: `0 s`, `42 s`, `3 min 20 s`, `5 h`, `2 d 4 h`. */
export const duration = (milliseconds: number): string => {
  const size = Math.max(0, milliseconds);
  if (size > 0 && size < SECOND) return `${Math.round(size)} ms`;
  if (size < MINUTE) return `${Math.round(size / SECOND)} s`;
  if (size < 10 * MINUTE) return pair(size, MINUTE, 'min', SECOND, 's');
  if (size < HOUR - MINUTE / 2) return `${Math.round(size / MINUTE)} min`;
  if (size < 10 * HOUR) return pair(size, HOUR, 'h', MINUTE, 'min');
  if (size < 2 * DAY) return `${Math.round(size / HOUR)} h`;
  return pair(size, DAY, 'd', HOUR, 'h');
};

const pair = (size: number, unit: number, name: string, smaller: number, smallerName: string): string => {
  const rounded = Math.round(size / smaller) * smaller;
  const rest = Math.round((rounded % unit) / smaller);
  return `${Math.floor(rounded / unit)} ${name}${rest === 0 ? '' : ` ${rest} ${smallerName}`}`;
};

/** A duration in milliseconds, rounded to its largest unit: `10 min`, `115 d`. */
export const inOneUnit = (milliseconds: number): string => {
  const [unit, name] = ALL_UNITS.find(([size]) => milliseconds >= size) ?? [1, 'ms'];
  return `${grouped(Math.round(milliseconds / unit))} ${name}`;
};

/** How long ago a time was, seen from `now`, in one unit: `just now`, `5 min ago`, `in 2 h`. Milliseconds. */
export const relative = (time: number, now: number): string => {
  const distance = Math.abs(now - time);
  if (distance < 10 * SECOND) return 'just now';
  const [unit, name] = UNITS.find(([size]) => distance >= size) ?? [SECOND, 's'];
  const text = `${Math.floor(distance / unit)} ${name}`;
  return time > now ? `in ${text}` : `${text} ago`;
};

/** How old something is, in one unit, without a word beside it: `22 s`, `17 min`, `1 h`, `4 d`. Milliseconds. */
export const age = (time: number, now: number): string => {
  const distance = Math.max(0, now - time);
  const [unit, name] = UNITS.find(([size]) => distance >= size) ?? [SECOND, 's'];
  return `${Math.floor(distance / unit)} ${name}`;
};

const UNITS = [
  [DAY, 'd'],
  [HOUR, 'h'],
  [MINUTE, 'min'],
] as const;

const ALL_UNITS = [...UNITS, [SECOND, 's'], [1, 'ms']] as const;

const two = (value: number): string => String(value).padStart(2, '0');

/** The day in local time: `2026-11-22`. */
const day = (time: number): string => {
  const at = new Date(time);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
};

/** The time of day in local time: `07:12:00`. */
export const timeOfDay = (time: number): string => {
  const at = new Date(time);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
};

/** A moment in local time, with the day unless it is that of `now`. Milliseconds. */
export const momentOf = (time: number, now: number): string =>
  `${day(time) === day(now) ? '' : `${day(time)} `}${timeOfDay(time)}`;

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** The same where there is little room: `07:12:00`, `22 Nov 07:12`, `2025-11-22`. Milliseconds. */
export const shortMoment = (time: number, now: number): string => {
  const at = new Date(time);
  if (day(time) === day(now)) return timeOfDay(time);
  if (at.getFullYear() !== new Date(now).getFullYear()) return day(time);
  return `${at.getDate()} ${MONTHS[at.getMonth()]} ${two(at.getHours())}:${two(at.getMinutes())}`;
};
