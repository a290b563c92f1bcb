import type { DeliveryStatus } from '../../../machines/delivery.ts';
import { ACTIONS, type Channel, type ContainmentAction, STATES } from '../../../machines/vocabulary.ts';
import type { ActionView, CarriedOut, DeliveryView, NotKnown } from '../../containment/posture-reads.ts';
import { isTroubled, posture } from './live-posture.ts';
import { DeliveryDetail, RetryButton, wordsOfStatus } from '../incident/deliveries.tsx';
import { useLiveResource } from '../live-resource.ts';
import { LastKnown } from '../parts/last-known.tsx';
import { Notice } from '../parts/notice.tsx';
import { Ago, Moment } from '../parts/time.tsx';
import { type Filters, readFilters } from '../filters.ts';
import { fragmentOf, listOf } from '../route.ts';
import { counted, grouped, spelled } from '../format.ts';

/**
 * The posture: which actions are asked for, by which incidents, what is known to be carried out, and what is not known.
 */
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
  const asked = all.filter((one) => one.engaged);
  const begun = asked.filter((one) => one.carried_out !== null);
  const inForce = begun.filter((one) => !isInPart(one));
  const troubled = all.filter(isTroubled);
  return (
    <div class="page">
      <h1>Posture</h1>
      <p class="summary">
        {asked.length === 0
          ? 'Nothing is asked for.'
          : `${asked.length} of ${counted(all.length, 'action')} asked for, ${inForce.length} known to be in force${begun.length > inForce.length ? `, ${begun.length - inForce.length} in part` : ''}.`}{' '}
        {troubled.length > 0 && (
          <strong class="error">{counted(troubled.length, 'action')} overdue, or not carried out.</strong>
        )}
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
  log_alert: 'Its entry in the audit log is the alert.',
};

const CHANNEL_MEANINGS: Readonly<Record<Channel, string>> = {
  push: 'It is sent to its service.',
  poll: 'Its service fetches it.',
  log: '',
  manual: 'A person does it by hand.',
};

const MOST_HOLDERS = 4;
/** The list of the incidents that hold an action, once it is named. */
const HOLDERS: Filters = { ...readFilters(''), states: STATES.filter((state) => state !== 'resolved') };

/** How many of the deliveries that are not confirmed have each status. */
const countsOf = ({ counts }: DeliveryView): string =>
  Object.entries(counts)
    .filter(([name, count]) => name !== 'confirmed' && count > 0)
    .map(([name, count]) => `${grouped(count)} ${wordsOfStatus(name as DeliveryStatus, count)}`)
    .join(', ');

const BY_WORDS = {
  answer: 'by its answer',
  confirmation: 'by its service',
  log: 'by its entry in the log',
} as const satisfies Readonly<Record<CarriedOut['by'], string>>;

/** Whether another attempt may help. What nobody fetches is there to be fetched already. */
const mayTryAgain = ({ directive, counts }: DeliveryView): boolean =>
  [counts.failed, counts.lost, counts.delivering, directive === 'release' ? counts.needs_person : 0].some(
    (count = 0) => count > 0,
  );

/** Whether an action is carried out for some of its incidents, and not known to be for the others. */
const isInPart = ({ carried_out, not_known }: ActionView): boolean =>
  carried_out !== null && (not_known?.incidents ?? 0) > 0;

/** What is known of an action: its badge, in a word and a colour. */
function Badge({ one }: { readonly one: ActionView }) {
  const { asked, engaged, carried_out, not_known, to_do } = one;
  if (asked === null) return <span class="badge">never asked for</span>;
  if (to_do !== undefined) return <span class="badge delivering">{to_do}</span>;
  const release = engaged ? '' : 'release ';
  if ((not_known?.overdue ?? 0) > 0) return <span class="badge overdue">{release}overdue</span>;
  if (engaged && carried_out !== null && isInPart(one)) {
    return (
      <span class={`badge ${isTroubled(one) ? 'degraded' : 'delivering'}`}>
        in force for {grouped(carried_out.incidents)} of {grouped(one.holders)}
      </span>
    );
  }
  if (carried_out !== null) {
    return <span class={`badge ${engaged ? 'in-force' : ''}`}>{engaged ? 'in force' : 'released'}</span>;
  }
  if (isTroubled(one)) return <span class="badge degraded">{release}not carried out</span>;
  return <span class="badge delivering">{engaged ? 'asked for, not known' : 'release not known'}</span>;
}

const ActionCard = ({ one }: { readonly one: ActionView }) => {
  const { action, engaged, asked, carried_out, not_known, holders, held_by, via, delivery } = one;
  const further = holders - Math.min(held_by.length, MOST_HOLDERS);
  return (
    <li class={`posture ${engaged ? 'engaged' : 'released'}`}>
      <h2>
        {spelled(action)} <Badge one={one} />
      </h2>
      <p class="hint">
        {ACTION_MEANINGS[action]} {CHANNEL_MEANINGS[via]}
      </p>
      {asked !== null && (
        <p>
          {asked.directive === 'engage' ? 'Asked for since' : 'Release asked for'} <Moment at={asked.since} /> (
          <Ago at={asked.since} />)
        </p>
      )}
      {carried_out !== null && <Done action={one} done={carried_out} />}
      {not_known !== null && <Unknown one={one} unknown={not_known} />}
      {delivery !== null && mayTryAgain(delivery) && <RetryButton action={action} />}
      {holders > 0 && (
        <p class="holders">
          Asked for by {counted(holders, 'incident')}:{' '}
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

/** What is known to be carried out: by whom, and when its service was last heard of. */
const Done = ({ action: { asked, holders }, done }: { readonly action: ActionView; readonly done: CarriedOut }) => (
  <p class="delivery confirmed">
    <span class="status">{asked?.directive === 'release' ? 'Released' : 'Carried out'}</span>{' '}
    <span class="detail">
      <span>
        {BY_WORDS[done.by]} at <Moment at={done.at} />
      </span>
      {holders > 1 && (
        <span>
          for {grouped(done.incidents)} of {counted(holders, 'incident')}
        </span>
      )}
      {done.heard_at !== null && (
        <span>
          last heard <Ago at={done.heard_at} />
        </span>
      )}
    </span>
  </p>
);

/** What is not known to be carried out, and for how long. */
const Unknown = ({ one, unknown }: { readonly one: ActionView; readonly unknown: NotKnown }) => {
  const { delivery, asked } = one;
  const isRelease = asked?.directive === 'release';
  const what = unknown.incidents === 0 || isRelease ? '' : ` for ${counted(unknown.incidents, 'incident')}`;
  const isBad = isTroubled(one);
  return (
    <p class={`delivery ${unknown.overdue > 0 ? 'overdue' : isBad ? 'failed' : 'recorded'}`}>
      <span class="status">
        {isRelease ? 'Release not confirmed' : `Not known to be carried out${what}`}
        {delivery !== null && countsOf(delivery) !== '' && `: ${countsOf(delivery)}`}
      </span>{' '}
      {unknown.oldest_asked_at !== null && (
        <span class="detail">
          {unknown.oldest_asked_at === asked?.since ? (
            unknown.overdue > 0 && <span>overdue</span>
          ) : (
            <span>
              {unknown.overdue > 0 ? 'overdue, ' : ''}asked for <Ago at={unknown.oldest_asked_at} />
            </span>
          )}
        </span>
      )}{' '}
      {delivery !== null && delivery.status !== 'confirmed' && <DeliveryDetail delivery={delivery} />}
    </p>
  );
};
