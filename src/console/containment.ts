/** Containment as the API gives it: what is in force, and what has become of what was asked for. */
import type { ContainmentAction } from '../../machines/vocabulary.ts';
import { Kept } from './kept.ts';

/** One containment action of one incident. Times are RFC 3339. */
export interface Delivery {
  readonly action: ContainmentAction;
  readonly status: string;
  readonly via?: string;
  readonly attempts: number;
  readonly last_error?: string | null;
  readonly next_attempt_at?: string | null;
  readonly confirmed_at?: string | null;
}

export interface Containment {
  readonly status: 'delivering' | 'confirmed' | 'degraded';
  readonly actions: readonly Delivery[];
}

/** One action as it is in force now. */
export interface ActionPosture {
  readonly action: ContainmentAction;
  readonly engaged: boolean;
  readonly since: string | null;
  /** How many unresolved incidents hold it. */
  readonly holders: number;
  /** The oldest of them. */
  readonly held_by: readonly string[];
  /** `push`, `poll` or `log`. */
  readonly via: string;
  readonly delivery:
    | (Omit<Delivery, 'action'> & {
        readonly counts: Readonly<Record<string, number>>;
        readonly incident: string;
        readonly directive: 'engage' | 'release';
      })
    | null;
}

export type Posture = Readonly<Record<ContainmentAction, ActionPosture>>;

export const posture = new Kept<Posture>(
  () => '/api/v1/containment',
  ({ event }) => event.startsWith('incident.') || event.startsWith('containment.') || event === 'alert.raised',
);

/** Whether a person has to look at a delivery. */
export const isBroken = (status: string): boolean => status === 'failed' || status === 'lost';
