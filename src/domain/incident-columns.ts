/** What of an incident tables hold in columns of their own, as numbers. */
import { type ContainmentStatus, SEVERITIES, type Severity } from '../../machines/vocabulary.ts';
import { isUndelivered, waitOf } from './delivery.ts';
import type { Incident } from './incident.ts';
import { recoveryStage } from './recovery.ts';

/** How far the recovery of an incident is, and whether the attestor is to be asked, as columns hold it. */
export function recoveryColumns(incident: Incident): readonly [recovery: number, attesting: number] {
  if (incident.recovery === undefined) return NO_RECOVERY;
  const stage = recoveryStage(incident);
  return [stage === undefined ? 0 : stage === 'complete' ? 2 : 1, stage === 'attesting' ? 1 : 0];
}

const NO_RECOVERY = [0, 0] as const;

/** How the containment of an incident is, as a column holds it; 0 when there is none. All but `confirmed` are indexed. */
export const CONTAINMENT_COLUMN: Readonly<Record<ContainmentStatus, number>> = {
  confirmed: 1,
  delivering: 2,
  overdue: 3,
  degraded: 4,
};

/** What a value of that column stands for; undefined for no containment. */
export const CONTAINMENT_STATUS: readonly (ContainmentStatus | undefined)[] = Object.entries(CONTAINMENT_COLUMN).reduce<
  (ContainmentStatus | undefined)[]
>((statuses, [status, column]) => {
  statuses[column] = status as ContainmentStatus;
  return statuses;
}, []);

export const containmentColumn = ({ containment }: Incident): number =>
  containment === undefined ? 0 : CONTAINMENT_COLUMN[containment.status];

/** Whether an incident is a drill, and whether that is over: its releases are settled. */
export function drillColumn({ drill, state, drill_releases: releases = [] }: Incident): 0 | 1 | 2 {
  if (drill !== true) return 0;
  return state === 'resolved' && !releases.some(isUndelivered) ? 2 : 1;
}

/** The most severe is 0. */
export const rankOf = (severity: Severity): number => SEVERITIES.indexOf(severity);

/** When an incident came to the ends that statistics measure: RFC 3339; null where it has not. */
export function endsOf({ acknowledged_at, resolved_at, containment }: Incident): {
  readonly acknowledged_at: string | null;
  readonly resolved_at: string | null;
  readonly confirmed_at: string | null;
} {
  const confirmed = containment?.status === 'confirmed' ? containment.actions : [];
  const times = confirmed.flatMap(({ confirmed_at: at }) => (at === undefined ? [] : [at]));
  return {
    acknowledged_at: acknowledged_at ?? null,
    resolved_at: resolved_at ?? null,
    confirmed_at: times.length === 0 ? null : times.reduce((latest, at) => (at > latest ? at : latest)),
  };
}

/** Whether an unresolved incident waits for a service: statistics then count it as not contained. A drill does not. */
export const isWaitedFor = ({ state, drill, containment }: Incident): boolean =>
  state !== 'resolved' && drill !== true && (containment?.actions ?? []).some((one) => waitOf(one) !== undefined);
