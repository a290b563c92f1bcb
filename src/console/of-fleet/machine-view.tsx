import type { ComponentChildren } from 'preact';
import { useMemo } from 'preact/hooks';
import { SECOND } from '../../clock.ts';
import { NO_FILTERS } from '../filters.ts';
import { counted, grouped } from '../format.ts';
import { LiveResource, useLiveResource } from '../live-resource.ts';
import { Moment } from '../parts/time.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { fragmentOf, listOf } from '../route.ts';
import { Alarms } from './alarms.tsx';
import { FleetPage } from './fleet-page.tsx';
import type { FleetMachine } from './live-fleet.ts';
import { Heard, LabelsOf, LogOf, PolicyOf, PostureOf } from './machine-facts.tsx';

interface HistoryOfLog {
  readonly log: string;
  readonly identity: string | null;
  readonly active: boolean;
  readonly through: number;
  readonly first_at: string | null;
  readonly last_at: string | null;
  readonly diverged_from: string | null;
  readonly diverged_at_seq: number | null;
}

type MachineDetail = FleetMachine & { readonly logs?: readonly HistoryOfLog[] };

interface PolicyReading {
  readonly usual: { readonly digest: string; readonly machines: number } | null;
  readonly differs: boolean;
  readonly changes: readonly { readonly path: string; readonly usual: unknown; readonly here: unknown }[];
  /** Null while the text of one of both is not known. */
  readonly diff: string | null;
}

/** One machine: how it stands, its alarms, its logs, and where its policy differs from the rest. */
export const MachineView = ({ machine }: { readonly machine: string }) => {
  const path = `/api/v1/machines/${encodeURIComponent(machine)}`;
  const detail = useMemo(
    () =>
      new LiveResource<MachineDetail>(
        () => path,
        () => true,
        2 * SECOND,
      ),
    [path],
  );
  return (
    <FleetPage
      title={machine}
      of={detail}
      sum={(one) => (
        <>
          {one.name !== machine && (
            <span class="strong">
              <Verbatim text={one.name} longest={200} />
            </span>
          )}
          <LabelsOf labels={one.labels} />
        </>
      )}
      children={(one) => (
        <>
          <p>
            <a href={fragmentOf({ view: 'machines', query: '' })}>All machines</a>
            {' · '}
            <a href={listOf({ ...NO_FILTERS, machines: [machine] })}>Its incidents</a>
            {' · '}
            <a href={fragmentOf({ view: 'posture', id: machine, query: '' })}>Its posture</a>
            {' · '}
            <a href={fragmentOf({ view: 'audit', id: machine, query: '' })}>Its log</a>
          </p>
          <Alarms machine={machine} />
          <section class="card" aria-label="How it stands">
            <header>
              <h2>How it stands</h2>
            </header>
            <dl class="facts">
              <Fact name="Last heard">
                <Heard one={one} />
              </Fact>
              <Fact name="Log">
                <LogOf one={one} />
              </Fact>
              <Fact name="Policy">
                <PolicyOf one={one} />
              </Fact>
              <Fact name="Asked for">
                <PostureOf one={one} />
              </Fact>
              <Fact name="Health">
                <Health one={one} />
              </Fact>
              {one.enrolled_at !== null && (
                <Fact name="Enrolled">
                  <Moment at={one.enrolled_at} />
                </Fact>
              )}
            </dl>
          </section>
          {(one.logs?.length ?? 0) > 1 && <Histories logs={one.logs ?? []} />}
          {one.policy.digest !== null && <PolicyDiff key={one.policy.digest} path={path} />}
        </>
      )}
    />
  );
};

const Fact = ({ name, children }: { readonly name: string; readonly children: ComponentChildren }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);

const Health = ({ one: { health } }: { readonly one: FleetMachine }) => {
  if (health === null) return <span class="muted">not known</span>;
  const said = [...(health.reasons ?? []), ...(health.warnings ?? [])];
  return (
    <>
      {health.status}
      {said.map((text) => (
        <p key={text} class="small">
          <Verbatim text={text} longest={300} />
        </p>
      ))}
    </>
  );
};

/** The histories of its log, where it has several: none of them is ever overwritten. */
const Histories = ({ logs }: { readonly logs: readonly HistoryOfLog[] }) => (
  <section class="card" aria-label="Histories">
    <header>
      <h2>Histories of its log</h2>
      <span class="small muted">all are kept</span>
    </header>
    <ul class="histories">
      {logs.map(({ log, active, through, last_at: last, diverged_from: from, diverged_at_seq: at }) => (
        <li key={log}>
          <code>{log.slice(0, 16)}</code> {counted(through, 'entry', 'entries')}
          {active && <b> · goes on</b>}
          {from !== null && ` · parts from ${from.slice(0, 16)} at entry ${grouped(at ?? 0)}`}
          {last !== null && (
            <span class="small muted">
              {' '}
              · last <Moment at={last} />
            </span>
          )}
        </li>
      ))}
    </ul>
  </section>
);

/** Where its policy differs from that of most machines. */
const PolicyDiff = ({ path }: { readonly path: string }) => {
  const policy = useMemo(
    () =>
      new LiveResource<PolicyReading>(
        () => `${path}/policy`,
        ({ event }) => event === 'policy.reloaded',
      ),
    [path],
  );
  const known = useLiveResource(policy);
  const fault = policy.fault.value;
  return (
    <section class="card" aria-label="Policy">
      <header>
        <h2>Policy</h2>
        {known?.differs === true && known.usual !== null && (
          <span class="small muted">
            beside {known.usual.digest.slice(0, 8)}, which {counted(known.usual.machines, 'other has', 'others have')}
          </span>
        )}
      </header>
      {fault !== undefined && known === undefined && <p class="error empty">It could not be read: {fault}</p>}
      {known !== undefined && !known.differs && <p class="empty muted">As the rest of the fleet has it.</p>}
      {known?.differs === true && known.diff === null && (
        <p class="empty muted">It differs from the rest. How is not known: the fleet has not read both.</p>
      )}
      {known?.differs === true && known.diff !== null && (
        <pre class="diff" tabIndex={0} aria-label="How it differs">
          {known.diff.split('\n').map((line, index) => (
            <span key={index} class={line.startsWith('+') ? 'added' : line.startsWith('-') ? 'removed' : ''}>
              {line}
              {'\n'}
            </span>
          ))}
        </pre>
      )}
    </section>
  );
};
