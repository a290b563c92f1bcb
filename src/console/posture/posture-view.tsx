import type { DeliveryStatus } from '../../../machines/delivery.ts';
import { ACTIONS, type Channel, type ContainmentAction, STATES } from '../../../machines/vocabulary.ts';
import type { ActionView, DeliveryView } from '../../containment/posture-reads.ts';
import { isBroken, posture } from './live-posture.ts';
import { DeliveryDetail, RetryButton, wordsOfStatus } from '../incident/deliveries.tsx';
import { useLiveResource } from '../live-resource.ts';
import { LastKnown } from '../parts/last-known.tsx';
import { Notice } from '../parts/notice.tsx';
import { Ago, Moment } from '../parts/time.tsx';
import { type Filters, readFilters } from '../filters.ts';
import { fragmentOf, listOf } from '../route.ts';
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
/** The list of the incidents that hold an action, once it is named. */
const HOLDERS: Filters = { ...readFilters(''), states: STATES.filter((state) => state !== 'resolved') };

/** How many deliveries have each status, each with its own mark. */
const Counts = ({ delivery: { status, counts } }: { readonly delivery: DeliveryView }) => {
  const known = (Object.entries(counts) as [DeliveryStatus, number][]).filter(([, count]) => count > 0);
  const all = known.length === 0 ? ([[status, 1]] as const) : known;
  return (
    <>
      {all.map(([name, count]) => (
        <span key={name} class={`delivery ${name}`}>
          <span class="status">
            {count > 1 && `${grouped(count)} `}
            {wordsOfStatus(name, count)}
          </span>
        </span>
      ))}
    </>
  );
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
        <p class="delivery counts">
          <span>{delivery.directive === 'release' ? 'Release' : 'Delivery'}</span> <Counts delivery={delivery} />
          <DeliveryDetail delivery={delivery} />
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
          {further > 0 && <a href={listOf({ ...HOLDERS, holds: action })}>and {counted(further, 'other')}</a>}
        </p>
      )}
    </li>
  );
};
