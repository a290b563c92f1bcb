import type { IncidentClass, Severity, State } from '../../../machines/vocabulary.ts';
import type { EntryLine } from '../../audit/entry-line.ts';
import type { IncidentKind } from '../../projections/incidents.ts';

/** What a stream is to show. An empty list of values stands for all of them. */
export interface EventFilter {
  readonly classes: readonly IncidentClass[];
  readonly states: readonly State[];
  readonly severities: readonly Severity[];
}

export type Admits = (line: EntryLine) => boolean;

/**
 * Makes a filter into a function. An entry is admitted when its incident is, in the state that the entry has left it in;
 * one that is about no incident, or about one that is no longer on record, only where everything is.
 */
export const admitting = (
  { classes, states, severities }: EventFilter,
  kindOf: (incident: string) => IncidentKind | undefined,
): Admits => {
  if (classes.length + states.length + severities.length === 0) return () => true;
  return (line) => {
    const { incident, state } = line.data();
    if (typeof incident !== 'string' || !isAmong(states, state)) return false;
    if (classes.length + severities.length === 0) return true;
    const kind = kindOf(incident);
    return kind !== undefined && isAmong(classes, kind.class) && isAmong(severities, kind.severity);
  };
};

const isAmong = (values: readonly unknown[], value: unknown): boolean => values.length === 0 || values.includes(value);
