import { useState } from 'preact/hooks';
import { ACTIONS, type ContainmentAction } from '../../../machines/vocabulary.ts';
import { counted, grouped } from '../format.ts';
import { ACTION_MEANINGS } from '../incident/standing.tsx';
import { useLiveResource } from '../live-resource.ts';
import { AgoOrTime } from '../parts/age.tsx';
import { type ContainmentLook, ContainmentMark, ContainmentShape } from '../parts/marks.tsx';
import { Machine } from '../parts/machine.tsx';
import { Moment } from '../parts/time.tsx';
import { VerbatimLine } from '../parts/verbatim.tsx';
import { PostureView } from '../posture/posture-view.tsx';
import { fragmentOf, route } from '../route.ts';
import { ByLabelDialog, type LabelKind } from './by-label-dialog.tsx';
import { Cell, Columns, FleetPage } from './fleet-page.tsx';
import { HeldRows } from './held-rows.tsx';
import { fleetMachines, type FleetMachine, type InForce, inForce, type MachineAction } from './live-fleet.ts';

/** What is in force on all machines, or the posture of the one that is open. */
export const InForceView = () => {
  const { id } = route.value;
  if (id === undefined) return <Everywhere />;
  return (
    <>
      <p class="of-machine">
        <a href={fragmentOf({ view: 'posture', query: '' })}>In force everywhere</a> · on <Machine name={id} />
      </p>
      <PostureView />
    </>
  );
};

const Everywhere = () => {
  const [acting, setActing] = useState<LabelKind>();
  const machines = useLiveResource(fleetMachines) ?? [];
  return (
    <FleetPage
      title="In force"
      of={inForce}
      sum={(all) => (
        <span class="strong">{counted(ACTIONS.filter((name) => all[name].machines > 0).length, 'action')}</span>
      )}
      children={(all) => (
        <>
          <p>
            <button type="button" onClick={() => setActing('contain')}>
              Contain by label…
            </button>{' '}
            <button type="button" onClick={() => setActing('release')}>
              Release by label…
            </button>
          </p>
          <section class="card rows in-force" aria-label="In force">
            <Columns names={['Action', 'Asked for', 'Not confirmed', 'Overdue', 'Machines']} />
            <HeldRows
              items={ACTIONS.map((name) => all[name]).toSorted((one, other) => rankOf(one) - rankOf(other))}
              keyOf={({ action }) => action}
              row={(one, key) => <ActionRow key={key} action={one.action} one={one} machines={machines} />}
            />
          </section>
          {acting !== undefined && <ByLabelDialog kind={acting} onClose={() => setActing(undefined)} />}
        </>
      )}
    />
  );
};

const rankOf = ({ overdue, unconfirmed, machines }: InForce): number =>
  overdue.machines > 0 ? 0 : unconfirmed.machines > 0 ? 1 : machines > 0 ? 2 : 3;

const LOOKS = ['overdue', 'unknown', 'done', 'none'] as const satisfies readonly ContainmentLook[];
type Look = (typeof LOOKS)[number];

const lookOf = (one: InForce): Look => LOOKS[rankOf(one)]!;

/** How an action that is in force stands on one machine. */
const lookOn = ({ overdue, unconfirmed }: MachineAction): Look =>
  overdue > 0 ? 'overdue' : unconfirmed > 0 ? 'unknown' : 'done';

/** How many machines are named. */
const MOST_NAMED = 8;

interface ActionRowProps {
  readonly action: ContainmentAction;
  readonly one: InForce;
  readonly machines: readonly FleetMachine[];
}

const ActionRow = ({ action, one, machines }: ActionRowProps) => {
  const [isWhole, showWhole] = useState(false);
  const on = machines
    .flatMap(({ machine, name, posture }) => {
      const own = posture.find((each) => each.action === action);
      return own?.in_force === true ? [{ machine, name, look: lookOn(own) }] : [];
    })
    .toSorted((first, second) => LOOKS.indexOf(first.look) - LOOKS.indexOf(second.look));
  return (
    <li class={one.overdue.machines > 0 ? 'bad' : ''}>
      <div class="said name">
        <h2>
          <code>{action}</code>
        </h2>
        <p class="small muted">{ACTION_MEANINGS[action]}</p>
      </div>
      <Cell label="Asked for">
        <ContainmentMark look={lookOf(one)}>
          {one.machines === 0 ? 'Nowhere' : `On ${counted(one.machines, 'machine')}`}
        </ContainmentMark>
        {one.since !== null && one.machines > 0 && (
          <p class="small muted">
            since <Moment at={one.since} />
            <span class="fresh">
              , <AgoOrTime at={one.since} />
            </span>
          </p>
        )}
      </Cell>
      <Cell label="Not confirmed">
        <Amount of={one.unconfirmed} />
      </Cell>
      <Cell label="Overdue">
        <Amount of={one.overdue} isBad />
      </Cell>
      <div class="said holders-of">
        {on.slice(0, isWhole ? on.length : MOST_NAMED).map(({ machine, name, look }) => (
          <a key={machine} class="holder" href={fragmentOf({ view: 'posture', id: machine, query: '' })}>
            {look !== 'done' && <ContainmentShape look={look} />}
            <VerbatimLine text={name} />
            {look !== 'done' && <span class="unseen">{look === 'overdue' ? 'overdue' : 'not confirmed'}</span>}
          </a>
        ))}
        {on.length > MOST_NAMED && (
          <button type="button" class="link small" aria-expanded={isWhole} onClick={() => showWhole(!isWhole)}>
            {isWhole ? 'Show fewer' : `and ${grouped(on.length - MOST_NAMED)} more`}
          </button>
        )}
      </div>
    </li>
  );
};

interface AmountProps {
  readonly of: InForce['overdue'];
  readonly isBad?: boolean;
}

const Amount = ({ of: { machines, deliveries }, isBad = false }: AmountProps) =>
  machines === 0 ? (
    <span class="muted">none</span>
  ) : (
    <span class={isBad ? 'error' : ''}>
      {counted(deliveries, 'delivery', 'deliveries')} on {counted(machines, 'machine')}
    </span>
  );
