const PARTS = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/i;

/**
 * Parses an RFC 3339 time (section 5.6, with its zone) into milliseconds since the epoch; undefined for anything else.
 *
 * A fraction finer than a millisecond is rounded up. Stored times are whole milliseconds, so a comparison with the next
 * millisecond gives the same as one with the exact time. Leap seconds are refused: JavaScript has none.
 */
export const parseTimestamp = (text: string): number | undefined => {
  const [, date, time, fraction = '', zone] = PARTS.exec(text) ?? [];
  const wallClock = Date.parse(`${date}T${time}Z`);
  // Date.parse reads the 30th of February as the 2nd of March.
  if (Number.isNaN(wallClock) || !new Date(wallClock).toISOString().startsWith(`${date}T${time}`)) return undefined;
  const finer = /[1-9]/.test(fraction.slice(4)) ? 1 : 0;
  return Date.parse(`${date}T${time}${fraction.slice(0, 4)}${zone}`.toUpperCase()) + finer;
};
