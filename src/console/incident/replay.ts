/**
 * What the record of an incident was after each of its entries, made from the entries by the same fold and the same
 * statechart that the service makes its record with.
 */
import type { IncidentRecord } from '../../domain/incident.ts';
import type { IncidentEntry } from '../../domain/entries.ts';

export type Fold = (before: IncidentRecord | undefined, entry: IncidentEntry) => IncidentRecord;

/** Loads the fold, and XState with it: not before somebody wants to replay. */
export const loadFold = async (): Promise<Fold> => (await import('../../domain/incident.ts')).fold;

/** The record after the first `count` entries, of which there is at least one. Throws where they contradict the chart. */
export const recordAfter = (fold: Fold, entries: readonly IncidentEntry[], count: number): IncidentRecord =>
  entries.slice(0, count).reduce<IncidentRecord | undefined>((record, entry) => fold(record, entry), undefined)!;
