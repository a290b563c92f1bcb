/** What the fleet itself has found: a rewritten past, a machine that is silent, a clock that is wrong. */
import { useMemo, useRef, useState } from 'preact/hooks';
import { SECOND } from '../../clock.ts';
import { counted, duration, grouped, spelled } from '../format.ts';
import { obstacleFor } from '../identity.ts';
import { announce } from '../live-region.ts';
import { useLiveResource } from '../live-resource.ts';
import { perform } from '../operator.ts';
import { AgoOrTime } from '../parts/age.tsx';
import { Machine } from '../parts/machine.tsx';
import { type ContainmentLook, ContainmentMark } from '../parts/marks.tsx';
import { Moment } from '../parts/time.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { reasonOf } from '../request.ts';
import { HeldRows } from './held-rows.tsx';
import {
  alarmsOfMachine,
  allAlarms,
  type FleetIncident,
  MOST_MACHINES,
  openAlarms,
  rewrittenPasts,
} from './live-fleet.ts';

const LOOKS: Readonly<Record<string, ContainmentLook>> = { log_diverged: 'overdue', machine_silent: 'unknown' };
const TITLES: Readonly<Record<string, string>> = {
  log_diverged: 'Past rewritten',
  machine_silent: 'Silent',
  clock_skew: 'Clock is wrong',
};

/** How many are shown first: what is below them should be seen, too. */
const MOST_SHOWN = 5;

/** A rewritten past first, then silence; of each kind what nobody has seen first, the newest first. */
const KINDS = Object.keys(TITLES);
const rankOf = ({ kind, acknowledged_at: seen }: FleetIncident): number =>
  (seen === null ? 0 : KINDS.length) + KINDS.indexOf(kind);

/** @param machine shows those of one machine only */
export const Alarms = ({ machine }: { readonly machine?: string }) => {
  const of = useMemo(() => (machine === undefined ? openAlarms : alarmsOfMachine(machine)), [machine]);
  const known = useLiveResource(of);
  const all = machine === undefined ? allAlarms.value : (known ?? []);
  const shown = all.toSorted((one, other) => rankOf(one) - rankOf(other));
  const fault = of.fault.value;
  const refresh = (): void => {
    for (const each of new Set([of, openAlarms, rewrittenPasts])) each.refresh();
  };
  if (shown.length === 0 && fault === undefined) return null;
  return (
    <section class="card alarms" aria-label="Alarms">
      <header>
        <h2>Alarms</h2>
        <span class="small muted">
          {shown.length < MOST_MACHINES ? grouped(shown.length) : `${grouped(MOST_MACHINES)} or more`} not over
        </span>
      </header>
      {known === undefined && fault !== undefined && <p class="error empty">They could not be read: {fault}</p>}
      <HeldRows
        items={shown}
        keyOf={(one) => `${one.machine} ${one.id}`}
        row={(one, key) => <Alarm key={key} one={one} onSeen={refresh} />}
        page={MOST_SHOWN}
      />
    </section>
  );
};

const Alarm = ({ one, onSeen }: { readonly one: FleetIncident; readonly onSeen: () => void }) => {
  const [isUnderWay, setUnderWay] = useState(false);
  const row = useRef<HTMLLIElement>(null);
  const { machine, id, kind, opened_at: at, acknowledged_at: seen, acknowledged_by: by, note } = one;
  const acknowledge = async (): Promise<void> => {
    setUnderWay(true);
    try {
      await perform('/api/v1/fleet/incidents/acknowledge', { machine, id });
      announce(`Acknowledged for ${machine}`);
      // Its button goes.
      row.current?.focus();
      onSeen();
    } catch (error) {
      announce(`Not acknowledged: ${reasonOf(error)}`);
    } finally {
      setUnderWay(false);
    }
  };
  const obstacle = obstacleFor(['operator']);
  return (
    <li ref={row} tabIndex={-1}>
      <ContainmentMark look={LOOKS[kind] ?? 'none'}>{TITLES[kind] ?? spelled(kind)}</ContainmentMark>
      <span>
        <Machine name={machine} />{' '}
        <span class="small muted">
          <Found one={one} />
        </span>
        {note !== null && (
          <span class="small">
            {' '}
            “<Verbatim text={note} longest={300} />”
          </span>
        )}
      </span>
      <span class="small muted">
        <AgoOrTime at={at} />
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

/** What the fleet found, in words. */
const Found = ({ one: { kind, detail } }: { readonly one: FleetIncident }) => {
  const number = (name: string): number | undefined => {
    const value = detail[name];
    return typeof value === 'number' ? value : undefined;
  };
  const heard = detail['heard_at'];
  if (kind === 'machine_silent' && typeof heard === 'string') {
    return (
      <>
        was heard last at <Moment at={heard} />; it counts as silent after{' '}
        {duration((number('silent_after_seconds') ?? 0) * SECOND)}
      </>
    );
  }
  if (kind === 'clock_skew') {
    const skew = number('clock_skew_ms') ?? 0;
    return (
      <>
        is {duration(Math.abs(skew))} {skew > 0 ? 'ahead' : 'behind'}; {duration(number('most_ms') ?? 0)} may be
      </>
    );
  }
  if (kind === 'log_diverged') {
    const [at, held, times] = [number('first_differing_seq'), number('held_through'), number('times')];
    return (
      <>
        {DIVERGED[String(detail['why'])] ?? 'sends another log than the fleet holds'}
        {at !== undefined && `, from entry ${grouped(at)} on`}
        {held !== undefined &&
          `; the fleet holds ${counted(held, 'entry', 'entries')} of the other history, and keeps both`}
        {times !== undefined && times > 1 && `; ${grouped(times)} times`}
      </>
    );
  }
  return <Members of={detail} />;
};

/** How a log is not the one that the fleet holds. */
const DIVERGED: Readonly<Record<string, string>> = {
  rewritten: 'sends other entries than the fleet holds',
  cut: 'sends a log that is shorter than it was',
  new_log: 'has begun another log',
  missing: 'lacks entries that its log had',
  returned: 'has gone back to an earlier history',
};

/** What a later fleet may find: the plain members of what it says. */
const Members = ({ of }: { readonly of: FleetIncident['detail'] }) => (
  <>
    {Object.entries(of)
      .filter(([, value]) => typeof value === 'string' || typeof value === 'number')
      .map(([name, value], index) => (
        <span key={name}>
          {index > 0 && ' · '}
          {name.replaceAll('_', ' ')} <Verbatim text={String(value)} longest={80} />
        </span>
      ))}
  </>
);
