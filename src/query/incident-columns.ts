/** What databases hold of an incident in columns, as numbers. */
import { type ContainmentStatus, SEVERITIES, type Severity } from '../../machines/vocabulary.ts';
import { isUndelivered } from '../domain/delivery.ts';
import type { Incident } from '../domain/incident.ts';

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
