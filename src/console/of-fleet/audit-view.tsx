import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { SECOND } from '../../clock.ts';
import { AuditFilter } from '../audit/audit-filter.tsx';
import { auditLines, doerOf, isFiltered, isNoise, readAuditFilters } from '../audit/audit-lines.ts';
import { Verification } from '../audit/audit-view.tsx';
import { EntryRows } from '../audit/entry-rows.tsx';
import type { LoggedLine } from '../audit/log-range.ts';
import { counted, grouped } from '../format.ts';
import { listen } from '../live-entries.ts';
import { useLiveResource } from '../live-resource.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Notice } from '../parts/notice.tsx';
import { VerbatimLine } from '../parts/verbatim.tsx';
import { reasonOf } from '../request.ts';
import { fragmentOf, route } from '../route.ts';
import { FindMachines, isFound } from './find-machines.tsx';
import { FleetPage } from './fleet-page.tsx';
import { HeldRows } from './held-rows.tsx';
import { fleetMachines } from './live-fleet.ts';
import { LabelsOf } from './machine-facts.tsx';
import { readMachineLog } from './machine-log.ts';

/** Entries in one read: the first, and of somebody who looks for something. */
const PAGE = 100;
const FAR = 500;
/** The most entries on the page. */
const MOST_SHOWN = 5000;
const MOST_PEOPLE = 50;
/** How long after an entry the new ones are read: more may follow it. */
const READ_AFTER = SECOND / 2;

/** The log of one machine; which one, when none is open. */
export const FleetAuditView = () => {
  const { id } = route.value;
  return id === undefined ? <ChooseMachine /> : <MachineAudit key={id} machine={id} />;
};

const ChooseMachine = () => {
  const [typed, setTyped] = useState('');
  return (
    <FleetPage
      title="Audit"
      of={fleetMachines}
      children={(all) => {
        const found = all.filter((one) => isFound(one, typed));
        return (
          <>
            <FindMachines typed={typed} onType={setTyped} found={found.length} />
            <section class="card rows logs" aria-label="Logs">
              <header>
                <h2>The log of which machine?</h2>
                <span class="small muted">Needs the role auditor.</span>
              </header>
              {found.length === 0 && (
                <p class="empty muted">
                  {all.length === 0 ? 'No machine is enrolled yet.' : 'No machine has this name.'}
                </p>
              )}
              <HeldRows
                items={found}
                keyOf={({ machine }) => machine}
                row={({ machine, name, held, labels }, key) => (
                  <li key={key}>
                    <a href={fragmentOf({ view: 'audit', id: machine, query: '' })}>
                      <VerbatimLine text={name} />
                    </a>
                    <LabelsOf labels={labels} />
                    <span class="small muted">{counted(held, 'entry', 'entries')}</span>
                  </li>
                )}
                subject={typed}
              />
            </section>
          </>
        );
      }}
    />
  );
};

/** The raw lines of a machine: what the fleet holds of its log, with verification in this browser. */
const MachineAudit = ({ machine }: { readonly machine: string }) => {
  const lines = useSignal<readonly LoggedLine[]>([]);
  const places = useSignal({ first: 1, last: 0, log: '' });
  const fault = useSignal<string | undefined>(undefined);
  const isReading = useSignal(false);
  const unfolded = useSignal<ReadonlySet<string>>(new Set());
  const abort = useMemo(() => new AbortController(), []);
  const { query } = route.value;
  const filters = useMemo(() => readAuditFilters(query), [query]);
  const known = useLiveResource(fleetMachines)?.find((one) => one.machine === machine);

  const read = async (from: number | undefined, count: number): Promise<void> => {
    if (isReading.peek()) return;
    isReading.value = true;
    try {
      const { lines: more, ...rest } = await readMachineLog(machine, from, count, abort.signal);
      places.value = rest;
      const all = new Map([...lines.peek(), ...more].map((one) => [one.entry.data.seq, one]));
      const inOrder = [...all.values()].toSorted((one, other) => one.entry.data.seq - other.entry.data.seq);
      lines.value = inOrder.slice(0, MOST_SHOWN);
      fault.value = undefined;
    } catch (error) {
      if (!abort.signal.aborted) fault.value = reasonOf(error);
    } finally {
      isReading.value = false;
    }
  };
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    void read(undefined, PAGE);
    const stop = listen((entry) => {
      if ((entry as { readonly machine?: string }).machine !== machine) return;
      timer ??= setTimeout(() => {
        timer = undefined;
        const last = lines.peek().at(-1)?.entry.data.seq;
        if (last !== undefined) void read(last + 1, FAR);
      }, READ_AFTER);
    });
    return () => {
      stop();
      clearTimeout(timer);
      abort.abort();
    };
  }, []);

  const all = useMemo(() => auditLines(lines.value, filters, unfolded.value), [lines.value, filters, unfolded.value]);
  const first = lines.value[0]?.entry.data.seq ?? 1;
  const noise = useMemo(() => lines.value.filter(({ entry }) => isNoise(entry)).length, [lines.value]);
  const people = useMemo(
    () => [...new Set(lines.value.map(({ entry }) => doerOf(entry)).flatMap((one) => (one.isPerson ? one.name : [])))],
    [lines.value],
  );
  const step = isFiltered(filters) ? FAR : PAGE;
  const older = Math.min(step, first - places.value.first);
  const head = lines.value.at(-1)?.entry;
  return (
    <div class="audit">
      <h1 class="unseen">Audit log of {machine}</h1>
      <div class="strip">
        <section class="chain" aria-label="Chain">
          <span>
            <a class="inline" href={fragmentOf({ view: 'audit', query: '' })}>
              All logs
            </a>{' '}
            · the log of{' '}
            <a class="inline" href={fragmentOf({ view: 'machines', id: machine, query: '' })}>
              {machine}
            </a>{' '}
            <span class="small muted">
              as the fleet holds it
              {known !== undefined &&
                (known.hashes === 'verified' ? ', each hash verified with its key' : ', links verified, hashes not')}
            </span>
          </span>
          {head !== undefined && (
            <span class="small muted">
              Head {grouped(head.data.seq)}{' '}
              <code class="hash" title={head.entry_hash}>
                {head.entry_hash.slice(0, 12)}…
              </code>
              <CopyButton text={() => `${head.data.seq}:${head.entry_hash}`} what="the head as an anchor" />
            </span>
          )}
          <span class="small muted">
            log <code>{places.value.log.slice(0, 12)}</code>
          </span>
        </section>
        <Verification lines={lines.value} />
      </div>
      <AuditFilter filters={filters} noise={noise} people={people.slice(0, MOST_PEOPLE)} />
      <section class="entries-place" aria-label="Entries" tabIndex={0}>
        {fault.value !== undefined && (
          <Notice kind="fault" title="The log could not be read">
            <p>{fault.value}</p>
            <button type="button" onClick={() => void read(lines.peek().length === 0 ? undefined : first, PAGE)}>
              Try again
            </button>
          </Notice>
        )}
        {lines.value.length === 0 && fault.value === undefined && <Notice kind="busy" title="Reading the log…" />}
        {lines.value.length > 0 && all.length === 0 && (
          <Notice kind="empty" title="No entry matches">
            <p>
              Entries {grouped(first)} to {grouped(head?.data.seq ?? 0)} were looked at.
            </p>
          </Notice>
        )}
        {all.length > 0 && (
          <EntryRows lines={all} onUnfold={(key) => (unfolded.value = new Set([...unfolded.value, key]))} />
        )}
        {older > 0 && lines.value.length > 0 && lines.value.length < MOST_SHOWN && (
          <p class="older">
            <button type="button" class="sm" disabled={isReading.value} onClick={() => void read(first - older, older)}>
              {isReading.value ? 'Reading…' : `Read ${older} older`}
            </button>
          </p>
        )}
      </section>
      <footer class="audit-foot small">
        <span role="status">
          <b>{counted(places.value.last, 'entry', 'entries')}</b>
          {lines.value.length > 0 && `, of ${grouped(first)} to ${grouped(head?.data.seq ?? 0)}`}
          {!filters.noise && noise > 0 && ` · ${counted(noise, 'delivery entry', 'delivery entries')} hidden`}
        </span>
      </footer>
    </div>
  );
};
