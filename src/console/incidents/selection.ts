/** The current line of the list, which keys act on, and the selected incidents, for commands on several. */
import { computed, signal } from '@preact/signals';

/** The key of the current line: the id of an incident, or the key of a burst. */
export const current = signal<string | undefined>(undefined);
/** Its last place in the list: when it leaves the list, the keys continue from there. */
export const place = signal(0);
/** Counts how often the current line was to come into sight. */
export const sought = signal(0);
/** The ids of the selected incidents. */
export const selected = signal<ReadonlySet<string>>(new Set());
export const selectedCount = computed(() => selected.value.size);
/** The place from which Shift extends the selection. */
export const anchor = signal<number | undefined>(undefined);
/** The bursts that are unfolded, and how many members each shows. */
export const unfolded = signal<ReadonlyMap<string, number>>(new Map());

/** Adds incidents to the selection, or removes them when all of them are selected. */
export const toggle = (ids: readonly string[]): void => {
  const next = new Set(selected.peek());
  const isWhole = ids.every((id) => next.has(id));
  for (const id of ids) {
    if (isWhole) next.delete(id);
    else next.add(id);
  }
  selected.value = next;
};

export const select = (ids: readonly string[]): void => {
  selected.value = new Set([...selected.peek(), ...ids]);
};

/** Removes incidents from the selection. */
export const deselect = (ids: readonly string[]): void => {
  const gone = new Set(ids);
  selected.value = new Set([...selected.peek()].filter((id) => !gone.has(id)));
};

export const clearSelection = (): void => {
  selected.value = new Set();
  anchor.value = undefined;
};

/** Shows so many members of a burst, or none. */
export const unfold = (key: string, count: number | undefined): void => {
  const next = new Map(unfolded.peek());
  if (count === undefined) next.delete(key);
  else next.set(key, count);
  unfolded.value = next;
};
