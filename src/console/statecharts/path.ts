/** The path of an incident through its statechart: the chart itself walks it, as it does for the service's drawing. */
import type { IncidentEntry } from '../../domain/entries.ts';
import type { Whereabouts } from '../../statecharts/svg.ts';

/**
 * Where entries have led, from the report on.
 * @returns undefined when they do not begin with a report, or contradict the statechart
 */
export type WhereaboutsOf = (entries: readonly IncidentEntry[]) => Whereabouts | undefined;

/** Loads the statechart, and XState with it. */
export const loadWhereabouts = async (): Promise<WhereaboutsOf> => {
  const [{ IncidentPath }, { RecorderError }] = await Promise.all([
    import('../../query/incident-path.ts'),
    import('../../errors.ts'),
  ]);
  return (entries) => {
    const path = new IncidentPath();
    try {
      for (const entry of entries) path.take(entry);
      return path.whereabouts;
    } catch (error) {
      if (error instanceof RecorderError) return undefined;
      throw error;
    }
  };
};

/** The states that an incident is in or has left. The id of a transition begins with the state that it leaves. */
export const partsVisited = ({ current, taken }: Pick<Whereabouts, 'current' | 'taken'>): ReadonlySet<string> =>
  new Set([...current, ...[...taken].flatMap((id) => statesAround(id.split(':', 1)[0]!))]);

/** A state and those around it: `contained.delivering` is within `contained`. */
const statesAround = (id: string): readonly string[] =>
  id.split('.').map((_, index, names) => names.slice(0, index + 1).join('.'));
