import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { IncidentEntry } from '../../domain/entries.ts';
import type { Incident } from '../../domain/incident.ts';
import type { Line } from '../incidents/list-lines.ts';
import { LastKnown } from '../parts/last-known.tsx';
import { Notice } from '../parts/notice.tsx';
import { reasonOf } from '../request.ts';
import { fragmentOf, route } from '../route.ts';
import { IncidentChart } from '../statecharts/incident-chart.tsx';
import { Replay } from '../statecharts/replay.tsx';
import { Commands, Follows } from './commands.tsx';
import { Containment } from './containment.tsx';
import { Evidence } from './evidence.tsx';
import { Facts } from './facts.tsx';
import { Head } from './head.tsx';
import { IncidentDetail } from './incident-detail.ts';
import { Rail } from './rail.tsx';
import { Recovery } from './recovery.tsx';
import { type Fold, loadFold, recordAfter } from './replay.ts';
import { SimilarList } from './similar-list.tsx';
import { phraseOf, Timeline } from './timeline.tsx';

interface IncidentViewProps {
  readonly id: string;
  /** The lines of the list that it was opened from. */
  readonly lines: readonly Line[];
}

/** One incident, now or after any of its entries: what happened and what to do on a sheet, the rest in a rail. */
export const IncidentView = ({ id, lines }: IncidentViewProps) => {
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
  // Commands, links and the page itself name it by its key.
  const incident = { ...(then ?? present), id };
  const isNow = past.value === undefined;
  const happened = count === entries.length ? entries : entries.slice(0, count);
  const similar = detail.similar.value.value;

  return (
    <article class={`incident ${isNow ? '' : 'then'}`} aria-label={`Incident ${id}`}>
      <div class="incident-body">
        <div class="sheet">
          <Head incident={incident} lines={lines} />
          {isNow ? (
            <div class="commands-place">
              <Commands incident={incident} transitions={detail.transitions.value.value?.transitions ?? []} />
              <Follows incident={incident} preview={detail.preview.value.value} />
            </div>
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
          <Containment incident={incident} isNow={isNow} />
          <Recovery incident={incident} isNow={isNow} />
          <div class="pair">
            <Evidence incident={incident} isWithheld={isEvidenceWithheld(present)} similar={similar} />
            <Timeline entries={entries} count={count} isCut={detail.isCut.value} onChoose={show} />
          </div>
        </div>
        <Rail>
          <section class="life" aria-label="Statechart">
            <header>
              <h3>Statechart</h3>
            </header>
            <Replay entries={entries} count={count} onChange={show} phraseOf={phraseOf} />
            <IncidentChart entries={happened} incident={incident} isNow={isNow && !detail.isCut.value} />
          </section>
          <section aria-label="Facts">
            <header>
              <h3>Facts</h3>
            </header>
            <Facts incident={incident} runbook={present.runbook} isNow={isNow} />
          </section>
          <SimilarList similar={similar} />
        </Rail>
      </div>
    </article>
  );
};

const isEvidenceWithheld = ({ withheld = [] }: Incident & { readonly withheld?: readonly string[] }): boolean =>
  withheld.some((what) => what.endsWith('evidence'));

const replayed = (fold: Fold, entries: readonly IncidentEntry[], count: number): Incident =>
  recordAfter(fold, entries, count).incident;

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
