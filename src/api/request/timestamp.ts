const PARTS = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/i;

/**
 * Reads an RFC 3339 time (section 5.6, with its zone) as milliseconds since the epoch, or gives undefined.
 *
 * A fraction finer than a millisecond is rounded up: times are stored in milliseconds, and to compare one of them with
 * the exact time, or with the next millisecond, comes to the same. Leap seconds are refused, as JavaScript has none.
 */
export const parseTimestamp = (text: string): number | undefined => {
  const [, date, time, fraction = '', zone] = PARTS.exec(text) ?? [];
  const wallClock = Date.parse(`${date}T${time}Z`);
  // JavaScript takes the 30th of February for the 2nd of March.
  if (Number.isNaN(wallClock) || !new Date(wallClock).toISOString().startsWith(`${date}T${time}`)) return undefined;
  const finer = /[1-9]/.test(fraction.slice(4)) ? 1 : 0;
  return Date.parse(`${date}T${time}${fraction.slice(0, 4)}${zone}`.toUpperCase()) + finer;
};
