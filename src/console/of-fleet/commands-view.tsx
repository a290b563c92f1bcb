import { useEffect, useState } from 'preact/hooks';
import { SECOND } from '../../clock.ts';
import type { FleetCommand } from '../fleet-command.ts';
import { counted } from '../format.ts';
import { keyOfIncident } from '../incident-key.ts';
import type { FleetBulkAct } from '../incidents/send-bulk.ts';
import { LiveResource, useLiveResource } from '../live-resource.ts';
import { AgoOrTime } from '../parts/age.tsx';
import { Machine } from '../parts/machine.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { fragmentOf } from '../route.ts';
import { ActProgress } from './act-progress.tsx';
import { BulkActDialog } from './bulk-act-dialog.tsx';
import { ActDialog, type ActKind, type LabelAct, whatOf } from './by-label-dialog.tsx';
import { CommandFate } from './command-fate.tsx';
import { Cell, Columns, FleetPage } from './fleet-page.tsx';
import { HeldRows } from './held-rows.tsx';

const listAt = <One,>(path: string) =>
  new LiveResource<readonly One[]>(
    () => path,
    () => true,
    2 * SECOND,
  );

const commands = listAt<FleetCommand>('/api/v1/commands');
const acts = listAt<LabelAct>('/api/v1/acts');
const releases = listAt<LabelAct>('/api/v1/containment/by-label/release/acts');
const silenceActs = listAt<LabelAct>('/api/v1/silences/by-label/acts');
const bulkActs = listAt<FleetBulkAct>('/api/v1/incidents/bulk');

/** How often commands are read while one is under way: a refusal leaves no entry in a log. */
const FOLLOW_EVERY = 3 * SECOND;

/** What was asked of machines, and what became of it, the newest first. */
export const CommandsView = () => {
  const isWaiting = commands.value.value?.some(({ status }) => status === 'pending') ?? false;
  useEffect(() => {
    if (!isWaiting) return undefined;
    const timer = setInterval(() => commands.refresh(), FOLLOW_EVERY);
    return () => clearInterval(timer);
  }, [isWaiting]);
  return (
    <FleetPage
      title="Commands"
      of={commands}
      sum={(all) => {
        const pending = all.filter(({ status }) => status === 'pending').length;
        return pending === 0 ? null : <span class="strong">{counted(pending, 'command')} under way</span>;
      }}
      children={(all) => (
        <>
          <ActsByLabel />
          <BulkActs />
          <section class="card rows commands-of-fleet" aria-label="Commands">
            <Columns names={['Command', 'Machine', 'Fate', 'By']} />
            {all.length === 0 && <p class="empty muted">Nobody has asked anything of a machine yet.</p>}
            <HeldRows items={all} keyOf={({ id }) => id} row={(one, key) => <CommandRow key={key} one={one} />} />
          </section>
        </>
      )}
    />
  );
};

const CommandRow = ({ one }: { readonly one: FleetCommand }) => {
  const { id, command, machine, incident, status, reason, by, role, issued_at: at, fetched_at: fetched } = one;
  return (
    <li>
      <div class="said name">
        <code class="strong">{command}</code>
        <p class="small muted">
          {incident === null || incident === undefined ? (
            <code>{id}</code>
          ) : (
            <a href={fragmentOf({ view: 'incidents', id: keyOfIncident(incident, machine), query: '' })}>
              <code>{incident}</code>
            </a>
          )}
        </p>
      </div>
      <Cell label="Machine">
        <Machine name={machine} />
      </Cell>
      <Cell label="Fate">
        <CommandFate status={status} />
        <p class="small muted">
          {status === 'pending' && (
            <>
              {fetched === null ? 'not fetched yet' : 'fetched, not answered yet'} · expires{' '}
              <AgoOrTime at={one.expires_at} />
            </>
          )}
          {reason !== null && <Verbatim text={reason} longest={300} />}
        </p>
      </Cell>
      <Cell label="By">
        {by} <span class="muted">({role})</span>
        <p class="small muted">
          <AgoOrTime at={at} />
        </p>
      </Cell>
    </li>
  );
};

/** What was asked of all machines with a label. */
const ActsByLabel = () => {
  const contained = useLiveResource(acts) ?? [];
  const released = useLiveResource(releases) ?? [];
  const silenced = useLiveResource(silenceActs) ?? [];
  const [open, setOpen] = useState<{ readonly of: ActKind; readonly act: string }>();
  const known = [
    ...contained.map((one) => ({ ...one, of: 'contain' as const })),
    ...released.map((one) => ({ ...one, of: 'release' as const })),
    ...silenced.map((one) => ({ ...one, of: 'silence' as const })),
  ].toSorted((one, other) => (one.at < other.at ? 1 : -1));
  if (known.length === 0) return null;
  return (
    <section class="card" aria-label="By label">
      <header>
        <h2>By label</h2>
      </header>
      <ul class="acts-by-label">
        {known.map((one) => (
          <li key={one.act}>
            <button type="button" class="link" onClick={() => setOpen(one)}>
              {whatOf(one, one.of)}
            </button>{' '}
            <span>
              <ActProgress of={one} />
            </span>{' '}
            <span class="small muted">
              by {one.by}, <AgoOrTime at={one.at} />
            </span>
          </li>
        ))}
      </ul>
      {open !== undefined && <ActDialog kind={open.of} act={open.act} onClose={() => setOpen(undefined)} />}
    </section>
  );
};

/** What was asked of many incidents at once. */
const BulkActs = () => {
  const known = useLiveResource(bulkActs) ?? [];
  const [open, setOpen] = useState<string>();
  if (known.length === 0) return null;
  return (
    <section class="card" aria-label="On many incidents">
      <header>
        <h2>On many incidents</h2>
      </header>
      <ul class="acts-by-label">
        {known.map((one) => (
          <li key={one.act}>
            <button type="button" class="link" onClick={() => setOpen(one.act)}>
              {one.command} {counted(one.count, 'incident')}
            </button>{' '}
            <span>
              <ActProgress of={one} />
            </span>{' '}
            <span class="small muted">
              by {one.by}, <AgoOrTime at={one.at} />
            </span>
          </li>
        ))}
      </ul>
      {open !== undefined && <BulkActDialog act={open} onClose={() => setOpen(undefined)} />}
    </section>
  );
};
