import { SEVERITIES, STATES, UNATTENDED_STATES } from '../../../machines/vocabulary.ts';
import type { ActivityReading, Durations, DurationsSoFar } from '../../projections/activity.ts';
import { useLiveResource } from '../live-resource.ts';
import { SeverityMark } from '../parts/marks.tsx';
import { LastKnown } from '../parts/last-known.tsx';
import { Notice } from '../parts/notice.tsx';
import { Moment } from '../parts/time.tsx';
import { readFilters, ATTENTION } from '../filters.ts';
import { incidentFragment, listOf } from '../route.ts';
import { recoveries } from '../recoveries.ts';
import { missingOf } from '../../domain/recovery-steps.ts';
import { statistics } from '../statistics.ts';
import { counted, duration, grouped, spelled } from '../format.ts';
import { HOUR } from '../../clock.ts';
import { now } from '../now.ts';
import { activity, hours, SPANS_OF_HOURS } from './activity.ts';
import { GuardsSection } from './guards-section.tsx';
import { HoursChart } from './hours-chart.tsx';

const ATTENDED_STATES = STATES.filter((state) => !UNATTENDED_STATES.includes(state));

const SPAN_WORDS: Readonly<Record<number, string>> = { 24: '24 hours', 72: '3 days', 168: '7 days' };

/** How much is waiting, how much happened, and how long it took. */
export const OverviewView = () => {
  const counts = useLiveResource(statistics);
  const reading = useLiveResource(activity);
  return (
    <div class="page">
      <h1>Overview</h1>
      <LastKnown of={statistics} />
      <section aria-labelledby="waiting">
        <h2 id="waiting">Waiting for somebody</h2>
        <ul class="tiles">
          {SEVERITIES.map((severity) => (
            <li key={severity}>
              <a class="tile" href={listOf({ ...readFilters(ATTENTION), severities: [severity] })}>
                <SeverityMark severity={severity} />
                <span class="figure">{counts === undefined ? '–' : grouped(counts.open_by_severity[severity])}</span>
              </a>
            </li>
          ))}
        </ul>
        {counts !== undefined && (
          <p class="hint">
            {counted(counts.open_incidents, 'incident')} {UNATTENDED_STATES.join(' or ')}
            {ATTENDED_STATES.map((state) => `, ${grouped(counts.by_state[state])} ${state}`)}.
          </p>
        )}
      </section>
      <Recoveries />
      <GuardsSection />
      <section aria-labelledby="hours">
        <div class="section-head">
          <h2 id="hours">The last {SPAN_WORDS[hours.value]}</h2>
          <fieldset class="chips">
            <legend class="unseen">How far back</legend>
            {SPANS_OF_HOURS.map((span) => (
              <button
                key={span}
                type="button"
                class="chip"
                aria-pressed={hours.value === span}
                onClick={() => (hours.value = span)}
              >
                {SPAN_WORDS[span]}
              </button>
            ))}
          </fieldset>
        </div>
        <LastKnown of={activity} />
        {reading === undefined ? <NotRead /> : <Hours reading={reading} />}
      </section>
    </div>
  );
};

/** How many incidents that wait for their recovery are listed. */
const MOST_RECOVERIES = 10;

/** The incidents that can't be resolved before something is done, if there are any. */
const Recoveries = () => {
  const known = useLiveResource(recoveries);
  if (known === undefined || known.count === 0) return null;
  return (
    <section aria-labelledby="recovering">
      <h2 id="recovering">Waiting for recovery</h2>
      <LastKnown of={recoveries} />
      <p class="hint">{counted(known.count, 'incident')} can’t be resolved before this is done.</p>
      <ul class="cards recoveries">
        {known.pending_recoveries.slice(0, MOST_RECOVERIES).map((one) => (
          <li key={one.incident_id}>
            <SeverityMark severity={one.severity} />
            <a href={incidentFragment(one.incident_id)}>
              {spelled(one.incident_class)} <code>{one.incident_id}</code>
            </a>
            <span>{missingOf(one).map(spelled).join(', ')}</span>
            <span class="hint">
              since <Moment at={one.required_after} />
            </span>
          </li>
        ))}
      </ul>
      {known.count > MOST_RECOVERIES && <p class="hint">and {counted(known.count - MOST_RECOVERIES, 'other')}.</p>}
    </section>
  );
};

const NotRead = () => {
  const reason = activity.fault.value;
  if (reason === undefined) return <Notice kind="busy" title="Reading…" />;
  return (
    <Notice kind="fault" title="The hours could not be read">
      <p>{reason}</p>
    </Notice>
  );
};

const Hours = ({ reading }: { readonly reading: ActivityReading }) => {
  const reported = SEVERITIES.flatMap((severity) => reading.reported[severity]).reduce((sum, count) => sum + count, 0);
  return (
    <>
      <h3>Reported each hour</h3>
      {reported === 0 ? (
        <Notice kind="empty" title="Nothing was reported" />
      ) : (
        <HoursChart kind="reported" reading={reading} />
      )}
      <div class="two">
        <section aria-labelledby="containment">
          <h3 id="containment">Time to containment</h3>
          <Spent
            durations={reading.time_to_containment}
            done="contained"
            waiting={reading.time_to_containment.waiting}
          />
          <StillWaiting durations={reading.time_to_containment} />
        </section>
        <section aria-labelledby="resolution">
          <h3 id="resolution">Time to resolution</h3>
          <Spent durations={reading.time_to_resolution} done="resolved" />
        </section>
      </div>
      {reading.time_to_resolution.count > 0 && <HoursChart kind="resolution" reading={reading} />}
      {reported > 0 && <HoursTable reading={reading} />}
    </>
  );
};

/** Those that still wait make the figures longer yet, so these are the least that they can be. */
const Spent = ({ durations, done, waiting = 0 }: SpentProps) =>
  durations.median_ms === null ? (
    <p class="hint">None was {done}.</p>
  ) : (
    <dl class="figures">
      <div>
        <dt>Half within</dt>
        <dd class="figure">{atLeast(durations.median_ms ?? 0, waiting)}</dd>
      </div>
      <div>
        <dt>Nine in ten within</dt>
        <dd class="figure">{atLeast(durations.p90_ms ?? 0, waiting)}</dd>
      </div>
      <div>
        <dt>Counted</dt>
        <dd class="figure">{grouped(durations.count)}</dd>
      </div>
    </dl>
  );

interface SpentProps {
  readonly durations: Durations;
  readonly done: string;
  /** How many still wait. */
  readonly waiting?: number;
}

const atLeast = (milliseconds: number, waiting: number): string =>
  `${duration(milliseconds)}${waiting > 0 ? ' or more' : ''}`;

/** Those that are not contained yet: they count in the figures for as long as they have waited so far. */
const StillWaiting = ({ durations: { waiting, oldest_waiting_ms } }: { readonly durations: DurationsSoFar }) =>
  waiting === 0 ? null : (
    <p class="error">
      {counted(waiting, 'incident')} not contained yet, the oldest for{' '}
      {duration((oldest_waiting_ms ?? 0) + Math.max(0, now.value - activity.readAt.value))}: counted with the time so
      far.
    </p>
  );

/** The figures of the charts as a table. */
const HoursTable = ({ reading }: { readonly reading: ActivityReading }) => {
  const from = Date.parse(reading.from);
  const rows = Array.from({ length: reading.hours }, (_, hour) => ({
    at: new Date(from + hour * HOUR).toISOString(),
    counts: SEVERITIES.map((severity) => reading.reported[severity][hour] ?? 0),
    median: reading.time_to_resolution.hourly_median_ms[hour] ?? null,
  })).filter(({ counts, median }) => median !== null || counts.some((count) => count > 0));
  return (
    <details class="figures-table">
      <summary>The figures</summary>
      <div class="scroll" tabIndex={0} role="region" aria-label="The figures">
        <table>
          <thead>
            <tr>
              <th scope="col">Hour from</th>
              {SEVERITIES.map((severity) => (
                <th key={severity} scope="col" class="number">
                  {severity}
                </th>
              ))}
              <th scope="col" class="number">
                median to resolution
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ at, counts, median }) => (
              <tr key={at}>
                <th scope="row">
                  <Moment at={at} />
                </th>
                {counts.map((count, index) => (
                  <td key={SEVERITIES[index]} class="number">
                    {count}
                  </td>
                ))}
                <td class="number">{median === null ? '' : duration(median)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
};
