import { useState } from 'preact/hooks';
import type { Directive, Role } from '../../../machines/vocabulary.ts';
import type { DeliveryRecord } from '../../domain/delivery.ts';
import type { Incident } from '../../domain/incident.ts';
import { counted, spelled } from '../format.ts';
import { idOf } from '../incident-key.ts';
import { posture } from '../posture/live-posture.ts';
import { useLiveResource } from '../live-resource.ts';
import { AgoOrTime } from '../parts/age.tsx';
import { ContainmentMark } from '../parts/marks.tsx';
import { Due, Moment } from '../parts/time.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { ReleaseEarly } from './release-early.tsx';
import { RetryButton } from './retry-button.tsx';
import {
  CHANNEL_WORDS,
  Cell,
  DELIVERY_WORDS,
  isRed,
  isSpared,
  rankOf,
  type Standing,
  standingOf,
  Verdict,
} from './standing.tsx';

interface ContainmentProps {
  readonly incident: Incident;
  /** Whether this is the present, so that something can be done. */
  readonly isNow: boolean;
}

/** What the incident has asked for: one row an action, the worst first. */
export const Containment = ({ incident, isNow }: ContainmentProps) => {
  const { containment, containment_actions: actions = [], drill_releases: releases = [], state, recovery } = incident;
  const [isReleasing, setReleasing] = useState(false);
  const deliveries = containment?.actions ?? [];
  const mayAct = isNow && incident.drill !== true;
  const held = deliveries.filter(
    ({ action, released_early, status }) =>
      action !== 'log_alert' && released_early === undefined && status !== 'superseded',
  );
  const first = deliveries.map(({ asked_at: at }) => at).toSorted()[0];
  return (
    <section class="card containment" aria-label="Containment">
      <header>
        <h3>Containment</h3>
        {first !== undefined && (
          <span class="small muted">
            asked for <Moment at={first} />
          </span>
        )}
        {containment !== undefined && incident.drill !== true && state === 'resolved' && (
          <ReleaseStanding incident={incident} isNow={isNow} />
        )}
        {mayAct && state !== 'resolved' && held.length > 0 && (
          <span class="end">
            <button type="button" class="link small" onClick={() => setReleasing(true)}>
              Release one early…
            </button>
          </span>
        )}
      </header>
      {deliveries.length > 0 && (
        <Deliveries incident={incident.id} deliveries={deliveries} isNow={mayAct} hasEnded={state === 'resolved'} />
      )}
      {releases.length > 0 && (
        <>
          <h4>Released again</h4>
          <Deliveries incident={incident.id} deliveries={releases} isNow={false} directive="release" />
        </>
      )}
      {containment === undefined && actions.length > 0 && <p class="empty">{actions.join(', ')}</p>}
      {containment === undefined && actions.length === 0 && <p class="empty muted">Nothing has been contained.</p>}
      {isReleasing && (
        <ReleaseEarly
          id={incident.id}
          actions={held.map(({ action }) => action)}
          roles={rolesFor(recovery !== undefined)}
          onClose={() => setReleasing(false)}
        />
      )}
    </section>
  );
};

/** Who may release an action early: where the rule asks for a recovery, those who may resolve. */
const rolesFor = (hasRecovery: boolean): readonly Role[] => [hasRecovery ? 'recovery' : 'operator'];

interface DeliveriesProps {
  readonly incident: string;
  readonly deliveries: readonly DeliveryRecord[];
  /** Whether this is the present, so that a delivery can be tried again. */
  readonly isNow: boolean;
  readonly directive?: Directive;
  /** Whether the incident is resolved, so that nothing of it is asked for any more. */
  readonly hasEnded?: boolean;
}

const Deliveries = ({ incident, deliveries, isNow, directive = 'engage', hasEnded = false }: DeliveriesProps) => {
  const rows = deliveries
    .map((delivery) => ({ delivery, standing: endedOr(standingOf(delivery, directive), hasEnded) }))
    .toSorted((one, other) => rankOf(one.standing) - rankOf(other.standing));
  return (
    <div class="truths">
      <div class="truth-row head" aria-hidden="true">
        {['Action', 'Asked for', 'Carried out', 'Now'].map((title) => (
          <span key={title}>{title}</span>
        ))}
      </div>
      <ul>
        {rows.map(({ delivery, standing }) => (
          <li key={delivery.action} class={`truth-row delivery ${isRed(standing) ? 'bad' : ''} is-${standing.look}`}>
            <div class="name">
              <code>{delivery.action}</code>
              <p>{CHANNEL_WORDS[delivery.via]}</p>
            </div>
            <Cell label="Asked for">
              <ContainmentMark look={directive === 'engage' ? 'asked' : 'released'}>
                <Moment at={delivery.asked_at} />
              </ContainmentMark>
              {(delivery.round ?? 0) > 0 && <p>again, after an early release</p>}
            </Cell>
            <Cell label="Carried out">
              <CarriedOut delivery={delivery} directive={directive} />
            </Cell>
            <Cell label="Now">
              <Verdict standing={standing} />
              <Now delivery={delivery} standing={standing} incident={incident} isNow={isNow} />
            </Cell>
          </li>
        ))}
      </ul>
    </div>
  );
};

/** What a resolved incident once had in force says nothing about now: the posture does. */
const endedOr = (standing: Standing, hasEnded: boolean): Standing =>
  hasEnded && standing.look !== 'released' ? { look: 'none', word: 'Ended' } : standing;

const RECEIPTS = { answer: 'by its answer', confirmation: 'by its service' } as const;

interface DeliveryProps {
  readonly delivery: DeliveryRecord;
}

/** Who carried it out, how long after it was asked for, and with how many attempts. */
const CarriedOut = ({ delivery, directive }: DeliveryProps & { readonly directive: Directive }) => {
  const { confirmed_at: at, asked_at: asked, attempts, receipt, via, status } = delivery;
  const tried = attempts > 0 && counted(attempts, 'attempt');
  if (at === undefined) {
    const isLog = via === 'log' && status === 'confirmed';
    return (
      <>
        <ContainmentMark look={isLog ? 'done' : 'none'}>{isLog ? 'As it was written' : 'Not yet'}</ContainmentMark>
        {tried && <p>{tried}</p>}
      </>
    );
  }
  const delay = Math.max(0, Date.parse(at) - Date.parse(asked));
  return (
    <>
      <ContainmentMark look={directive === 'engage' ? 'done' : 'released'}>
        <Moment at={at} /> {receipt === undefined ? '' : RECEIPTS[receipt.by]}
      </ContainmentMark>
      <p>
        {delay < 1000 ? `${delay} ms` : `${Math.round(delay / 1000)} s`} after
        {tried && ` · ${tried}`}
      </p>
    </>
  );
};

interface NowProps extends DeliveryProps {
  readonly standing: Standing;
  readonly incident: string;
  readonly isNow: boolean;
}

/** The cause of how it stands, and what happens next. */
const Now = ({ delivery, standing: { look }, incident, isNow }: NowProps) => {
  const { action, status, last_error: error, next_attempt_at: next, released_early: early } = delivery;
  const isBroken = status === 'failed' || status === 'lost';
  const label = status === 'lost' ? 'Ask again' : 'Try now';
  const mayTry = isNow && early === undefined && (isBroken || status === 'delivering');
  return (
    <>
      {look === 'done' && <Heard action={action} />}
      {(look === 'unknown' || look === 'overdue') && status !== 'lost' && <p>{DELIVERY_WORDS[status]}</p>}
      {early !== undefined && (
        <p>
          {early.by !== undefined && (
            <>
              by <Verbatim text={early.by} longest={80} />
              {early.role !== undefined && ` as ${early.role}`}:{' '}
            </>
          )}
          “<Verbatim text={early.reason} longest={300} />”
        </p>
      )}
      {error !== undefined && early === undefined && status !== 'confirmed' && (
        <p class={isSpared(delivery) ? '' : 'red'}>
          <Verbatim text={error} longest={300} />
        </p>
      )}
      {(next !== undefined || mayTry) && early === undefined && (
        <p>
          {next !== undefined && <Due at={next} />}
          {next !== undefined && mayTry && ' · '}
          {mayTry && <RetryButton action={action} incident={incident} label={label} look="link" />}
        </p>
      )}
    </>
  );
};

/** When the service of an action was heard last: how old is what the page says about it. */
const Heard = ({ action }: Pick<DeliveryRecord, 'action'>) => {
  const at = useLiveResource(posture)?.[action].heard_at ?? undefined;
  if (at === undefined) return null;
  return (
    <p>
      heard <AgoOrTime at={at} />
    </p>
  );
};

/** What is known of the release of what a resolved incident asked for. */
const ReleaseStanding = ({ incident, isNow }: ContainmentProps) => {
  const known = useLiveResource(posture);
  if (!isNow || known === undefined) return <ContainmentMark look="none">Ended</ContainmentMark>;
  const views = (incident.containment_actions ?? []).map((action) => known[action]);
  const own = views
    .flatMap(({ delivery }) =>
      delivery?.directive === 'release' && delivery.incident === idOf(incident.id) ? delivery : [],
    )
    .map((delivery) => standingOf(delivery, 'release'))
    .toSorted((one, other) => rankOf(one) - rankOf(other));
  const [worst] = own;
  if (worst !== undefined && worst.look !== 'released') {
    const word = worst.look === 'unknown' ? 'Release not confirmed' : `Release ${worst.word.toLowerCase()}`;
    return <Verdict standing={{ ...worst, word }} />;
  }
  if (views.some(({ engaged }) => engaged)) return <ContainmentMark look="asked">Asked for by others</ContainmentMark>;
  const isReleased = views.every(({ carried_out: done }) => done !== null);
  return (
    <ContainmentMark look={isReleased ? 'released' : 'none'}>
      {spelled(isReleased ? 'released' : 'ended')}
    </ContainmentMark>
  );
};
