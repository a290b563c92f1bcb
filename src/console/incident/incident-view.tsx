import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { Incident } from '../../domain/incident.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { SeverityMark, StateMark } from '../parts/marks.tsx';
import { epoch } from '../live-entries.ts';
import { identify } from '../operator.ts';
import { LastKnown } from '../parts/last-known.tsx';
import { Notice } from '../parts/notice.tsx';
import { Ago, Moment } from '../parts/time.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { reasonOf } from '../request.ts';
import { fragmentOf, route } from '../route.ts';
import { IncidentChart } from '../statecharts/incident-chart.tsx';
import { Replay } from '../statecharts/replay.tsx';
import { grouped, spelled } from '../format.ts';
import { isBroken, posture } from '../posture/live-posture.ts';
import { useLiveResource } from '../live-resource.ts';
import { Deliveries, DELIVERY_WORDS } from './deliveries.tsx';
import { EvidenceTree } from './evidence-tree.tsx';
import { Facts } from './facts.tsx';
import { Runbook } from './runbook.tsx';
import { IncidentDetail } from './incident-detail.ts';
import { Recovery } from './recovery.tsx';
import { type Fold, loadFold, recordAfter } from './replay.ts';
import { phraseOf, Timeline } from './timeline.tsx';
import { TransitionButtons } from './transition-buttons.tsx';
import type { IncidentEntry } from '../../domain/entries.ts';

/** One incident, now or after any of its entries. */
export const IncidentView = ({ id }: { readonly id: string }) => {
  const detail = useMemo(() => new IncidentDetail(id), [id]);
  useEffect(() => detail.use(), [detail]);
  /** How many entries the view includes; undefined for all. */
  const past = useSignal<number | undefined>(undefined);
  const fold = useSignal<Fold | undefined>(undefined);
  const fault = useSignal<string | undefined>(undefined);

  const present = detail.incident.value.value;
  const entries = detail.entries.value;
  if (present === undefined) return <Missing detail={detail} />;

  const show = (count: number): void => {
    past.value = count >= entries.length && !detail.isCut.peek() ? undefined : count;
    if (fold.peek() !== undefined) return;
    loadFold().then(
      (loaded) => (fold.value = loaded),
      (error: unknown) => (fault.value = reasonOf(error)),
    );
  };
  const count = past.value ?? entries.length;
  const then = past.value === undefined || fold.value === undefined ? undefined : replayed(fold.value, entries, count);
  const incident = then ?? present;
  const isNow = past.value === undefined;
  const happened = count === entries.length ? entries : entries.slice(0, count);

  return (
    <article class={`incident ${isNow ? '' : 'then'}`} aria-label={`Incident ${id}`}>
      <Heading incident={incident} />
      {isNow ? (
        <TransitionButtons id={id} transitions={detail.transitions.value.value?.transitions ?? []} />
      ) : (
        <p class="past" role="status">
          As it was after entry {count} of {entries.length}
          {entries[count - 1] !== undefined && `: ${phraseOf(entries[count - 1]!)}`}
          <button type="button" onClick={() => (past.value = undefined)}>
            Back to now
          </button>
        </p>
      )}
      {incident.drill && (
        <p class="drill-notice" role="note">
          <strong>This is a drill.</strong> It holds no action, counts in no statistics, and ends by itself.
        </p>
      )}
      <LastKnown of={detail.incident} />
      {(fault.value ?? detail.fault.value) !== undefined && (
        <p class="error" role="alert">
          {fault.value ?? detail.fault.value}
        </p>
      )}
      <div class="incident-body">
        <div class="happened">
          <section aria-label="What happened">
            <p class="description">
              <Verbatim text={incident.description} />
            </p>
            {present.runbook !== undefined && <Runbook text={present.runbook} />}
            <Facts incident={incident} />
          </section>
          <Recovery incident={incident} isNow={isNow} />
        </div>
        <Containment incident={incident} isNow={isNow} />
        <section class="life" aria-label="Life so far">
          <h3>Life so far</h3>
          <Replay entries={entries} count={count} onChange={show} phraseOf={phraseOf} />
          <IncidentChart entries={happened} incident={incident} isNow={isNow && !detail.isCut.value} />
        </section>
        <Evidence incident={incident} isWithheld={isEvidenceWithheld(present)} />
        <section class="history" aria-label="Timeline">
          <h3>Timeline</h3>
          {detail.isCut.value && <p class="hint">These are the first {grouped(entries.length)} entries.</p>}
          <Timeline entries={entries} count={count} onChoose={show} />
        </section>
      </div>
    </article>
  );
};

const isEvidenceWithheld = ({ withheld = [] }: Incident & { readonly withheld?: readonly string[] }): boolean =>
  withheld.some((what) => what.endsWith('evidence'));

const replayed = (fold: Fold, entries: readonly IncidentEntry[], count: number): Incident =>
  recordAfter(fold, entries, count).incident;

const Heading = ({ incident }: { readonly incident: Incident }) => (
  <header class="incident-head">
    <a class="close" href={fragmentOf({ view: 'incidents', query: route.value.query })} aria-label="Close the incident">
      ✕
    </a>
    <h2>
      {spelled(incident.class)}
      {incident.drill && <span class="drill">drill</span>}
    </h2>
    <p class="incident-line">
      <SeverityMark severity={incident.severity} />
      <StateMark state={incident.state} />
      <span>
        <code class="id">{incident.id}</code>
        <CopyButton text={() => incident.id} what="the id" />
      </span>
      <span class="when">
        <Ago at={incident.created_at} /> · <Moment at={incident.created_at} />
      </span>
    </p>
  </header>
);

const Missing = ({ detail }: { readonly detail: IncidentDetail }) => {
  const reason = detail.incident.fault.value;
  return (
    <article class="incident" aria-label={`Incident ${detail.id}`}>
      {reason === undefined ? (
        <Notice kind="busy" title="Reading the incident…" />
      ) : (
        <Notice kind="fault" title={`${detail.id} can’t be shown`}>
          <p>{reason}</p>
          <p>
            <a href={fragmentOf({ view: 'incidents', query: route.value.query })}>Back to the list</a>
          </p>
        </Notice>
      )}
    </article>
  );
};

const Containment = ({ incident, isNow }: { readonly incident: Incident; readonly isNow: boolean }) => {
  const { containment, containment_actions: actions = [] } = incident;
  return (
    <section class="containment" aria-label="Containment">
      <h3>
        Containment{' '}
        {containment !== undefined &&
          incident.drill !== true &&
          (incident.state === 'resolved' ? (
            <ReleaseBadge incident={incident} isNow={isNow} />
          ) : (
            <span class={`badge ${containment.status}`}>{containment.status}</span>
          ))}
      </h3>
      {containment !== undefined && (
        <Deliveries incident={incident.id} deliveries={containment.actions} isNow={isNow && incident.drill !== true} />
      )}
      {incident.drill_releases !== undefined && incident.drill_releases.length > 0 && (
        <>
          <h4>Released again</h4>
          <Deliveries incident={incident.id} deliveries={incident.drill_releases} isNow={false} />
        </>
      )}
      {containment === undefined && actions.length > 0 && <p>{actions.map(spelled).join(', ')}</p>}
      {containment === undefined && actions.length === 0 && <p class="hint">Nothing has been contained.</p>}
    </section>
  );
};

/** What is known of the release of what a resolved incident asked for. */
const ReleaseBadge = ({ incident, isNow }: { readonly incident: Incident; readonly isNow: boolean }) => {
  const known = useLiveResource(posture);
  if (!isNow || known === undefined) return <span class="badge">ended</span>;
  const views = (incident.containment_actions ?? []).map((action) => known[action]);
  const own = views.flatMap(({ delivery }) =>
    delivery?.directive === 'release' && delivery.incident === incident.id ? delivery : [],
  );
  const bad = own.find(({ status, overdue_at }) => isBroken(status) || overdue_at !== undefined);
  if (bad !== undefined) {
    return (
      <span class="badge overdue">release {bad.overdue_at === undefined ? DELIVERY_WORDS[bad.status] : 'overdue'}</span>
    );
  }
  if (own.some(({ status }) => status !== 'confirmed'))
    return <span class="badge delivering">release not confirmed</span>;
  if (views.some(({ engaged }) => engaged)) return <span class="badge engaged">asked for by others</span>;
  return <span class="badge">{views.every(({ carried_out: done }) => done !== null) ? 'released' : 'ended'}</span>;
};

interface EvidenceProps {
  readonly incident: Incident;
  /** Whether the service shows evidence to some roles only, and not to this reader. */
  readonly isWithheld: boolean;
}

const Evidence = ({ incident: { evidence }, isWithheld }: EvidenceProps) => (
  <section class="evidence" aria-label="Evidence">
    <h3>
      Evidence
      {evidence !== undefined && (
        <CopyButton text={() => JSON.stringify(evidence, null, 2)} what="JSON of the evidence" label="Copy JSON" />
      )}
    </h3>
    {evidence !== undefined && <EvidenceTree value={evidence} />}
    {evidence === undefined && !isWithheld && <p class="hint">None was reported.</p>}
    {evidence === undefined && isWithheld && (
      <p class="hint">
        Evidence is restricted: give a token with the role auditor, operator or recovery.{' '}
        <button type="button" class="link" onClick={() => void identify().then(() => (epoch.value += 1))}>
          Give a token
        </button>
      </p>
    )}
  </section>
);
