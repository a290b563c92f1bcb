/** Single keys as commands. They work unless the focus is in a field or a dialog is open. */
import { useLayoutEffect, useRef } from 'preact/hooks';
import { COMMAND_TABLE, COMMANDS } from '../../machines/commands.ts';

export type Keys = Readonly<Record<string, (() => void) | undefined>>;

/** Every key, for the list of them: the key, another one for the same, what it does. */
export const KEY_MEANINGS: readonly (readonly [key: string, other: string, meaning: string])[] = [
  ['j', 'k', 'next and previous incident (or the arrow keys)'],
  ['Enter', '', 'open the incident'],
  ['Escape', '', 'close the incident; with none open, clear the selection; in the search, end it'],
  ['x', '', 'select the incident, or remove it from the selection'],
  ...COMMANDS.map((command) => [COMMAND_TABLE[command].key, '', command] as const),
  [',', '.', 'step the replay of the incident back and on'],
  ['p', '', 'play the replay, or pause it'],
  ['/', '', 'search'],
  ['?', '', 'show these keys'],
];

const isWriting = (target: EventTarget | null): boolean =>
  target instanceof Element && target.closest('input:not([type=checkbox],[type=range]), textarea, select') !== null;

/** Wherever the focus is then: what is behind a dialog must not change unseen, and Escape must reach the browser. */
const isDialogOpen = (): boolean => document.querySelector('dialog[open]') !== null;

/** Whether the focused element uses the key itself. */
const isTaken = ({ key, target }: KeyboardEvent): boolean =>
  target instanceof Element &&
  ((key === 'Enter' && target.closest('a, button, summary, [type=checkbox]') !== null) ||
    (key.startsWith('Arrow') && target.closest('[type=range]') !== null));

/** Listens to these keys while the component is on the page. */
export const useKeys = (keys: Keys): void => {
  const latest = useRef(keys);
  latest.current = keys;
  // Before the next frame, so that the first key after the page appears is not lost.
  useLayoutEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const act = latest.current[event.key];
      if (act === undefined || isDialogOpen() || isWriting(event.target) || isTaken(event)) return;
      event.preventDefault();
      act();
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
};
