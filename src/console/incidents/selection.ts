/** Which incident of the list the keys are about, and which are selected to be worked together. */
import { signal } from '@preact/signals';

/** The identifier of the incident that the keys are about. */
export const current = signal<string | undefined>(undefined);
/** Where in the list it stood when it was last there: a row that has left the list leaves its place to the next. */
export const place = signal(0);
export const selected = signal<ReadonlySet<string>>(new Set());

/** Selects an incident, or takes it out of the selection. */
export const toggle = (id: string): void => {
  const next = new Set(selected.peek());
  if (!next.delete(id)) next.add(id);
  selected.value = next;
};

export const clearSelection = (): void => {
  selected.value = new Set();
};
