import { SECOND } from '../../clock.ts';
import type { GuardStatus } from '../../incidents/guard-watch.ts';
import { counted, duration } from '../format.ts';
import { health } from '../health.ts';
import { AgoOrTime, Since } from '../parts/age.tsx';
import { ContainmentShape, type ContainmentLook } from '../parts/marks.tsx';
import { Moment } from '../parts/time.tsx';
import { VerbatimLine } from '../parts/verbatim.tsx';

type Status = GuardStatus['status'];

const WORDS: Readonly<Record<Status, string>> = { silent: 'silent', awaited: 'not heard yet', heard: 'heard' };
/** What is silent is not known to be there. */
const LOOKS: Readonly<Record<Status, ContainmentLook>> = { silent: 'unknown', awaited: 'none', heard: 'done' };
const ORDER: readonly Status[] = ['silent', 'awaited', 'heard'];

/** How many guards are named. */
const MOST_SHOWN = 12;

/** The guards that the policy expects, and whether each is heard: the silent ones first. Empty when it expects none. */
export const GuardsSection = () => {
  const guards = (health.value?.guards ?? []).toSorted(
    (one, other) => ORDER.indexOf(one.status) - ORDER.indexOf(other.status),
  );
  if (guards.length === 0) return null;
  const silent = guards.filter(({ status }) => status === 'silent').length;
  return (
    <section class="card" aria-labelledby="guards">
      <header>
        <h2 id="guards">Guards</h2>
        <span class="end small muted">
          {guards.length} expected{silent > 0 && `, ${silent} silent`}
        </span>
      </header>
      <ul class="prove guards">
        {guards.slice(0, MOST_SHOWN).map(({ source, every_seconds, status, heard_at, silent_since }) => (
          <li key={source} class={status}>
            <ContainmentShape look={LOOKS[status]} />
            <b>
              <VerbatimLine text={source} />
            </b>
            <span class={status === 'silent' ? 'strong error' : 'small muted'}>
              <span>{WORDS[status]}</span>{' '}
              {status === 'silent' && silent_since !== undefined && <Since at={silent_since} />}
              {status === 'heard' && heard_at !== null && <AgoOrTime at={heard_at} />}
            </span>
            <p class="small muted">
              every {duration(every_seconds * SECOND)} expected ·{' '}
              {heard_at === null ? (
                'never heard'
              ) : (
                <>
                  spoke last <Moment at={heard_at} />
                </>
              )}
            </p>
          </li>
        ))}
      </ul>
      {guards.length > MOST_SHOWN && (
        <p class="empty small muted">and {counted(guards.length - MOST_SHOWN, 'other')}</p>
      )}
    </section>
  );
};
