import { RecorderError } from '../../errors.ts';

const VERSION = /^"([1-9]\d{0,14})"$/;

/**
 * The version that an `If-Match` header (RFC 9110, section 13.1.1) lets a command expect, or undefined where it expects
 * none: there is no header, or it is `*`.
 *
 * Of several tags the one that names the `current` version counts, or else the first. Weak tags never match, and neither
 * does what is no entity tag of ours: where there is nothing else, RecorderError `stale_version` is thrown.
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
