/**
 * The palette: go to a view, a saved view or an incident, or do what can be done now. One field, and a list that the
 * arrow keys move in.
 */
import { signal } from '@preact/signals';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { attention } from '../attention.ts';
import { NO_FILTERS } from '../filters.ts';
import { capitalized } from '../format.ts';
import { act, keyInWords, possibleActs, rowOfAct } from '../keyboard.ts';
import { Dialog } from '../parts/dialog.tsx';
import { VerbatimLine } from '../parts/verbatim.tsx';
import { fragmentOf, goTo, listOf } from '../route.ts';
import { savedViews } from '../incidents/saved-views.ts';
import { selectedCount } from '../incidents/selection.ts';

export const paletteIsOpen = signal(false);

interface Choice {
  readonly key: string;
  readonly group: string;
  readonly label: string;
  /** At the end of the line: keys, or a count. */
  readonly end?: string;
  readonly does: () => void;
}

const MOST_INCIDENTS = 6;

const choicesFor = (typed: string): readonly Choice[] => {
  const words = typed.trim().toLowerCase();
  const has = (label: string): boolean => words.split(/\s+/).every((word) => label.toLowerCase().includes(word));
  const acts = possibleActs()
    .filter((name) => rowOfAct(name).inPalette)
    .map((name): Choice => {
      const { does, keys, group } = rowOfAct(name);
      const count = group === 'Do' && selectedCount.value > 1 ? ` (${selectedCount.value} selected)` : '';
      return {
        key: name,
        group: group === 'Go' ? 'Go to' : 'Do',
        label: `${capitalized(does)}${count}`,
        end: keys.map(keyInWords).join(', '),
        does: () => act(name),
      };
    });
  const views = savedViews.value.map(({ name, fragment, count }): Choice => ({
    key: `view ${name}`,
    group: 'Saved views',
    label: name,
    ...(count !== undefined && { end: count }),
    does: () => goTo(fragment),
  }));
  if (words === '') return [...acts, ...views];
  return [...[...acts, ...views].filter(({ label }) => has(label)), ...incidentsFor(typed.trim())];
};

/** Incidents by id, and a search for what was typed. */
const incidentsFor = (typed: string): readonly Choice[] => {
  const open = (id: string): void => goTo(fragmentOf({ view: 'incidents', id, query: 'attention=true' }));
  const lower = typed.toLowerCase();
  const known = attention.shown
    .peek()
    .rows.peek()
    .filter(({ id, description }) => id.toLowerCase().includes(lower) || description.toLowerCase().includes(lower))
    .slice(0, MOST_INCIDENTS)
    .map(({ id, description }): Choice => ({
      key: id,
      group: 'Incidents',
      label: description,
      end: id,
      does: () => open(id),
    }));
  const named = /^inc-[0-9a-z-]+$/i.test(typed) && !known.some(({ key }) => key.toLowerCase() === lower);
  const asId = `INC-${typed.slice('INC-'.length).toLowerCase()}`;
  return [
    ...(named ? [{ key: 'id', group: 'Incidents', label: `Open ${asId}`, does: () => open(asId) }] : []),
    ...known,
    {
      key: 'search',
      group: 'Incidents',
      label: `Search all incidents for “${typed}”`,
      does: () => goTo(listOf({ ...NO_FILTERS, words: typed })),
    },
  ];
};

export const Palette = () => {
  const [typed, setTyped] = useState('');
  const [at, setAt] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const choices = useMemo(() => choicesFor(typed), [typed]);
  useEffect(() => field.current?.focus(), []);
  useLayoutEffect(() => {
    list.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' });
  }, [at, typed]);
  const close = (): void => {
    paletteIsOpen.value = false;
  };
  const choose = (choice: Choice | undefined): void => {
    if (choice === undefined) return;
    close();
    // When the dialog has left the page: what is done may open another one.
    setTimeout(choice.does);
  };
  const press = (event: KeyboardEvent): void => {
    const steps: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1 };
    const step = steps[event.key];
    if (step !== undefined) setAt((at + step + choices.length) % Math.max(1, choices.length));
    else if (event.key === 'Enter' && !event.isComposing) choose(choices[at]);
    else return;
    event.preventDefault();
  };
  const groups = [...Map.groupBy(choices, ({ group }) => group)];
  return (
    <Dialog title="Go to or do" kind="palette" onClose={close}>
      <input
        ref={field}
        role="combobox"
        aria-label="Go to or do"
        aria-expanded="true"
        aria-controls="palette-choices"
        aria-activedescendant={choices[at] === undefined ? undefined : `palette-${at}`}
        autocomplete="off"
        spellcheck={false}
        placeholder="A view, an incident, a command"
        value={typed}
        onInput={({ currentTarget: { value } }) => {
          setTyped(value);
          setAt(0);
        }}
        onKeyDown={press}
      />
      <div ref={list} id="palette-choices" role="listbox" aria-label="What can be gone to or done">
        {groups.map(([group, some]) => (
          <div key={group} role="group" aria-label={group}>
            <div role="presentation" aria-hidden="true">
              {group}
            </div>
            {some.map((choice) => {
              const index = choices.indexOf(choice);
              return (
                <div
                  key={choice.key}
                  id={`palette-${index}`}
                  role="option"
                  aria-selected={index === at}
                  onClick={() => choose(choice)}
                  onPointerMove={() => setAt(index)}
                >
                  <VerbatimLine text={choice.label} />
                  {choice.end !== undefined && choice.end !== '' && <span class="end">{choice.end}</span>}
                </div>
              );
            })}
          </div>
        ))}
      </div>
    </Dialog>
  );
};
