/** The current incident of the list, which keys act on, and the selected ones, for commands on several. */
import { signal } from '@preact/signals';

/** The identifier of the current incident. */
export const current = signal<string | undefined>(undefined);
/** Its last place in the list: when it leaves the list, the keys continue from there. */
export const place = signal(0);
/** Counts how often the current incident was to come into sight. */
export const sought = signal(0);
export const selected = signal<ReadonlySet<string>>(new Set());

/** Adds an incident to the selection, or removes it. */
export const toggle = (id: string): void => {
  const next = new Set(selected.peek());
  if (!next.delete(id)) next.add(id);
  selected.value = next;
};

/** Removes incidents from the selection. */
export const deselect = (ids: readonly string[]): void => {
  selected.value = new Set([...selected.peek()].filter((id) => !ids.includes(id)));
};

export const clearSelection = (): void => {
  selected.value = new Set();
};
