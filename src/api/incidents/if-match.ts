import { RecorderError } from '../../errors.ts';

const VERSION = /^"([1-9]\d{0,14})"$/;

/**
 * The version that a command expects by its `If-Match` header (RFC 9110, section 13.1.1); undefined without one, or for
 * `*`. Of several tags the one with the `current` version counts, or else the first. Weak tags never match, nor does
 * anything but our own entity tags.
 *
 * @throws RecorderError `stale_version` when the header holds no tag that could match
 */
export const expectedVersion = (header: string | undefined, current: () => number | undefined): number | undefined => {
  if (header === undefined || header.trim() === '*') return undefined;
  const versions = header
    .split(',')
    .flatMap((tag) => VERSION.exec(tag.trim())?.[1] ?? [])
    .map(Number);
  const [first] = versions;
  if (first === undefined)
    throw new RecorderError('stale_version', 'If-Match names no version of the incident, like "3"');
  const now = versions.length === 1 ? first : current();
  return now !== undefined && versions.includes(now) ? now : first;
};
