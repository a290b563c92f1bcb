import { counted, grouped } from '../format.ts';
import { health, healthAt } from '../health.ts';
import { head } from '../live-entries.ts';
import { ContainmentShape } from '../parts/marks.tsx';
import { AsOf } from '../parts/time.tsx';
import { fragmentOf } from '../route.ts';

const MIB = 1024 * 1024;

/** The log: how far it is verified, since when, and how it is chained. */
export const LogSection = () => {
  const known = health.value;
  if (known?.audit === undefined) return null;
  const { audit } = known;
  const { verified_seq: verified, state, log_id: id } = audit;
  const since = verified === null ? 0 : Math.max(0, head.value - verified);
  const isDamaged = state === 'damaged';
  return (
    <section class="card" aria-labelledby="log">
      <header>
        <h2 id="log">The log</h2>
        <span class="end small muted">
          {id !== undefined && id !== null && `${id.slice(0, 4)} · `}
          {audit.bytes < MIB
            ? `${grouped(Math.ceil(audit.bytes / 1024))} KiB`
            : `${grouped(Math.round(audit.bytes / MIB))} MiB`}
          {audit.segments > 1 && ` in the last of ${grouped(audit.segments)} files`}
        </span>
      </header>
      <ul class="prove">
        <li>
          <ContainmentShape look={isDamaged ? 'overdue' : verified === null ? 'unknown' : 'done'} />
          <span class={isDamaged ? 'strong error' : ''}>
            {isDamaged
              ? 'Damaged'
              : verified === null
                ? 'Being verified'
                : verified === 0
                  ? 'Verified'
                  : `Verified up to entry ${grouped(verified)}`}
          </span>
          <span class="small muted">
            <AsOf time={healthAt.value} />
          </span>
          <p class="small muted">
            {isDamaged
              ? (known.reasons ?? []).join('; ')
              : verified === 0
                ? 'by the service, each entry as it was written'
                : `the whole chain, by the service, when it started${since > 0 ? ` · ${counted(since, 'entry', 'entries')} since, each when it was written` : ''}`}
          </p>
        </li>
        <li>
          <ContainmentShape look="none" />
          <span>The last is entry {grouped(head.value)}</span>
          <a class="small" href={fragmentOf({ view: 'audit', query: '' })}>
            Audit
          </a>
          <p class="small muted">
            {audit.algorithm === 'sha256'
              ? 'SHA-256 without a key: shows accidents, not forgery'
              : 'HMAC-SHA256 under the audit key'}
          </p>
        </li>
      </ul>
    </section>
  );
};
