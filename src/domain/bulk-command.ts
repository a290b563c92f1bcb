/** What a command on many incidents is answered: the API gives it, the command line reads it. */
import type { ContainmentAction, RecoveryStep, Role, State } from '../../machines/vocabulary.ts';

/** What became of one incident. */
export interface BulkResult {
  readonly id: string;
  /** As the command alone would have been answered. */
  readonly status: number;
  readonly change?: 'moved' | 'unchanged';
  readonly state?: State;
  readonly error?: string;
  readonly [field: string]: unknown;
}

export interface BulkAnswer {
  /** At a fleet: by which one follows what the machines do. */
  readonly act?: string;
  readonly results: readonly BulkResult[];
  /** Whether all that the filter selects were worked. */
  readonly done: boolean;
  /** How many are left, unless those are very many. */
  readonly remaining?: number;
  /** To be sent with the same command and filter to go on; only until it is done. */
  readonly cursor?: string;
  /** Why it stopped before its time, when something is wrong with the whole service. */
  readonly stopped?: { readonly status: number; readonly error: string };
}

/** A machine of which a fleet does not know how it is now. */
export interface UncertainMachine {
  readonly machine: string;
  /** Whether it was not heard for long, or was revoked; and when it was heard last. */
  readonly silent: boolean;
  readonly heard_at: string | null;
  /** How many of its entries the fleet does not have. */
  readonly behind: number;
}

export interface BulkPreview {
  /** How many incidents the filter selects. */
  readonly matched: number;
  /** Whether all were counted. */
  readonly complete: boolean;
  /** At a fleet: how many are on which machine. */
  readonly machines?: Readonly<Record<string, number>>;
  /** At a fleet: those of them whose incidents may be others by now; not there when there is none. */
  readonly uncertain?: readonly UncertainMachine[];
  readonly classes: Readonly<Record<string, number>>;
  readonly severities: Readonly<Record<string, number>>;
  readonly states: Readonly<Record<string, number>>;
  /** How many would move, and how many are there already. */
  readonly allowed: number;
  readonly unchanged: number;
  /** How many would refuse, by their state. */
  readonly refused: Readonly<Record<string, number>>;
  /** How many of these would do it for the roles that they ask for, and which those are. */
  readonly needs?: { readonly roles: readonly Role[]; readonly count: number };
  /** With resolve: how many can't be resolved yet, as their recovery needs these steps. */
  readonly missing?: Readonly<Partial<Record<RecoveryStep, number>>>;
  /** How many were asked, when there are more. */
  readonly judged?: number;
  /**
   * With `resolve`: what becomes of each action that those which would move hold, as the preview of a release says it. Not
   * there when not all were asked.
   */
  readonly actions?: readonly {
    /** Where; only a fleet says it. */
    readonly machine?: string;
    readonly action: ContainmentAction;
    readonly releases: boolean;
    readonly holders: number;
    readonly others: number;
    readonly last: boolean;
  }[];
  /** To be sent as `cursor`, so that the command works what was previewed, and nothing that was reported since. */
  readonly snapshot: string;
}
