import { missingOf, type PendingRecovery, RECOVERY_ACTS, WAIVER, whoMay } from '../../domain/recovery-steps.ts';
import { counted, spelled } from '../format.ts';
import { AgoOrTime } from '../parts/age.tsx';
import { Machine } from '../parts/machine.tsx';
import { SeverityMark } from '../parts/marks.tsx';
import { keyOfRecovery, recoveries } from '../recoveries.ts';
import { fragmentOf } from '../route.ts';
import { Cell, Columns, FleetPage } from './fleet-page.tsx';
import { HeldRows } from './held-rows.tsx';

/** What can't be resolved yet on any machine, what each needs, and who may do that. */
export const RecoveriesView = () => (
  <FleetPage
    title="Recoveries"
    of={recoveries}
    sum={({ count }) => (count === 0 ? null : <span class="strong">{counted(count, 'incident')} waiting</span>)}
    children={({ count, pending_recoveries: pending }) => (
      <>
        <section class="card rows recovering" aria-label="Recoveries">
          <Columns names={['Incident', 'Machine', 'Still needed', 'Done', 'Since']} />
          {pending.length === 0 && <p class="empty muted">No incident waits for its recovery.</p>}
          <HeldRows items={pending} keyOf={keyOfRecovery} row={(one, key) => <RecoveryRow key={key} one={one} />} />
        </section>
        {count > pending.length && (
          <p class="small muted">and {counted(count - pending.length, 'other')}, younger than these</p>
        )}
        {pending.length > 0 && (
          <p class="small muted">It is done where the incident is shown. There {whoMay(WAIVER)} may waive it.</p>
        )}
      </>
    )}
  />
);

const RecoveryRow = ({ one }: { readonly one: PendingRecovery }) => {
  const { incident_id: id, incident_class: name, severity, machine = '', required_after: since } = one;
  const done = [
    ...(one.acked_at === undefined ? [] : [`acknowledged${one.acked_by === undefined ? '' : ` by ${one.acked_by}`}`]),
    ...(one.re_attested_at === undefined ? [] : ['attested']),
  ];
  return (
    <li>
      <div class="said name">
        <SeverityMark severity={severity} />{' '}
        <a href={fragmentOf({ view: 'incidents', id: keyOfRecovery(one), query: '' })}>
          <code>{name}</code>
        </a>
        <p class="small muted">
          <code>{id}</code>
        </p>
      </div>
      <Cell label="Machine">
        <Machine name={machine} />
      </Cell>
      <Cell label="Still needed">
        {missingOf(one).map((step) => (
          <p key={step}>
            {spelled(RECOVERY_ACTS[step].needs)}
            <span class="small muted"> · {whoMay(RECOVERY_ACTS[step])}</span>
          </p>
        ))}
      </Cell>
      <Cell label="Done">{done.length === 0 ? <span class="muted">nothing</span> : done.join(', ')}</Cell>
      <Cell label="Since">
        <AgoOrTime at={since} />
      </Cell>
    </li>
  );
};
