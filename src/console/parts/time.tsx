import { now } from '../now.ts';
import { day, relative, timeOfDay } from '../format.ts';

/** How long ago a time was (RFC 3339), with the time itself as a tooltip. */
export const Ago = ({ at }: { readonly at: string }) => (
  <time dateTime={at} title={at}>
    {relative(Date.parse(at), now.value)}
  </time>
);

/** A time (RFC 3339) in local time, to the second, with the day unless it is today. */
export const Moment = ({ at }: { readonly at: string }) => {
  const time = Date.parse(at);
  return (
    <time dateTime={at} title={at} class="moment">
      {day(time) !== day(now.value) && `${day(time)} `}
      {timeOfDay(time)}
    </time>
  );
};
