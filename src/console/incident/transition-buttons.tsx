import type { CommandName } from '../../../machines/decision.ts';
import { COMMAND_NAMES, COMMAND_WORDS, task } from '../incidents/bulk-command.ts';
import { spelled } from '../format.ts';
import type { Transition } from './incident-detail.ts';

interface TransitionButtonsProps {
  readonly id: string;
  readonly transitions: readonly Transition[];
}

const KEYS: Readonly<Record<CommandName, string>> = { contain: 'c', acknowledge: 'a', resolve: 'r' };

/** A button for each command that the statechart allows now; the others with the reason why it does not. */
export const TransitionButtons = ({ id, transitions }: TransitionButtonsProps) => {
  const known = COMMAND_NAMES.map((command) => ({
    command,
    transition: transitions.find(({ event }) => event === command),
  }));
  const refused = known.filter(({ transition }) => transition !== undefined && !transition.allowed);
  return (
    <div class="commands">
      {known.map(
        ({ command, transition }) =>
          transition?.allowed && (
            <button
              key={command}
              type="button"
              class={command === 'resolve' ? 'primary' : ''}
              aria-keyshortcuts={KEYS[command]}
              onClick={() => (task.value = { command, ids: [id] })}
            >
              {COMMAND_WORDS[command][0]} <kbd aria-hidden="true">{KEYS[command]}</kbd>
            </button>
          ),
      )}
      {refused.length > 0 && (
        <details class="refused">
          <summary>{refused.map(({ command }) => spelled(command)).join(', ')}: not possible now</summary>
          <ul>
            {refused.map(({ command, transition }) => (
              <li key={command}>
                <strong>{spelled(command)}</strong>:{' '}
                {transition?.reason ?? 'the statechart has no such transition here'}
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
};
