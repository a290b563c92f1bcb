/** In milliseconds. */
const DAY = 24 * 60 * 60 * 1000;

const IDENTIFIER = /^INC-(\d{4})(\d\d)(\d\d)-([0-9a-f]{7})[0-9a-f]{5}$/;

/** A span of time in milliseconds since the epoch, both ends included. */
export interface TimeSpan {
  readonly from: number;
  readonly to: number;
}

/**
 * When an incident with this identifier was reported: the millisecond, or the whole day of an identifier from before
 * that was in it. Undefined for what is no identifier.
 */
export function timeOfIncident(id: string): TimeSpan | undefined {
  const [, year, month, day, millisecond = ''] = IDENTIFIER.exec(id) ?? [];
  const midnight = Date.parse(`${year}-${month}-${day}T00:00:00.000Z`);
  if (Number.isNaN(midnight)) return undefined;
  const since = Number.parseInt(millisecond, 16);
  return since < DAY ? { from: midnight + since, to: midnight + since } : { from: midnight, to: midnight + DAY - 1 };
}
