/**
 * Replays an incident: its record after each entry, made by the same fold and the same statechart as in the service.
 */
import type { IncidentRecord } from '../../domain/incident.ts';
import { type IncidentEntry, isOpening } from '../../domain/entries.ts';

export type Fold = (before: IncidentRecord | undefined, entry: IncidentEntry) => IncidentRecord;

/** Loads the fold, and XState with it, for the first replay. */
export const loadFold = async (): Promise<Fold> => (await import('../../domain/incident.ts')).fold;

/** The record after the first `count` entries, at least one. @throws Contradiction when they contradict the statechart */
export const recordAfter = (fold: Fold, entries: readonly IncidentEntry[], count: number): IncidentRecord =>
  entries.slice(0, Math.max(count, entries.findIndex(isOpening) + 1)).reduce<IncidentRecord | undefined>(
    // Entries before the one that carries it over are of no use without its report.
    (record, entry) => (record === undefined && !isOpening(entry) ? undefined : fold(record, entry)),
    undefined,
  )!;
