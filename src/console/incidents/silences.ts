/** The silences, kept current, and whether one matches an incident. */
import { computed } from '@preact/signals';
import type { IncidentClass, Severity } from '../../../machines/vocabulary.ts';
import { LiveResource } from '../live-resource.ts';
import type { IncidentRow } from './incident-row.ts';

/** A silence as the API shows it. */
export interface Silence {
  /** At a fleet: where. */
  readonly machine?: string;
  readonly id: string;
  readonly class: readonly IncidentClass[];
  readonly source: readonly string[];
  readonly severity: readonly Severity[];
  readonly q?: string;
  readonly from: string;
  readonly until: string;
  readonly reason: string;
  readonly by?: string;
  readonly role?: string;
  readonly state: 'pending' | 'active' | 'expired' | 'ended';
  readonly expires_soon: boolean;
  readonly matches: number;
}

export const silences = new LiveResource<readonly Silence[]>(
  () => '/api/v1/silences',
  ({ event }) => event.startsWith('silence.') || event === 'incident.reported',
  5000,
);

export const activeSilences = computed(() => (silences.value.value ?? []).filter(({ state }) => state === 'active'));

/** The ids of the active silences: when they change, what needs attention changes. */
export const activeIds = computed(() => activeSilences.value.map(({ id }) => id).join());

/** Whether an active silence matches an incident. */
export const isSilenced = (row: IncidentRow): boolean =>
  activeSilences.peek().some(({ machine, class: classes, source, severity, q = '' }) => {
    if (machine !== row.machine) return false;
    const text = `${row.description} ${row.source} ${row.id}`.toLowerCase();
    return (
      (classes.length === 0 || classes.includes(row.class)) &&
      (source.length === 0 || source.includes(row.source)) &&
      (severity.length === 0 || severity.includes(row.severity)) &&
      q
        .toLowerCase()
        .split(/\s+/)
        .every((word) => text.includes(word))
    );
  });
