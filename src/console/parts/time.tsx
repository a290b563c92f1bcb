import { SECOND } from '../../clock.ts';
import { now } from '../now.ts';
import { momentOf, relative } from '../format.ts';

/** How long ago a time was (RFC 3339), with the time itself as a tooltip. */
export const Ago = ({ at }: { readonly at: string }) => (
  <time dateTime={at} title={at}>
    {relative(Date.parse(at), now.value)}
  </time>
);

/** When something is to happen next (RFC 3339), or that it is late. */
export const Due = ({ at }: { readonly at: string }) => {
  const late = now.value - Date.parse(at);
  const text = relative(Date.parse(at), now.value);
  const words = late > NOW ? `was due ${text}` : late < -NOW ? `next ${text}` : 'next now';
  return (
    <time dateTime={at} title={at}>
      {words}
    </time>
  );
};

/** What is nearer than this happens now, in milliseconds. */
const NOW = 10 * SECOND;

/** A time (RFC 3339) in local time, to the second, with the day unless it is today. */
export const Moment = ({ at }: { readonly at: string }) => (
  <time dateTime={at} title={at} class="moment">
    {momentOf(Date.parse(at), now.value)}
  </time>
);

/** How old a statement is: when it was true, in milliseconds since the epoch. */
export const AsOf = ({ time }: { readonly time: number }) => (
  <span class="as-of">
    as of{' '}
    <time dateTime={new Date(time).toISOString()} title={new Date(time).toISOString()}>
      {momentOf(time, now.value)}
    </time>
  </span>
);
