/** Ages that are shown only while they are known: without a stream the exact time stands in their place. */
import { age } from '../format.ts';
import { now } from '../now.ts';
import { Ago, Moment } from './time.tsx';

interface AtProps {
  /** RFC 3339. */
  readonly at: string;
}

/** How long something lasts: `16 min`; without a stream `since 02:14:40`. */
export const Since = ({ at }: AtProps) => (
  <>
    <time class="fresh" dateTime={at} title={at}>
      {age(Date.parse(at), now.value)}
    </time>
    <span class="late">
      since <Moment at={at} />
    </span>
  </>
);

/** How long ago something was: `16 min ago`; without a stream `02:14:40`. */
export const AgoOrTime = ({ at }: AtProps) => (
  <>
    <span class="fresh">
      <Ago at={at} />
    </span>
    <span class="late">
      <Moment at={at} />
    </span>
  </>
);
