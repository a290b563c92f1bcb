import type { DeliveryStatus } from '../../../machines/delivery.ts';
import { ACTIONS, type Channel, type ContainmentAction } from '../../../machines/vocabulary.ts';
import type { ActionView, DeliveryView } from '../../containment/posture-reads.ts';
import { isBroken, posture } from './live-posture.ts';
import { DELIVERY_WORDS, DeliveryDetail, RetryButton } from '../incident/deliveries.tsx';
import { useLiveResource } from '../live-resource.ts';
import { LastKnown } from '../parts/last-known.tsx';
import { Notice } from '../parts/notice.tsx';
import { Ago, Moment } from '../parts/time.tsx';
import { fragmentOf } from '../route.ts';
import { counted, grouped, spelled } from '../format.ts';

/** The posture: which actions are in force, which incidents hold them, and whether they are carried out. */
export const PostureView = () => {
  const known = useLiveResource(posture);
  if (known === undefined) {
    const reason = posture.fault.value;
    return (
      <div class="page">
        <h1>Posture</h1>
        {reason === undefined ? (
          <Notice kind="busy" title="Reading what is in force…" />
        ) : (
          <Notice kind="fault" title="What is in force could not be read">
            <p>{reason}</p>
          </Notice>
        )}
      </div>
    );
  }
  const all = ACTIONS.map((action) => known[action]);
  const engaged = all.filter((one) => one.engaged);
  const troubled = all.filter((one) => one.delivery !== null && isBroken(one.delivery.status));
  return (
    <div class="page">
      <h1>Posture</h1>
      <p class="summary">
        {engaged.length === 0
          ? 'Nothing is in force.'
          : `${engaged.length} of ${counted(all.length, 'action')} in force.`}{' '}
        {troubled.length > 0 && <strong class="error">{troubled.length} not carried out.</strong>}
      </p>
      <LastKnown of={posture} />
      <ul class="postures">
        {all.map((one) => (
          <ActionCard key={one.action} one={one} />
        ))}
      </ul>
    </div>
  );
};

const ACTION_MEANINGS: Readonly<Record<ContainmentAction, string>> = {
  freeze_agent: 'The agent does nothing further.',
  disable_airlock: 'Nothing leaves or enters through the airlock.',
  force_vault_relock: 'The vault is locked again.',
  quarantine_model: 'The model is set apart and not used.',
  log_alert: 'An alert stands in the audit log.',
};

const CHANNEL_MEANINGS: Readonly<Record<Channel, string>> = {
  push: 'It is sent to its service.',
  poll: 'Its service fetches it.',
  log: '',
};

const MOST_HOLDERS = 4;

/** How many deliveries have each status; only the status when all have the same. */
const countsOf = ({ status, counts }: DeliveryView): string => {
  const all = Object.entries(counts).filter(([, count]) => count > 0);
  const words = (name: string): string => DELIVERY_WORDS[name as DeliveryStatus];
  if (all.length < 2) return words(all[0]?.[0] ?? status);
  return all.map(([name, count]) => `${grouped(count)} ${words(name)}`).join(', ');
};

const ActionCard = ({ one }: { readonly one: ActionView }) => {
  const { action, engaged, since, holders, held_by, via, delivery } = one;
  const further = holders - Math.min(held_by.length, MOST_HOLDERS);
  return (
    <li class={`posture ${engaged ? 'engaged' : 'released'}`}>
      <h2>
        {spelled(action)}{' '}
        <span class={`badge ${engaged ? 'engaged' : ''}`}>{engaged ? 'in force' : 'not in force'}</span>
      </h2>
      <p class="hint">
        {ACTION_MEANINGS[action]} {CHANNEL_MEANINGS[via]}
      </p>
      {since !== null && (
        <p>
          {engaged ? 'Since' : 'Released'} <Moment at={since} /> (<Ago at={since} />)
        </p>
      )}
      {delivery !== null && (
        <p class={`delivery ${delivery.status}`}>
          <span>{delivery.directive === 'release' ? 'Release' : 'Delivery'}</span>{' '}
          <span class="status">{countsOf(delivery)}</span> <DeliveryDetail delivery={delivery} />
          {isBroken(delivery.status) && <RetryButton action={action} />}
        </p>
      )}
      {holders > 0 && (
        <p class="holders">
          Held by {counted(holders, 'incident')}:{' '}
          {held_by.slice(0, MOST_HOLDERS).map((id) => (
            <a key={id} href={fragmentOf({ view: 'incidents', id, query: '' })}>
              <code>{id}</code>
            </a>
          ))}
          {further > 0 && <span>and {counted(further, 'other')}</span>}
        </p>
      )}
    </li>
  );
};
