import type { IncidentClass, Severity, State } from '../../../machines/vocabulary.ts';
import type { EntryLine } from '../../audit/entry-line.ts';
import type { IncidentKind } from '../../projections/incidents.ts';
import { isAboutIncident } from '../../domain/entries.ts';

/** Which entries a stream shows. An empty list of values stands for all values. */
export interface EventFilter {
  readonly classes: readonly IncidentClass[];
  readonly states: readonly State[];
  readonly severities: readonly Severity[];
}

/** Whether an entry passes a filter. */
export type EntryFilter = (line: EntryLine) => boolean;

/**
 * The filter as a function. An entry passes when its incident does, in the state to which the entry led. An entry about no
 * incident, or about one that is no longer on record, passes only when everything does.
 *
 * @param kindOf class and severity of an incident; undefined when it is not on record
 */
export const entryFilter = (
  { classes, states, severities }: EventFilter,
  kindOf: (incident: string) => IncidentKind | undefined,
): EntryFilter => {
  if (classes.length + states.length + severities.length === 0) return () => true;
  return (line) => {
    const entry = line.entry();
    if (!isAboutIncident(entry)) return false;
    const { incident, state } = entry.data;
    if (!isAmong(states, state)) return false;
    if (classes.length + severities.length === 0) return true;
    const kind = kindOf(incident);
    return kind !== undefined && isAmong(classes, kind.class) && isAmong(severities, kind.severity);
  };
};

const isAmong = (values: readonly unknown[], value: unknown): boolean => values.length === 0 || values.includes(value);
