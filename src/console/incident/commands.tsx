import { useId } from 'preact/hooks';
import { COMMAND_TABLE } from '../../../machines/commands.ts';
import type { NextTransition } from '../../../machines/transitions.ts';
import type { Incident } from '../../domain/incident.ts';
import { RECOVERY_ACTS, whoMay } from '../../domain/recovery-steps.ts';
import { counted, grouped, spelled } from '../format.ts';
import { obstacleFor } from '../identity.ts';
import { type Doing, DOINGS, give } from '../incidents/given-command.ts';
import { rowOf } from '../incidents/incident-row.ts';
import { selected } from '../incidents/selection.ts';
import { rowOfAct } from '../keyboard.ts';
import { isOld } from '../live-entries.ts';
import { announce } from '../live-region.ts';
import { perform } from '../operator.ts';
import { Icon } from '../parts/icon.tsx';
import { ContainmentShape } from '../parts/marks.tsx';
import { reasonOf } from '../request.ts';
import type { ReleasePreview } from './incident-detail.ts';

interface CommandsProps {
  readonly incident: Incident;
  readonly transitions: readonly NextTransition[];
}

/** The commands that are always there, in their order; Resolve stands apart. */
const SHOWN: readonly Doing[] = ['acknowledge', 'contain', 'note', 'assign', 'snooze'];
/** What waits in the menu where there is no room. */
const IN_MENU: ReadonlySet<Doing> = new Set(['contain', 'snooze', 'resolve', 'reopen']);

/** Why a command can't be given now: its state, what is missing, or the role. Undefined when it can. */
const obstacleOf = (doing: Doing, { incident, transitions }: CommandsProps): string | undefined => {
  const label = DOINGS[doing].label;
  if (doing === 'note' || doing === 'assign') return worded(label, obstacleFor(DOINGS[doing].roles));
  if (doing === 'reopen') return worded(label, obstacleFor(DOINGS.reopen.roles));
  const transition = transitions.find(({ event }) => event === doing);
  if (transition === undefined && doing === 'snooze' && transitions.length > 0 && incident.state !== 'resolved')
    return worded(label, obstacleFor(DOINGS.snooze.roles));
  if (transition?.allowed !== true) {
    if (transition === undefined) return `${label}: not known yet`;
    const missing = transition.missing === undefined ? '' : `: ${transition.missing.join(', ')} missing`;
    return `${label}: ${STATE_REASONS[incident.state] ?? ''}${transition.reason ?? 'not possible here'}${missing}`;
  }
  const needs = transition.needs ?? (doing === 'snooze' ? DOINGS.snooze.roles : COMMAND_TABLE[doing].roles);
  return worded(label, obstacleFor(needs));
};

const worded = (label: string, obstacle: string | undefined): string | undefined =>
  obstacle === undefined ? undefined : `${label} ${obstacle}`;

const STATE_REASONS: Readonly<Partial<Record<Incident['state'], string>>> = { resolved: 'it is resolved, ' };

/** The commands; those that can't be given now say why. */
export const Commands = (props: CommandsProps) => {
  const { incident } = props;
  const isOver = incident.state === 'resolved';
  const doings: readonly Doing[] = isOver ? ['note', 'assign'] : SHOWN;
  const last: Doing = isOver ? 'reopen' : 'resolve';
  const hints = [...doings, last].flatMap((doing) => {
    const obstacle = obstacleOf(doing, props);
    return obstacle !== undefined && obstacle.includes('needs the role') ? [obstacle] : [];
  });
  return (
    <>
      <div class="commands" role="toolbar" aria-label="Commands">
        {doings.map((doing) => (
          <CommandButton key={doing} doing={doing} {...props} />
        ))}
        {incident.snoozed_until !== undefined && <EndSnooze id={incident.id} />}
        <details class="more-commands">
          <summary class="button" aria-label="More commands">
            <Icon name="more" />
          </summary>
          <div class="drop">
            {[...doings, last]
              .filter((doing) => IN_MENU.has(doing))
              .map((doing) => (
                <CommandButton key={doing} doing={doing} isInMenu {...props} />
              ))}
          </div>
        </details>
        <span class="gap" />
        <CommandButton doing={last} {...props} />
      </div>
      {hints.length > 0 && <p class="hint small">{hints.join('. ')}.</p>}
    </>
  );
};

interface CommandButtonProps extends CommandsProps {
  readonly doing: Doing;
  readonly isInMenu?: boolean;
}

const CommandButton = ({ doing, isInMenu = false, ...props }: CommandButtonProps) => {
  const hintId = useId();
  const { incident } = props;
  const obstacle = obstacleOf(doing, props);
  // With a selection the keys are for that, where the list is shown beside the incident.
  const key = selected.value.size === 0 ? rowOfAct(doing).keys[0] : undefined;
  const place = isInMenu ? 'in-menu' : IN_MENU.has(doing) ? 'wide-only' : '';
  const kind = doing === 'acknowledge' ? 'primary' : '';
  return (
    <button
      type="button"
      class={`${kind} ${place}`}
      aria-disabled={obstacle !== undefined}
      aria-describedby={obstacle === undefined ? undefined : hintId}
      title={obstacle}
      {...(key !== undefined && { 'aria-keyshortcuts': key })}
      onClick={() => {
        if (obstacle === undefined) give({ command: doing, ids: [incident.id], rows: [rowOf({ ...incident })] });
        else announce(obstacle);
      }}
    >
      {DOINGS[doing].label}
      {(doing === 'resolve' || doing === 'reopen') && '…'} {key !== undefined && <kbd aria-hidden="true">{key}</kbd>}
      {obstacle !== undefined && (
        <span id={hintId} class="unseen" hidden>
          {obstacle}
        </span>
      )}
    </button>
  );
};

const EndSnooze = ({ id }: { readonly id: string }) => {
  const obstacle = isOld.value ? 'has to wait' : obstacleFor(DOINGS.snooze.roles);
  const end = (): void => {
    perform('/api/v1/incidents/snooze', { id, until: null }).then(
      () => announce(`The snooze of ${id} has ended`),
      (error: unknown) => announce(`The snooze has not ended: ${reasonOf(error)}`),
    );
  };
  return (
    <button type="button" disabled={obstacle !== undefined} title={obstacle && `This ${obstacle}`} onClick={end}>
      End the snooze
    </button>
  );
};

interface FollowsProps {
  readonly incident: Incident;
  readonly preview: ReleasePreview | undefined;
}

/** What Resolve waits for, who may, and what it does to each action: before it is given. */
export const Follows = ({ incident: { state, recovery, reopened_as: again }, preview }: FollowsProps) => {
  if (state === 'resolved') {
    return (
      <p class="follows">
        <ContainmentShape look="none" />
        <span>
          {again === undefined
            ? 'It is over. Reopen makes a new incident that is linked to this one.'
            : 'It is over, and was taken up again as another incident.'}
        </span>
      </p>
    );
  }
  const missing = recovery?.missing ?? [];
  const required = recovery?.required.length ?? 0;
  // What it releases as soon as it may be given.
  const actions = preview?.actions.toSorted((one, other) => Number(other.last) - Number(one.last));
  const releases = actions?.filter((one) => one.last).length ?? 0;
  return (
    <p class="follows">
      <ContainmentShape look={releases > 0 ? 'released' : 'none'} />
      <span>
        {missing.length > 0 && (
          <>
            <b>
              Resolve waits for recovery, {required - missing.length} of {required} done; then the role recovery may.
            </b>{' '}
            {missing.map((step) => `${spelled(step)}: ${whoMay(RECOVERY_ACTS[step])}`).join('; ')}.{' '}
          </>
        )}
        {missing.length === 0 && recovery !== undefined && <b>Recovery is done: the role recovery may resolve. </b>}
        {actions === undefined ? (
          'What Resolve releases is not known.'
        ) : actions.length === 0 ? (
          'Resolve releases nothing: it holds no action.'
        ) : (
          <>
            Resolve{' '}
            {actions.map(({ action, last: isLast, holders, others }, index) => (
              <span key={action}>
                {index > 0 && '; '}
                {isLast ? 'releases ' : 'leaves '}
                <code>{action}</code>{' '}
                {!isLast
                  ? `in force, ${counted(others, 'other')} ${others === 1 ? 'holds' : 'hold'} it`
                  : holders > 1
                    ? `(you are the last of ${grouped(holders)} holders)`
                    : '(you are the last holder)'}
              </span>
            ))}
            .
          </>
        )}
      </span>
    </p>
  );
};
