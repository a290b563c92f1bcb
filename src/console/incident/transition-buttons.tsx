import { COMMAND_TABLE, type CommandName, COMMANDS } from '../../../machines/commands.ts';
import type { NextTransition } from '../../../machines/transitions.ts';
import type { Role } from '../../../machines/vocabulary.ts';
import { obstacleFor } from '../identity.ts';
import { give } from '../incidents/given-command.ts';
import { selected } from '../incidents/selection.ts';
import { spelled } from '../format.ts';

/** The roles that may give a command to this incident. */
const needsOf = (command: CommandName, { needs }: NextTransition): readonly Role[] =>
  needs ?? COMMAND_TABLE[command].roles;

interface TransitionButtonsProps {
  readonly id: string;
  readonly transitions: readonly NextTransition[];
}

/**
 * A button for each command that the statechart allows now. The others are listed with the reason, and so are those for
 * which the operator lacks the role.
 */
export const TransitionButtons = ({ id, transitions }: TransitionButtonsProps) => {
  const known = COMMANDS.map((command) => ({
    command,
    transition: transitions.find(({ event }) => event === command),
  }));
  // With a selection the keys are for that, where the list is shown beside the incident.
  const keysAreForThis = selected.value.size === 0;
  const refused = known.filter(({ transition }) => transition !== undefined && !transition.allowed);
  const forbidden = known.flatMap(({ command, transition }) => {
    const reason = transition?.allowed === true ? obstacleFor(needsOf(command, transition)) : undefined;
    return reason === undefined ? [] : [{ command, reason }];
  });
  return (
    <div class="commands">
      {known.map(
        ({ command, transition }) =>
          transition?.allowed && (
            <button
              key={command}
              type="button"
              class={command === 'acknowledge' ? 'primary' : ''}
              disabled={obstacleFor(needsOf(command, transition)) !== undefined}
              {...(keysAreForThis && { 'aria-keyshortcuts': COMMAND_TABLE[command].key })}
              onClick={() => give({ command, ids: [id] })}
            >
              {spelled(command)} {keysAreForThis && <kbd aria-hidden="true">{COMMAND_TABLE[command].key}</kbd>}
            </button>
          ),
      )}
      {forbidden.map(({ command, reason }) => (
        <p key={command} class="hint">
          {spelled(command)} {reason}.
        </p>
      ))}
      {refused.length > 0 && (
        <details class="refused">
          <summary>{refused.map(({ command }) => spelled(command)).join(', ')}: not possible now</summary>
          <ul>
            {refused.map(({ command, transition }) => (
              <li key={command}>
                <strong>{spelled(command)}</strong>:{' '}
                {transition?.reason ?? 'the statechart has no such transition here'}
                {transition?.missing !== undefined && `: ${transition.missing.join(', ')} missing`}
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
};
