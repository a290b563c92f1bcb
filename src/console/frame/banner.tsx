import { useSignal } from '@preact/signals';
import { SECOND } from '../../clock.ts';
import { age, grouped } from '../format.ts';
import { now } from '../now.ts';
import { ContainmentShape } from '../parts/marks.tsx';
import { AsOf } from '../parts/time.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { nameOfView } from './view-names.ts';
import { fragmentOf, route } from '../route.ts';
import { type Trouble, troubles } from './troubles.ts';

/** The worst reason, its cause, the next attempt, and what leads to it; on each view that does not show it itself. */
export const Banner = () => {
  const isOpen = useSignal(false);
  const { view } = route.value;
  const shown = troubles.value.filter((trouble) => trouble.view !== view);
  const [worst, ...rest] = shown;
  if (worst === undefined) return null;
  const only = rest.length === 1 ? rest[0]! : undefined;
  return (
    <section class={`trouble ${worst.isWarning ? 'warning' : ''}`} aria-label="What does not do its work">
      <div
        class="worst"
        // Where the page is narrow, the whole banner is the link.
        onClick={({ target, currentTarget }) => {
          if (innerWidth < NARROW && !(target as Element).closest('a, button'))
            currentTarget.querySelector('a')?.click();
        }}
      >
        <ContainmentShape look={worst.look} />
        <p class="says" role={worst.isWarning ? 'status' : 'alert'}>
          <Says trouble={worst} />
        </p>
        <span class="end">
          <Way trouble={worst} />
          {rest.length > 0 && (
            <span class="small muted">
              and{' '}
              <button
                type="button"
                class="link"
                aria-expanded={isOpen.value}
                onClick={() => (isOpen.value = !isOpen.value)}
              >
                {grouped(rest.length)} more
                {only?.isWarning !== true && only !== undefined && `: ${only.title.toLowerCase()}`}
              </button>
            </span>
          )}
        </span>
      </div>
      {isOpen.value && (
        <ul>
          {rest.map((trouble) => (
            <li key={`${trouble.title} ${trouble.name} ${trouble.cause}`} class={trouble.isWarning ? 'warning' : ''}>
              <span class="says">
                <Says trouble={trouble} /> <Way trouble={trouble} />
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
};

const LONGEST_CAUSE = 300;
const NARROW = 720;

const Says = ({ trouble: { title, since, isOver, name, cause, next, at } }: { readonly trouble: Trouble }) => (
  <>
    <b>
      {title}
      {since !== undefined && ` ${age(Date.parse(since), now.value)}${isOver === true ? ' ago' : ''}`}
    </b>
    <span>
      {name !== undefined && (
        <>
          <code>{name}</code>
          {cause !== undefined && ': '}
        </>
      )}
      {cause !== undefined && <Verbatim text={cause} longest={LONGEST_CAUSE} />}
      {next !== undefined && (
        <>
          {cause?.endsWith('.') ? ' ' : '. '}
          <Next at={Date.parse(next)} />
        </>
      )}
    </span>
    {at !== undefined && <AsOf time={at} />}
  </>
);

const Next = ({ at }: { readonly at: number }) => {
  const left = at - now.value;
  return <>{left >= SECOND ? `Next try in ${age(now.value, at)}.` : 'Trying now.'}</>;
};

const Way = ({ trouble: { view, button } }: { readonly trouble: Trouble }) => (
  <>
    {view !== undefined && <a href={fragmentOf({ view, query: '' })}>Open {nameOfView(view).toLowerCase()}</a>}
    {button !== undefined && (
      <button type="button" class="link" onClick={button.act}>
        {button.label}
      </button>
    )}
  </>
);
