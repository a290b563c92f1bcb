import { useState } from 'preact/hooks';
import type { DeliveryStatus } from '../../../machines/delivery.ts';
import { ACTIONS, type ContainmentAction, STATES } from '../../../machines/vocabulary.ts';
import type { ActionView, CarriedOut, DeliveryView } from '../../containment/posture-reads.ts';
import type { HolderGroup } from '../../projections/holder-groups.ts';
import type { EarlyRelease } from '../../projections/posture.ts';
import { type Filters, NO_FILTERS } from '../filters.ts';
import { counted, grouped } from '../format.ts';
import { health } from '../health.ts';
import { ReleaseEarly } from '../incident/release-early.tsx';
import { RetryButton } from '../incident/retry-button.tsx';
import {
  ACTION_MEANINGS,
  Cell,
  CHANNEL_WORDS,
  isRed,
  rankOf,
  type Standing,
  Verdict,
  wordsOfStatus,
} from '../incident/standing.tsx';
import { head } from '../live-entries.ts';
import { useLiveResource } from '../live-resource.ts';
import { AgoOrTime, Since } from '../parts/age.tsx';
import { LastKnown } from '../parts/last-known.tsx';
import { type ContainmentLook, ContainmentMark, SeverityShape } from '../parts/marks.tsx';
import { Notice } from '../parts/notice.tsx';
import { AsOf, Due, Moment } from '../parts/time.tsx';
import { Verbatim, VerbatimLine } from '../parts/verbatim.tsx';
import { fragmentOf, listOf } from '../route.ts';
import { isFleet } from '../service.ts';
import { posture } from './live-posture.ts';

/**
 * The posture: one row an action, the worst first. Asked for by which incidents, carried out by whom, and how it stands
 * now.
 */
export const PostureView = () => {
  const known = useLiveResource(posture);
  const [releasing, setReleasing] = useState<ContainmentAction>();
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
  const all = ACTIONS.map((action) => ({ one: known[action], standing: standingOfAction(known[action]) })).toSorted(
    (one, other) => rankOf(one.standing) - rankOf(other.standing),
  );
  const asked = all.filter(({ one }) => one.engaged).length;
  const log = health.value?.audit?.log_id;
  return (
    <div class="page posture-page">
      <header class="page-head">
        <h1>Posture</h1>
        <p class="sum">
          <span class="strong">{asked === 0 ? 'Nothing is asked for' : `${asked} of ${all.length} asked for`}</span>
          {COUNTED.map(([look, word, one = word]) => {
            const count = all.filter(({ standing }) => standing.look === look && standing.word !== NEVER).length;
            return count === 0 ? null : (
              <ContainmentMark key={look} look={look}>
                {count} {count === 1 ? one : word}
              </ContainmentMark>
            );
          })}
        </p>
        <span class="end small muted">
          <AsOf time={posture.readAt.value} />
          {!isFleet && (
            <span>
              {log !== undefined && log !== null && `log ${log.slice(0, 4)}, `}entry {grouped(head.value)}
            </span>
          )}
        </span>
      </header>
      <LastKnown of={posture} />
      <div class="card posture">
        <div class="act head" aria-hidden="true">
          {['Action', 'Asked for', 'Carried out', 'Now', ''].map((title) => (
            <span key={title}>{title}</span>
          ))}
        </div>
        <ul>
          {all.map(({ one, standing }) => (
            <ActionRow key={one.action} one={one} standing={standing} onRelease={() => setReleasing(one.action)} />
          ))}
        </ul>
      </div>
      {releasing !== undefined && (
        <ReleaseEarly
          actions={[releasing]}
          groups={known[releasing].holder_groups ?? []}
          holders={known[releasing].holders}
          roles={['operator', 'recovery']}
          onClose={() => setReleasing(undefined)}
        />
      )}
    </div>
  );
};

const NEVER = 'Never asked for';

/** What the head counts, and in which words. */
const COUNTED: readonly (readonly [look: ContainmentLook, words: string, one?: string])[] = [
  ['overdue', 'overdue'],
  ['person', 'need a person', 'needs a person'],
  ['unknown', 'not known'],
  ['done', 'in force'],
  ['released', 'released'],
];

/** How an action stands now: the worst that is known of its holders. */
const standingOfAction = (one: ActionView): Standing => {
  const { asked, engaged, carried_out, not_known, to_do, delivery, holders } = one;
  if (asked === null) return { look: 'none', word: NEVER };
  const counts = delivery?.counts ?? {};
  const what = engaged ? '' : 'Release ';
  const worded = (word: string): string => (engaged ? word : `${what}${word.toLowerCase()}`);
  if ((not_known?.overdue ?? 0) > 0) {
    // Of the deliveries only the most significant says since when it is overdue.
    const since = delivery?.overdue_at;
    if (since !== undefined) return { look: 'overdue', word: worded('Overdue'), since };
    const asked_at = not_known!.oldest_asked_at;
    if (asked_at === null) return { look: 'overdue', word: worded('Overdue') };
    return { look: 'overdue', word: `${worded('Overdue')}, asked for`, since: asked_at };
  }
  const need = (counts.needs_person ?? 0) + (to_do === undefined ? 0 : 1);
  if (to_do !== undefined) return { look: 'person', word: 'To be released by hand' };
  if (need > 0) return { look: 'person', word: `${what}${grouped(need)} ${need === 1 ? 'needs' : 'need'} a person` };
  if ((counts.failed ?? 0) > 0) return { look: 'person', word: worded('Failed') };
  if (not_known !== null) {
    const since = not_known.oldest_asked_at ?? undefined;
    const isPart = carried_out !== null && engaged;
    return {
      look: 'unknown',
      word: isPart ? `Not known for ${grouped(not_known.incidents)} of ${grouped(holders)}` : worded('Not known'),
      ...(since !== undefined && { since }),
    };
  }
  if (!engaged) return { look: 'released', word: 'Released' };
  return { look: 'done', word: 'In force' };
};

const BY_WORDS = {
  answer: 'by its answer',
  confirmation: 'by its service',
  log: 'by the log',
} as const satisfies Readonly<Record<CarriedOut['by'], string>>;

/** How many of the deliveries that are not confirmed have each status. */
const countsOf = ({ counts }: DeliveryView): string =>
  Object.entries(counts)
    .filter(([name, count]) => name !== 'confirmed' && count > 0)
    .map(([name, count]) => `${grouped(count)} ${wordsOfStatus(name as DeliveryStatus, count)}`)
    .join(', ');

/** The button that may help: another attempt, or asking again what was lost. What nobody fetches is there already. */
const helpOf = ({ delivery }: ActionView): string | undefined => {
  if (delivery === null) return undefined;
  const { directive, counts } = delivery;
  if ((counts.lost ?? 0) > 0) return 'Ask again';
  const tried = [counts.failed, counts.delivering, directive === 'release' ? counts.needs_person : 0];
  return tried.some((count = 0) => count > 0) ? 'Try now' : undefined;
};

interface ActionRowProps {
  readonly one: ActionView;
  readonly standing: Standing;
  /** Asks for whom it is released early, and why. */
  readonly onRelease: () => void;
}

const ActionRow = ({ one, standing, onRelease }: ActionRowProps) => {
  const { action, engaged, via } = one;
  const isBad = isRed(standing);
  const help = helpOf(one);
  return (
    <li class={`act ${isBad ? 'bad' : ''}`}>
      <div class="name">
        <h2>
          <code>{action}</code>
        </h2>
        <p>
          {ACTION_MEANINGS[action]} {CHANNEL_WORDS[via]}
        </p>
      </div>
      <Cell label="Asked for">
        <AskedFor one={one} />
      </Cell>
      <Cell label="Carried out">
        <Done one={one} />
      </Cell>
      <Cell label="Now" isBad={isBad}>
        <Verdict standing={standing} />
        <Why one={one} isBad={isBad} said={standing.word} />
      </Cell>
      <div class="acts">
        {help !== undefined && <RetryButton action={action} label={help} />}
        {engaged && action !== 'log_alert' && (
          <button type="button" class="quiet sm" onClick={onRelease}>
            Release early…
          </button>
        )}
      </div>
      <Holders one={one} />
    </li>
  );
};

const AskedFor = ({ one: { asked } }: { readonly one: ActionView }) => {
  if (asked === null) return <ContainmentMark look="none">Never</ContainmentMark>;
  return (
    <>
      <ContainmentMark look={asked.directive === 'engage' ? 'asked' : 'released'}>
        {asked.directive === 'engage' ? 'since' : 'release, since'} <Moment at={asked.since} />
      </ContainmentMark>
      <p class="fresh">
        <Since at={asked.since} />
      </p>
    </>
  );
};

/** What was carried out, by whom, and when its service was heard last. */
const Done = ({
  one: { carried_out: done, holders, engaged, delivery, asked, heard_at },
}: {
  readonly one: ActionView;
}) => {
  const heard = heard_at !== null && (
    <p>
      heard last{' '}
      <b>
        <Moment at={heard_at} />
      </b>
      <span class="fresh">
        , <AgoOrTime at={heard_at} />
      </span>
    </p>
  );
  const attempts = delivery !== null && delivery.attempts > 0 && <p>{counted(delivery.attempts, 'attempt')}</p>;
  if (asked === null) return null;
  if (done === null) {
    return (
      <>
        <ContainmentMark look="none">Not yet</ContainmentMark>
        {attempts}
        {heard}
      </>
    );
  }
  return (
    <>
      <ContainmentMark look={engaged ? 'done' : 'released'}>
        {engaged ? `${grouped(done.incidents)} of ${grouped(holders)}` : 'Released'} {BY_WORDS[done.by]}
      </ContainmentMark>
      <p>
        first <Moment at={done.at} />
      </p>
      {heard}
    </>
  );
};

interface WhyProps {
  readonly one: ActionView;
  readonly isBad: boolean;
  /** The words for how it stands, which are not said twice. */
  readonly said: string;
}

/** The cause of how it stands, how old that is, and what happens next. */
const Why = ({ one, isBad: red, said }: WhyProps) => {
  const { delivery, not_known: unknown, engaged, heard_at: heard, asked } = one;
  if (asked === null) return null;
  const states = delivery === null ? '' : countsOf(delivery);
  return (
    <>
      {states !== '' && states !== said && (unknown !== null || red) && (
        <p class={red ? 'red' : ''}>
          {states}
          {unknown !== null && unknown.overdue > 0 && `, ${grouped(unknown.overdue)} overdue`}
          {!red && unknown !== null && unknown.oldest_asked_at !== null && (
            <>
              , the oldest asked for <AgoOrTime at={unknown.oldest_asked_at} />
            </>
          )}
        </p>
      )}
      {delivery?.last_error !== undefined && delivery.status !== 'confirmed' && (
        <p class={red ? 'red' : ''}>
          <Verbatim text={delivery.last_error} longest={300} />
        </p>
      )}
      {delivery?.next_attempt_at !== undefined && delivery.status !== 'confirmed' && (
        <p>
          <Due at={delivery.next_attempt_at} />
        </p>
      )}
      {unknown === null && engaged && heard !== null && (
        <p>
          heard <AgoOrTime at={heard} />
        </p>
      )}
    </>
  );
};

/** The list of the incidents that hold an action, once it is named. */
const HOLDING: Filters = { ...NO_FILTERS, states: STATES.filter((state) => state !== 'resolved') };
/** How many groups of holders, and how many early releases, are named at first. */
const MOST_GROUPS = 4;
const MOST_EARLY = 3;

const Holders = ({ one }: { readonly one: ActionView }) => {
  const { action, holders, holder_groups: groups = [], more_groups: unnamed = 0, released_early: early = [] } = one;
  const [isUnfolded, unfold] = useState(false);
  if (holders === 0 && early.length === 0) return null;
  const shown = isUnfolded ? groups : groups.slice(0, MOST_GROUPS);
  const rest = holders - shown.reduce((sum, { count }) => sum + count, 0);
  const further = groups.length + unnamed - shown.length;
  return (
    <div class="holders">
      {holders > 0 && (
        <span class="small muted">
          {grouped(holders)} {holders === 1 ? 'holds' : 'hold'} it:
        </span>
      )}
      {shown.map((group) => (
        <Holder key={`${group.class} ${group.source}`} action={action} group={group} />
      ))}
      {further > 0 && !isUnfolded && groups.length > MOST_GROUPS && (
        <button type="button" class="link small" onClick={() => unfold(true)}>
          {grouped(rest)} more, in {counted(further, 'group')}
        </button>
      )}
      {rest > 0 && (isUnfolded || groups.length <= MOST_GROUPS) && (
        <a class="small" href={listOf({ ...HOLDING, holds: action })}>
          and {grouped(rest)} more
        </a>
      )}
      {early.length > 0 && <LetGo early={early} count={one.released_early_count ?? early.length} />}
    </div>
  );
};

const Holder = ({ action, group }: { readonly action: ContainmentAction; readonly group: HolderGroup }) => (
  <a
    class="holder"
    href={listOf({ ...HOLDING, classes: [group.class], sources: [group.source], holds: action })}
    title={`${group.severity}${group.first === undefined ? '' : `, the oldest since ${group.first}`}`}
  >
    <SeverityShape severity={group.severity} />
    <b>{grouped(group.count)}</b>
    <code>{group.class}</code>
    <span class="from">
      from <VerbatimLine text={group.source} />
    </span>
  </a>
);

/** Who has released it early, and why. */
const LetGo = ({ early, count }: { readonly early: readonly EarlyRelease[]; readonly count: number }) => (
  <div class="let-go small muted">
    {early.slice(0, MOST_EARLY).map(({ incident, at, by, role, reason }) => (
      <p key={incident}>
        released early for{' '}
        <a href={fragmentOf({ view: 'incidents', id: incident, query: '' })}>
          <code>{incident}</code>
        </a>
        {by !== undefined && (
          <>
            {' by '}
            <Verbatim text={by} longest={80} />
            {role !== undefined && ` (${role})`}
          </>
        )}{' '}
        <Moment at={at} />: “<Verbatim text={reason} longest={200} />”
      </p>
    ))}
    {count > MOST_EARLY && <p>and {grouped(count - Math.min(MOST_EARLY, early.length))} others released early</p>}
  </div>
);
