/** What follows from a command, said before it is given: which incidents it takes, and which actions end with them. */
import { useEffect, useState } from 'preact/hooks';
import type { ContainmentAction } from '../../../machines/vocabulary.ts';
import { counted, grouped } from '../format.ts';
import { nameOfIncident } from '../incident-key.ts';
import { read } from '../operator.ts';
import { ContainmentShape, SeverityMark, StateMark } from '../parts/marks.tsx';
import { reasonOf, Refusal } from '../request.ts';
import { listOf } from '../route.ts';
import { NO_FILTERS } from '../filters.ts';
import type { IncidentRow } from './incident-row.ts';

/** What becomes of an action that the incidents hold. */
export interface ActionPreview {
  /** At a fleet: where. */
  readonly machine?: string;
  readonly action: ContainmentAction;
  readonly releases: boolean;
  /** How many incidents hold it, and how many of them are others than these. */
  readonly holders: number;
  readonly others: number;
}

interface Known {
  readonly actions: readonly ActionPreview[];
  /** The machines of a fleet that are silent, or behind: there it may be otherwise by now. */
  readonly uncertain?: readonly { readonly machine: string; readonly silent: boolean; readonly behind: number }[];
  /** The actions that each holds, and whether it takes the command now. */
  readonly incidents?: readonly {
    readonly machine?: string;
    readonly possible: boolean;
    readonly actions: readonly ContainmentAction[];
  }[];
}

export interface Preview {
  readonly known?: Known;
  readonly fault?: string;
}

/** What the address of one request holds. */
const MOST_IDS = 100;
/** How many actions are named: at a fleet they may be on many machines. */
const MOST_SHOWN = 20;

/** What resolving these incidents releases; nothing is asked for none. */
export const usePreview = (ids: readonly string[]): Preview => {
  const [preview, setPreview] = useState<Preview>({});
  const key = ids.join();
  useEffect(() => {
    if (ids.length === 0) return undefined;
    const ends = new AbortController();
    previewOf(ids, ends.signal).then(
      (known) => setPreview({ known }),
      (error: unknown) => {
        if (ends.signal.aborted) return;
        const isOlder = error instanceof Refusal && error.status === 404;
        setPreview({ fault: isOlder ? 'this service does not say' : reasonOf(error) });
      },
    );
    return () => ends.abort();
  }, [key]);
  return preview;
};

/** More than fit into one request are asked in several, and added up: the last of them may still not be the last. */
const previewOf = async (ids: readonly string[], ends: AbortSignal): Promise<Known> => {
  const parts: Known[] = [];
  // At a fleet each machine is asked about by itself: two may have the same identifiers.
  for (const [machine, some] of Map.groupBy(
    ids.map((key) => nameOfIncident(key)),
    (name) => name.machine,
  )) {
    for (let at = 0; at < some.length; at += MOST_IDS) {
      const query = new URLSearchParams(some.slice(at, at + MOST_IDS).map(({ id }) => ['id', id]));
      if (machine !== undefined) query.set('machine', machine);
      parts.push((await read<Known>(`/api/v1/containment/preview?${query.toString()}&command=resolve`, ends)).body);
    }
  }
  const refusing = parts.flatMap(({ incidents = [] }) => incidents).filter(({ possible }) => !possible);
  const byAction = Map.groupBy(
    parts.flatMap(({ actions }) => actions),
    ({ action, machine = '' }) => `${action} ${machine}`,
  );
  const actions = [...byAction.values()].map((some): ActionPreview => {
    const { action, machine } = some[0]!;
    const holders = Math.max(...some.map((one) => one.holders));
    const mine = some.reduce((sum, one) => sum + one.holders - one.others, 0);
    const others = Math.max(0, holders - mine);
    const isHeld = refusing.some((one) => one.machine === machine && one.actions.includes(action));
    return { ...(machine !== undefined && { machine }), action, holders, others, releases: others === 0 && !isHeld };
  });
  const uncertain = new Map(parts.flatMap((part) => part.uncertain ?? []).map((one) => [one.machine, one]));
  return {
    uncertain: [...uncertain.values()],
    actions: actions.toSorted((one, other) => Number(other.releases) - Number(one.releases)),
  };
};

/** How many machines are named. */
const MOST_MACHINES = 5;

/** Where it may be otherwise by now. */
const Uncertain = ({ machines }: { readonly machines: NonNullable<Known['uncertain']> }) => {
  if (machines.length === 0) return null;
  const named = machines
    .slice(0, MOST_MACHINES)
    .map(
      ({ machine, silent, behind }) =>
        `${machine} ${silent ? 'is silent' : `is ${counted(behind, 'entry', 'entries')} behind`}`,
    );
  const more = machines.length - named.length;
  return (
    <p class="error" role="status">
      {named.join(', ')}
      {more > 0 && `, and ${counted(more, 'more machine')}`}: what follows may be otherwise there by now.
    </p>
  );
};

/** What resolving releases: what it takes away first. */
export const ReleasePreview = ({
  preview: { known, fault },
  isOne,
}: {
  readonly preview: Preview;
  readonly isOne: boolean;
}) => {
  if (fault !== undefined) {
    return (
      <p class="error" role="status">
        What it releases is not known: {fault}.
      </p>
    );
  }
  if (known === undefined) return <p class="muted">What it releases is being read…</p>;
  const doubt = <Uncertain machines={known.uncertain ?? []} />;
  if (known.actions.length === 0)
    return (
      <div>
        <p class="muted">{isOne ? 'It holds' : 'They hold'} no action: nothing is released.</p>
        {doubt}
      </div>
    );
  return (
    <div>
      <h3>What it releases</h3>
      {doubt}
      <ul class="effects">
        {known.actions.slice(0, MOST_SHOWN).map((one) => (
          <Effect key={`${one.action} ${one.machine ?? ''}`} one={one} isOne={isOne} />
        ))}
      </ul>
      {known.actions.length > MOST_SHOWN && (
        <p class="muted">and {counted(known.actions.length - MOST_SHOWN, 'action')} more, on other machines</p>
      )}
    </div>
  );
};

const MEANINGS: Readonly<Record<ContainmentAction, string>> = {
  freeze_agent: 'The agent can act again.',
  disable_airlock: 'The airlock lets through again.',
  force_vault_relock: 'The vault may be unlocked again.',
  quarantine_model: 'The model may be used again.',
  log_alert: 'The alert stays in the log.',
};

const Effect = ({
  one: { machine, action, releases, holders, others },
  isOne,
}: {
  readonly one: ActionPreview;
  readonly isOne: boolean;
}) => {
  const name = <code>{action}</code>;
  const where = machine === undefined ? null : `On ${machine}: `;
  if (!releases && others === 0) {
    return (
      <li>
        <ContainmentShape look="done" />
        <code class="strong">{action}</code>
        <span>
          {where}
          Stays in force: {isOne ? 'its only holder' : 'one of its last holders'} can’t be resolved yet.
        </span>
      </li>
    );
  }
  if (!releases) {
    return (
      <li>
        <ContainmentShape look="done" />
        <code class="strong">{action}</code>
        <span>
          {where}
          Stays in force.{' '}
          <a
            class="inline"
            href={listOf({
              ...NO_FILTERS,
              states: ['open', 'contained', 'acknowledged'],
              holds: action,
              ...(machine !== undefined && { machines: [machine] }),
            })}
            target="_blank"
          >
            {counted(others, 'other incident')}
          </a>{' '}
          {others === 1 ? 'holds' : 'hold'} it.
        </span>
      </li>
    );
  }
  const isLast = holders > 1 && isOne;
  return (
    <li class="lets">
      <ContainmentShape look="released" />
      <code class="strong">{action}</code>
      <span>
        {where}
        <b>Released.</b>{' '}
        {isLast && (
          <>
            You are the last of {grouped(holders)} holders of {name}.
          </>
        )}
        {!isLast && isOne && 'You are the only holder.'}
        {!isLast && !isOne && (
          <>
            These are the last {grouped(holders)} holders of {name}.
          </>
        )}
      </span>
      <p>{MEANINGS[action]} Until its service confirms, the release is “asked for”.</p>
    </li>
  );
};

interface KindsProps {
  readonly rows: readonly IncidentRow[];
  /** How many are left out because they are resolved, of how many. */
  readonly left: number;
  readonly of: number;
}

/** How many incidents of each class, severity and state a command takes. */
export const Kinds = ({ rows, left, of }: KindsProps) => {
  const taken = rows.filter(({ state }) => state !== 'resolved' || left === 0);
  const kinds = [...Map.groupBy(taken, ({ class: name, severity, state }) => `${name} ${severity} ${state}`).values()];
  if (kinds.length === 0) return null;
  return (
    <div class="scroll">
      <table class="plain">
        <thead>
          <tr>
            <th scope="col">Class</th>
            <th scope="col">Severity</th>
            <th scope="col" class="number">
              Incidents
            </th>
            <th scope="col">State</th>
          </tr>
        </thead>
        <tbody>
          {kinds.map((some) => (
            <tr key={some[0]!.id}>
              <td>
                <code>{some[0]!.class}</code>
              </td>
              <td>
                <SeverityMark severity={some[0]!.severity} />
              </td>
              <td class="number">{grouped(some.length)}</td>
              <td>
                <StateMark state={some[0]!.state} />
              </td>
            </tr>
          ))}
          {left > 0 && left < of && (
            <tr>
              <td colSpan={4} class="small muted">
                {grouped(left)} of the {grouped(of)} that you chose {left === 1 ? 'is' : 'are'} resolved already and
                left out.
              </td>
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
};
