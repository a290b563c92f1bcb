/**
 * What a person can do by key: one table, which the keys, the palette and the list of keys read.
 *
 * A component that can do some of it says how with `useActs`, while it is on the page; the latest such component is
 * asked first. Keys work unless the focus is in a field or a dialog is open. A key is written as `j`, `Shift+j`,
 * `Control+k` (also the command key) or `g i`: one after the other.
 */
import { useLayoutEffect, useRef } from 'preact/hooks';
import { signal } from '@preact/signals';
import { COMMAND_TABLE } from '../../machines/commands.ts';
import { SECOND } from '../clock.ts';
import { isFleet } from './service.ts';

interface ActRow {
  readonly keys: readonly string[];
  readonly does: string;
  readonly group: 'Move' | 'Do' | 'Go' | 'Incident';
  /** Whether the palette offers it. */
  readonly inPalette?: true;
  /** The service that has it, where a recorder has not. */
  readonly only?: 'fleet';
}

export const ACT_TABLE = {
  next: { keys: ['j', 'ArrowDown'], does: 'next row', group: 'Move' },
  previous: { keys: ['k', 'ArrowUp'], does: 'previous row', group: 'Move' },
  extendNext: { keys: ['Shift+j', 'Shift+ArrowDown'], does: 'select, and the next one too', group: 'Move' },
  extendPrevious: { keys: ['Shift+k', 'Shift+ArrowUp'], does: 'select, and the one before too', group: 'Move' },
  select: { keys: ['x'], does: 'select, or take out of the selection', group: 'Move' },
  unfold: { keys: ['ArrowRight'], does: 'unfold a group', group: 'Move' },
  fold: { keys: ['ArrowLeft'], does: 'fold a group', group: 'Move' },
  open: { keys: ['Enter'], does: 'open', group: 'Move' },
  back: { keys: ['Escape'], does: 'one step back: dialog, incident, selection, filter', group: 'Move' },
  acknowledge: { keys: [COMMAND_TABLE.acknowledge.key], does: 'acknowledge', group: 'Do', inPalette: true },
  contain: { keys: [COMMAND_TABLE.contain.key], does: 'contain', group: 'Do', inPalette: true },
  note: { keys: ['n'], does: 'leave a note', group: 'Do', inPalette: true },
  assign: { keys: ['i'], does: 'assign', group: 'Do', inPalette: true },
  snooze: { keys: ['z'], does: 'snooze', group: 'Do', inPalette: true },
  resolve: { keys: [COMMAND_TABLE.resolve.key], does: 'resolve', group: 'Do', inPalette: true },
  reopen: { keys: [], does: 'reopen', group: 'Do', inPalette: true },
  silence: { keys: [], does: 'silence this class and source', group: 'Do', inPalette: true },
  undo: { keys: ['u'], does: 'undo the last command', group: 'Do', inPalette: true },
  search: { keys: ['/'], does: 'filter and search', group: 'Go', inPalette: true },
  palette: { keys: ['Control+k'], does: 'go to or do', group: 'Go' },
  incidents: { keys: ['g i'], does: 'incidents', group: 'Go', inPalette: true },
  machines: { keys: ['g m'], does: 'machines', group: 'Go', inPalette: true, only: 'fleet' },
  posture: { keys: ['g p'], does: isFleet ? 'in force' : 'posture', group: 'Go', inPalette: true },
  campaigns: { keys: ['g c'], does: 'campaigns', group: 'Go', inPalette: true, only: 'fleet' },
  recoveries: { keys: ['g r'], does: 'recoveries', group: 'Go', inPalette: true, only: 'fleet' },
  commands: { keys: ['g d'], does: 'commands, and what became of them', group: 'Go', inPalette: true, only: 'fleet' },
  overview: { keys: ['g o'], does: 'overview', group: 'Go', inPalette: true },
  statecharts: { keys: ['g s'], does: 'statecharts', group: 'Go', inPalette: true },
  audit: { keys: ['g a'], does: 'audit', group: 'Go', inPalette: true },
  silences: { keys: [], does: 'silences', group: 'Go', inPalette: true },
  changes: { keys: [], does: 'what changed since you left', group: 'Go', inPalette: true },
  notices: { keys: [], does: 'desktop notice and sound for critical', group: 'Go', inPalette: true },
  theme: { keys: [], does: 'change the theme', group: 'Go', inPalette: true },
  keys: { keys: ['?'], does: 'show these keys', group: 'Go' },
  rail: { keys: [']'], does: 'fold or unfold the rail', group: 'Incident', inPalette: true },
  deliveries: { keys: ['d'], does: 'show or hide delivery entries', group: 'Incident', inPalette: true },
  stepBack: { keys: [','], does: 'replay: one entry back', group: 'Incident' },
  stepOn: { keys: ['.'], does: 'replay: one entry on', group: 'Incident' },
  play: { keys: ['p'], does: 'replay: play or pause', group: 'Incident', inPalette: true },
} as const satisfies Readonly<Record<string, ActRow>>;

export type ActName = keyof typeof ACT_TABLE;
export const rowOfAct = (name: ActName): ActRow => ACT_TABLE[name];
/** What the service has. */
export const ACT_NAMES = (Object.keys(ACT_TABLE) as readonly ActName[]).filter(
  (name) => isFleet || rowOfAct(name).only !== 'fleet',
);

/** How to do what can be done now. */
export type Acts = { readonly [Name in ActName]?: (() => void) | undefined };

const BY_KEY: ReadonlyMap<string, ActName> = new Map(
  ACT_NAMES.flatMap((name) => rowOfAct(name).keys.map((key) => [key, name] as const)),
);
/** The first keys of those that take two. */
const FIRST_KEYS = new Set([...BY_KEY.keys()].flatMap((key) => (key.includes(' ') ? key.split(' ')[0]! : [])));
/** How long the second key of two may take. */
const LONGEST_PAUSE = 1.5 * SECOND;

/** The components that can do something, the latest last. */
const layers: { readonly acts: () => Acts }[] = [];
/** Counts the changes of what can be done. */
const changes = signal(0);

/** Does something by its name. @returns whether it can be done now */
export const act = (name: ActName): boolean => {
  const does = layers.findLast(({ acts }) => acts()[name] !== undefined)?.acts()[name];
  does?.();
  return does !== undefined;
};

/** What can be done now. */
export const possibleActs = (): readonly ActName[] => {
  void changes.value;
  return ACT_NAMES.filter((name) => layers.some(({ acts }) => acts()[name] !== undefined));
};

/** Can do this while the component is on the page. */
export const useActs = (acts: Acts): void => {
  const latest = useRef(acts);
  latest.current = acts;
  // Before the next frame, so that the first key after the page appears is not lost.
  useLayoutEffect(() => {
    const layer = { acts: () => latest.current };
    layers.push(layer);
    changes.value += 1;
    return () => {
      layers.splice(layers.indexOf(layer), 1);
      changes.value += 1;
    };
  }, []);
};

/** `Control+k` in words for a person: `Ctrl K`. */
export const keyInWords = (key: string): string =>
  KEY_WORDS[key] ??
  key
    .replace('Control+k', 'Ctrl K')
    .replace('Shift+ArrowDown', '⇧ ↓')
    .replace('Shift+ArrowUp', '⇧ ↑')
    .replace('Shift+', '⇧ ');

const KEY_WORDS: Readonly<Record<string, string>> = {
  ArrowDown: '↓',
  ArrowUp: '↑',
  ArrowLeft: '←',
  ArrowRight: '→',
  Escape: 'Esc',
};

const isWriting = (target: EventTarget | null): boolean =>
  target instanceof Element &&
  target.closest('input:not([type=checkbox],[type=radio],[type=range]), textarea, select') !== null;

/** Wherever the focus is then: what is behind a dialog must not change unseen, and Escape must reach the browser. */
const isDialogOpen = (): boolean => document.querySelector('dialog[open]') !== null;

/** Whether the focused element uses the key itself. */
const isTaken = ({ key, target }: KeyboardEvent): boolean =>
  target instanceof Element &&
  ((key === 'Enter' && target.closest('a, button, summary, [type=checkbox]') !== null) ||
    (key.startsWith('Arrow') && target.closest('[type=range], [type=radio]') !== null));

const written = ({ key, shiftKey, ctrlKey, metaKey }: KeyboardEvent): string => {
  if (ctrlKey || metaKey) return `Control+${key.toLowerCase()}`;
  // The other characters are what Shift makes of a key already.
  return shiftKey && /^(?:[A-Z]|Arrow.*)$/.test(key) ? `Shift+${key.length === 1 ? key.toLowerCase() : key}` : key;
};

let first: { readonly key: string; readonly at: number } | undefined;

const press = (event: KeyboardEvent): void => {
  if (event.altKey || event.defaultPrevented || ['Shift', 'Control', 'Meta'].includes(event.key)) return;
  if (isDialogOpen()) return;
  const key = written(event);
  if (!key.startsWith('Control+') && (isWriting(event.target) || isTaken(event))) return;
  const before = first !== undefined && event.timeStamp - first.at < LONGEST_PAUSE ? first.key : undefined;
  first = undefined;
  const name = (before !== undefined ? BY_KEY.get(`${before} ${key}`) : undefined) ?? BY_KEY.get(key);
  if (name === undefined && FIRST_KEYS.has(key)) first = { key, at: event.timeStamp };
  if (name !== undefined && act(name)) event.preventDefault();
};

/** Listens to keys, for the life of the page. */
export const followKeys = (): void => addEventListener('keydown', press);
