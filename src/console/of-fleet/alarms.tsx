/** What the fleet itself has found: a rewritten past, a machine that is silent, a clock that is wrong. */
import { useState } from 'preact/hooks';
import { spelled } from '../format.ts';
import { obstacleFor } from '../identity.ts';
import { announce } from '../live-region.ts';
import { useLiveResource } from '../live-resource.ts';
import { perform } from '../operator.ts';
import { Machine } from '../parts/machine.tsx';
import { type ContainmentLook, ContainmentMark } from '../parts/marks.tsx';
import { Ago, Moment } from '../parts/time.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { reasonOf } from '../request.ts';
import { type FleetIncident, openAlarms } from './live-fleet.ts';

const LOOKS: Readonly<Record<string, ContainmentLook>> = { log_diverged: 'overdue', machine_silent: 'unknown' };
const TITLES: Readonly<Record<string, string>> = {
  log_diverged: 'Past rewritten',
  machine_silent: 'Silent',
  clock_skew: 'Clock is wrong',
};

/** @param machine shows those of one machine only */
export const Alarms = ({ machine }: { readonly machine?: string }) => {
  const known = useLiveResource(openAlarms);
  const shown = known?.filter((one) => machine === undefined || one.machine === machine) ?? [];
  const fault = openAlarms.fault.value;
  if (shown.length === 0 && fault === undefined) return null;
  return (
    <section class="card alarms" aria-label="Alarms">
      <header>
        <h2>Alarms</h2>
      </header>
      {fault !== undefined && <p class="error empty">They could not be read: {fault}</p>}
      <ul>
        {shown.map((one) => (
          <Alarm key={`${one.machine} ${one.id}`} one={one} />
        ))}
      </ul>
    </section>
  );
};

const Alarm = ({ one }: { readonly one: FleetIncident }) => {
  const [isUnderWay, setUnderWay] = useState(false);
  const { machine, id, kind, opened_at: at, acknowledged_at: seen, acknowledged_by: by, note, detail } = one;
  const acknowledge = async (): Promise<void> => {
    setUnderWay(true);
    try {
      await perform('/api/v1/fleet/incidents/acknowledge', { machine, id });
      announce(`Acknowledged for ${machine}`);
      openAlarms.refresh();
    } catch (error) {
      announce(`Not acknowledged: ${reasonOf(error)}`);
    } finally {
      setUnderWay(false);
    }
  };
  const obstacle = obstacleFor(['operator']);
  return (
    <li>
      <ContainmentMark look={LOOKS[kind] ?? 'none'}>{TITLES[kind] ?? spelled(kind)}</ContainmentMark>
      <span>
        <Machine name={machine} />{' '}
        <span class="small muted">
          <Found detail={detail} />
        </span>
        {note !== null && (
          <span class="small">
            {' '}
            “<Verbatim text={note} longest={300} />”
          </span>
        )}
      </span>
      <span class="small muted">
        <Ago at={at} />
      </span>
      {seen === null ? (
        <button
          type="button"
          class="sm"
          disabled={isUnderWay || obstacle !== undefined}
          title={obstacle === undefined ? undefined : `This ${obstacle}`}
          onClick={() => void acknowledge()}
        >
          Acknowledge
        </button>
      ) : (
        <span class="small muted">seen{by !== null && ` by ${by}`}</span>
      )}
    </li>
  );
};

/** What the fleet found: the plain members, times as moments. */
const Found = ({ detail }: Pick<FleetIncident, 'detail'>) => (
  <>
    {Object.entries(detail)
      .filter(([name, value]) => ['string', 'number'].includes(typeof value) && !UNSAID.has(name))
      .map(([name, value], index) => (
        <span key={name}>
          {index > 0 && ' · '}
          {name.replaceAll('_', ' ')}{' '}
          {name.endsWith('_at') && typeof value === 'string' ? (
            <Moment at={value} />
          ) : (
            <Verbatim text={String(value)} longest={80} />
          )}
        </span>
      ))}
  </>
);

/** What is the same for all. */
const UNSAID = new Set(['silent_after_seconds']);
