import { useMemo, useState } from 'preact/hooks';
import { NO_FILTERS, partsOfLabel, readFilters } from '../filters.ts';
import { counted, grouped } from '../format.ts';
import { useLiveResource } from '../live-resource.ts';
import { ContainmentMark } from '../parts/marks.tsx';
import { Verbatim, VerbatimLine } from '../parts/verbatim.tsx';
import { fragmentOf, goTo, listOf, route } from '../route.ts';
import { Alarms } from './alarms.tsx';
import { FindMachines, isFound } from './find-machines.tsx';
import { Cell, Columns, FleetPage } from './fleet-page.tsx';
import { HeldRows } from './held-rows.tsx';
import { knownLabels } from './known-labels.ts';
import { type FleetMachine, fleetMachines, MOST_MACHINES, machinesWith } from './live-fleet.ts';
import { Heard, LabelsOf, LogOf, PolicyOf, PostureOf } from './machine-facts.tsx';
import { MachineView } from './machine-view.tsx';

/** The machines of the fleet: the ones that need somebody first. One of them with all about it, when it is open. */
export const MachinesView = () => {
  const { id } = route.value;
  return id === undefined ? <Machines /> : <MachineView key={id} machine={id} />;
};

const Machines = () => {
  const { query } = route.value;
  const [typed, setTyped] = useState('');
  const { labels = [] } = useMemo(() => readFilters(query), [query]);
  const isIn = ({ labels: own }: FleetMachine): boolean =>
    labels.map(partsOfLabel).every(([name, value]) => own[name] === value);
  // The labels to choose from are those of all machines.
  const isAll = (useLiveResource(fleetMachines)?.length ?? 0) < MOST_MACHINES;
  const of = useMemo(
    () => (isAll || labels.length === 0 ? fleetMachines : machinesWith(labels)),
    [isAll, labels.join(' ')],
  );
  return (
    <FleetPage
      key={isAll ? '' : labels.join(' ')}
      title="Machines"
      of={of}
      sum={(all) => <Sum machines={all.filter(isIn)} />}
      children={(all) => {
        const shown = all
          .filter((one) => isIn(one) && isFound(one, typed))
          .toSorted((one, other) => rankOf(one) - rankOf(other));
        return (
          <>
            <Alarms />
            <FindMachines typed={typed} onType={setTyped} found={shown.length} />
            <Labels chosen={labels} />
            <section class="card rows machines" aria-label="Machines">
              <Columns names={['Machine', 'Last heard', 'Log', 'Policy', 'Asked for', 'Incidents']} />
              {shown.length === 0 && (
                <p class="empty muted">
                  {all.length === 0 && labels.length === 0 ? (
                    <>
                      No machine that you see is enrolled yet. At the fleet,{' '}
                      <code>incident-recorder fleet enrol NAME</code> (<code>incident-fleet enrol NAME</code>) prints a
                      secret that admits one.
                    </>
                  ) : (
                    'No machine has these labels and this name.'
                  )}
                </p>
              )}
              <HeldRows
                items={shown}
                keyOf={({ machine }) => machine}
                row={(one, key) => <MachineRow key={key} one={one} />}
                subject={`${query} ${typed}`}
              />
              {all.length >= MOST_MACHINES && (
                <p class="empty muted">
                  These are of the first {grouped(MOST_MACHINES)} machines only. Choose a label to see others
                  {typed.trim() !== '' && (
                    <>
                      , or{' '}
                      <a class="inline" href={fragmentOf({ view: 'machines', id: typed.trim(), query: '' })}>
                        open the machine <Verbatim text={typed.trim()} />
                      </a>
                    </>
                  )}
                  .
                </p>
              )}
            </section>
          </>
        );
      }}
    />
  );
};

/** A rewritten past first, then silence, then what differs. */
const rankOf = ({ diverged, silent, policy, posture, revoked_at: revoked }: FleetMachine): number => {
  if (revoked !== null) return 5;
  if (diverged !== null) return 0;
  if (silent) return 1;
  if (posture.some(({ overdue }) => overdue > 0)) return 2;
  return policy.differs ? 3 : 4;
};

const Sum = ({ machines }: { readonly machines: readonly FleetMachine[] }) => {
  const count = (is: (one: FleetMachine) => boolean): number => machines.filter(is).length;
  const [diverged, silent, differing] = [
    count((one) => one.diverged !== null),
    count(({ silent: is }) => is),
    count(({ policy }) => policy.differs),
  ];
  return (
    <>
      <span class="strong">
        {machines.length < MOST_MACHINES ? counted(machines.length, 'machine') : `the first ${grouped(MOST_MACHINES)}`}
      </span>
      {diverged > 0 && <ContainmentMark look="overdue">{grouped(diverged)} with a rewritten past</ContainmentMark>}
      {silent > 0 && <ContainmentMark look="unknown">{grouped(silent)} silent</ContainmentMark>}
      {differing > 0 && <span class="muted">{grouped(differing)} with another policy</span>}
    </>
  );
};

/** The labels that machines have: a choice shows only those with it. */
const Labels = ({ chosen }: { readonly chosen: readonly string[] }) => {
  if (knownLabels.value.length === 0) return null;
  const toggle = (label: string) => (): void => {
    const [name] = partsOfLabel(label);
    const others = chosen.filter((other) => partsOfLabel(other)[0] !== name);
    const labels = chosen.includes(label) ? chosen.filter((other) => other !== label) : [...others, label];
    const query = listOf({ ...NO_FILTERS, labels }).split('?')[1] ?? '';
    goTo(fragmentOf({ view: 'machines', query }), 'replace');
  };
  return (
    <p class="labels" role="group" aria-label="Labels">
      {knownLabels.value.slice(0, MOST_LABELS).map(({ label, machines }) => (
        <button key={label} type="button" class="sm" aria-pressed={chosen.includes(label)} onClick={toggle(label)}>
          {label} <small>{grouped(machines)}</small>
        </button>
      ))}
    </p>
  );
};
const MOST_LABELS = 24;

const MachineRow = ({ one }: { readonly one: FleetMachine }) => (
  <li class={one.diverged !== null ? 'bad' : ''}>
    <div class="said name">
      <a class="strong" href={fragmentOf({ view: 'machines', id: one.machine, query: '' })}>
        <VerbatimLine text={one.name} />
      </a>
      <LabelsOf labels={one.labels} />
    </div>
    <Cell label="Last heard">
      <Heard one={one} />
    </Cell>
    <Cell label="Log">
      <LogOf one={one} />
    </Cell>
    <Cell label="Policy">
      <PolicyOf one={one} />
    </Cell>
    <Cell label="Asked for">
      <PostureOf one={one} />
    </Cell>
    <Cell label="Incidents">
      <IncidentsOf one={one} />
    </Cell>
  </li>
);

const IncidentsOf = ({ one: { incidents, machine, commands } }: { readonly one: FleetMachine }) => (
  <>
    <a href={listOf({ ...NO_FILTERS, attention: true, machines: [machine] })}>
      {incidents.attention === 0 ? 'none needs attention' : `${grouped(incidents.attention)} need attention`}
    </a>
    <p class="small muted">
      {grouped(incidents.unresolved)} not resolved
      {commands.pending > 0 && ` · ${counted(commands.pending, 'command')} under way`}
    </p>
  </>
);
