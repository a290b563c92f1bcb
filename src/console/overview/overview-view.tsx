import { SEVERITIES } from '../../../machines/vocabulary.ts';
import { HOUR } from '../../clock.ts';
import { missingOf } from '../../domain/recovery-steps.ts';
import type { ActivityReading } from '../../query/activity-counts.ts';
import type { ComparisonReading, TimeTaken } from '../../query/comparison-reading.ts';
import { NO_FILTERS } from '../filters.ts';
import { counted, duration, grouped, spelled } from '../format.ts';
import { useLiveResource } from '../live-resource.ts';
import { now } from '../now.ts';
import { LastKnown } from '../parts/last-known.tsx';
import { SeverityMark } from '../parts/marks.tsx';
import { Machine } from '../parts/machine.tsx';
import { Notice } from '../parts/notice.tsx';
import { AsOf, Moment } from '../parts/time.tsx';
import { VerbatimLine } from '../parts/verbatim.tsx';
import { keyOfRecovery, recoveries } from '../recoveries.ts';
import { incidentFragment, listOf } from '../route.ts';
import { statistics } from '../statistics.ts';
import { activity, comparison, hours, SPANS_OF_HOURS, weeks } from './activity.ts';
import { AttentionSection } from './attention-section.tsx';
import { GuardsSection } from './guards-section.tsx';
import { HoursChart } from './hours-chart.tsx';
import { LogSection } from './log-section.tsx';

const SPAN_WORDS: Readonly<Record<number, string>> = { 24: '24 h', 72: '3 d', 168: '7 d' };

/** What needs attention first; then how much happened, how long it took, and whether guards and log are well. */
export const OverviewView = () => {
  const reading = useLiveResource(activity);
  const compared = useLiveResource(comparison);
  return (
    <div class="page overview">
      <h1 class="unseen">Overview</h1>
      <LastKnown of={statistics} />
      <AttentionSection />
      <Recoveries />
      <div class="two">
        <section class="card" aria-labelledby="hours">
          <header>
            <h2 id="hours">Incidents each hour</h2>
            {compared !== undefined && <Total compared={compared} />}
            <fieldset class="end seg">
              <legend class="unseen">How far back</legend>
              {SPANS_OF_HOURS.map((span) => (
                <button
                  key={span}
                  type="button"
                  aria-pressed={hours.value === span}
                  aria-current={hours.value === span ? 'true' : undefined}
                  onClick={() => (hours.value = span)}
                >
                  {SPAN_WORDS[span]}
                </button>
              ))}
            </fieldset>
          </header>
          <LastKnown of={activity} />
          {reading === undefined ? <NotRead /> : <Hours reading={reading} />}
        </section>
        <section class="card" aria-labelledby="times">
          <header>
            <h2 id="times">How long it takes</h2>
            <span class="end small muted">{SPAN_WORDS[hours.value]}, beside the range before</span>
          </header>
          <LastKnown of={comparison} />
          {compared === undefined ? <NotCompared /> : <Times compared={compared} />}
        </section>
      </div>
      <div class="three">
        <section class="card" aria-labelledby="sources">
          <header>
            <h2 id="sources">Top sources</h2>
            <span class="end small muted">{SPAN_WORDS[hours.value]}, against the range before</span>
          </header>
          {compared !== undefined && <Sources compared={compared} />}
        </section>
        <GuardsSection />
        <LogSection />
      </div>
    </div>
  );
};

/** A change with its sign: `+310`, `−6`, `±0`. */
const signed = (change: number): string =>
  change === 0 ? '±0' : `${change > 0 ? '+' : '−'}${grouped(Math.abs(change))}`;

const Total = ({ compared: { incidents } }: { readonly compared: ComparisonReading }) => (
  <span class="small muted">
    <b>{grouped(incidents.now)}</b> in {SPAN_WORDS[hours.value]} · the range before {grouped(incidents.before)} (
    {signed(incidents.change)}) · <AsOf time={comparison.readAt.value} />
  </span>
);

/** How many incidents that wait for their recovery are listed. */
const MOST_RECOVERIES = 10;

/** The incidents that can't be resolved before something is done, if there are any. */
const Recoveries = () => {
  const known = useLiveResource(recoveries);
  if (known === undefined || known.count === 0) return null;
  return (
    <section class="card" aria-labelledby="recovering">
      <header>
        <h2 id="recovering">Waiting for recovery</h2>
        <span class="small muted">{counted(known.count, 'incident')} can’t be resolved before this is done.</span>
      </header>
      <LastKnown of={recoveries} />
      <ul class="recoveries">
        {known.pending_recoveries.slice(0, MOST_RECOVERIES).map((one) => (
          <li key={keyOfRecovery(one)}>
            <SeverityMark severity={one.severity} />
            <a href={incidentFragment(keyOfRecovery(one))}>
              <code>{one.incident_class}</code> <code>{one.incident_id}</code>
            </a>
            {one.machine !== undefined && <Machine name={one.machine} />}
            <span>{missingOf(one).map(spelled).join(', ')}</span>
            <span class="small muted">
              since <Moment at={one.required_after} />
            </span>
          </li>
        ))}
      </ul>
      {known.count > MOST_RECOVERIES && (
        <p class="empty small muted">and {counted(known.count - MOST_RECOVERIES, 'other')}.</p>
      )}
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

const NotCompared = () => {
  const reason = comparison.fault.value;
  return reason === undefined ? (
    <Notice kind="busy" title="Reading…" />
  ) : (
    <Notice kind="fault" title="How long it takes could not be read">
      <p>{reason}</p>
    </Notice>
  );
};

const Hours = ({ reading }: { readonly reading: ActivityReading }) => {
  const before = useLiveResource(weeks);
  const sums = SEVERITIES.map(
    (severity) => [severity, reading.reported[severity].reduce((sum, count) => sum + count, 0)] as const,
  );
  const total = sums.reduce((sum, [, count]) => sum + count, 0);
  const from = Date.parse(reading.from);
  const earlier = before?.groups
    .filter(({ hour }) => Date.parse(hour ?? '') >= from)
    .reduce((sum, group) => sum + group.before, 0);
  return (
    <div class="hours-place">
      <p class="legend">
        {sums.map(([severity, count]) => (
          <span key={severity}>
            <i class={severity} aria-hidden="true" />
            {severity} <b>{grouped(count)}</b>
          </span>
        ))}
        <span>
          <i class="was" aria-hidden="true" />
          week before {earlier !== undefined && <b>{grouped(earlier)}</b>}
        </span>
      </p>
      {total === 0 && (earlier ?? 0) === 0 ? (
        <Notice kind="empty" title="Nothing was reported" />
      ) : (
        <HoursChart reading={reading} weeks={before} />
      )}
      {total > 0 && <HoursTable reading={reading} />}
    </div>
  );
};

const STEPS = ['contain', 'acknowledge', 'resolve'] as const;

/** Median and 95th percentile, and who still waits: the average of what is done hides it. */
const Times = ({ compared }: { readonly compared: ComparisonReading }) => (
  <>
    <div class="scroll" tabIndex={0} role="region" aria-label="The times">
      <table class="plain times-table">
        <thead>
          <tr>
            <th scope="col">Time to</th>
            <th scope="col" class="number">
              median
            </th>
            <th scope="col" class="number">
              p95
            </th>
            <th scope="col">still waiting</th>
          </tr>
        </thead>
        <tbody>
          {STEPS.map((step) => {
            const { now: taken, before } = compared.time_to[step];
            return (
              <tr key={step}>
                <th scope="row">{step}</th>
                <Figure value={taken.median_ms} before={before.median_ms} />
                <Figure value={taken.p95_ms} before={before.p95_ms} />
                <td>
                  <Waiting taken={taken} isBad={step === 'contain'} />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
    <p class="empty small muted">
      <AsOf time={comparison.readAt.value} />
      {compared.sample !== undefined && ' · of a sample'}
      {compared.archived !== undefined && ' · without what is in the archive'}
    </p>
  </>
);

const Figure = ({ value, before }: { readonly value: number | null; readonly before: number | null }) => (
  <td class="number">
    {value === null ? '–' : duration(value)}
    <small>{before === null ? 'none before' : `was ${duration(before)}`}</small>
  </td>
);

const Waiting = ({ taken: { waiting, longest_waiting_ms: longest }, isBad }: WaitingProps) =>
  waiting === 0 ? (
    <span class="muted">nobody</span>
  ) : (
    <>
      <span class={isBad ? 'strong error' : 'strong'}>{grouped(waiting)} still waiting</span>
      <small>oldest {duration((longest ?? 0) + Math.max(0, now.value - comparison.readAt.value))}</small>
    </>
  );

interface WaitingProps {
  readonly taken: TimeTaken;
  /** Whether waiting is as bad as what it waits for. */
  readonly isBad: boolean;
}

const MOST_SOURCES = 5;

const Sources = ({ compared }: { readonly compared: ComparisonReading }) => {
  const since = new Date(Date.parse(compared.range.since)).toISOString();
  const shown = compared.groups.filter((group) => group.now > 0).slice(0, MOST_SOURCES);
  if (shown.length === 0) return <p class="empty muted">Nobody has reported anything.</p>;
  return (
    <ol class="ranked">
      {shown.map(({ source = '', now: count, change }) => (
        <li key={source}>
          <a href={listOf({ ...NO_FILTERS, sources: [source], since })}>
            <VerbatimLine text={source} />
          </a>
          <b>{grouped(count)}</b>
          <span class="small muted">{signed(change)}</span>
        </li>
      ))}
    </ol>
  );
};

/** The figures of the chart as a table. */
const HoursTable = ({ reading }: { readonly reading: ActivityReading }) => {
  const from = Date.parse(reading.from);
  const rows = Array.from({ length: reading.hours }, (_, hour) => ({
    at: new Date(from + hour * HOUR).toISOString(),
    until: new Date(from + (hour + 1) * HOUR).toISOString(),
    counts: SEVERITIES.map((severity) => reading.reported[severity][hour] ?? 0),
    median: reading.time_to_resolution.hourly_median_ms[hour] ?? null,
  })).filter(({ counts, median }) => median !== null || counts.some((count) => count > 0));
  return (
    <details class="figures-table">
      <summary>The figures</summary>
      <div class="scroll" tabIndex={0} role="region" aria-label="The figures">
        <table class="plain">
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
            {rows.map(({ at, until, counts, median }) => (
              <tr key={at}>
                <th scope="row">
                  <a href={listOf({ ...NO_FILTERS, since: at, until })}>
                    <Moment at={at} />
                  </a>
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
