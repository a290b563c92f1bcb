/** The range of time that a comparison is about. */
import { DAY, HOUR } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';
import { type ComparedBy, MOST_COMPARED_HOURS, type TimeRange } from '../../query/comparison-reading.ts';

/** The longest range that is compared: ten years. */
const LONGEST_RANGE = 3653 * DAY;
/** How many hours are counted when the request does not say. */
export const DEFAULT_HOURS = 24;

/** The range to compare; the last day where the request does not say. @throws RecorderError `invalid_request` */
export function rangeOf(since: number | undefined, until: number, by: ComparedBy): TimeRange {
  const range = { since: since ?? until - DEFAULT_HOURS * HOUR, until };
  const length = range.until - range.since;
  if (length <= 0) throw new RecorderError('invalid_request', 'since must be before until');
  if (length > LONGEST_RANGE)
    throw new RecorderError('invalid_request', 'since and until may be ten years apart at most');
  if (by === 'hour' && length > MOST_COMPARED_HOURS * HOUR) {
    const message = `since and until may be ${MOST_COMPARED_HOURS} hours apart at most with by=hour`;
    throw new RecorderError('invalid_request', message);
  }
  return range;
}
