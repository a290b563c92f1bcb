import { SECOND } from '../../clock.ts';
import type { GuardStatus } from '../../incidents/guard-watch.ts';
import { duration } from '../format.ts';
import { health } from '../health.ts';
import { Ago } from '../parts/time.tsx';
import { VerbatimLine } from '../parts/verbatim.tsx';

const WORDS: Readonly<Record<GuardStatus['status'], string>> = {
  heard: 'heard',
  awaited: 'not heard yet',
  silent: 'silent',
};

/** The guards that the policy expects, and whether each is heard. Empty when it expects none. */
export const GuardsSection = () => {
  const guards = health.value?.guards ?? [];
  if (guards.length === 0) return null;
  return (
    <section aria-labelledby="guards">
      <h2 id="guards">Guards</h2>
      <ul class="cards guards">
        {guards.map(({ source, every_seconds, status, heard_at }) => (
          <li key={source} class={status}>
            <strong>
              <VerbatimLine text={source} />
            </strong>
            <span class={`badge ${status}`}>{WORDS[status]}</span>
            <span class="hint">
              expected every {duration(every_seconds * SECOND)}
              {heard_at !== null && (
                <>
                  , last heard <Ago at={heard_at} />
                </>
              )}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
};
