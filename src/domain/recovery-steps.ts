/**
 * What an incident may need before it may be resolved: what each step means, who may take it, and how. For the command
 * line and the console.
 */
import type { IncidentClass, RecoveryStep, Role, Severity } from '../../machines/vocabulary.ts';

export interface RecoveryAct {
  /** The last part of its path, and its subcommand of `incident-recorder recovery`. */
  readonly name: 'ack' | 'reattest' | 'waive';
  /** What it does, in a few words. */
  readonly summary: string;
  /** The roles that may do it, one of them. */
  readonly roles: readonly Role[];
  /** Who may not, although they have the role. */
  readonly except?: string;
}

/** What fulfils each step. */
export const RECOVERY_ACTS: Readonly<Record<RecoveryStep, RecoveryAct & { readonly needs: string }>> = {
  acknowledge: {
    name: 'ack',
    summary: 'acknowledge that the machine may be trusted again',
    needs: 'somebody acknowledges that the machine may be trusted again',
    roles: ['recovery'],
    except: 'who reported it',
  },
  attest: {
    name: 'reattest',
    summary: 'ask the attestor to prove what the machine runs',
    needs: 'the attestor proves what the machine runs',
    roles: ['recovery'],
  },
};

/** What fulfils every step at once. */
export const WAIVER: RecoveryAct = {
  name: 'waive',
  summary: 'resolve without what is missing, for a reason that is recorded and alerted',
  roles: ['admin'],
};

/** `the role recovery, but not who reported it` */
export const whoMay = ({ roles, except }: RecoveryAct): string =>
  `the role ${roles.join(' or ')}${except === undefined ? '' : `, but not ${except}`}`;

export const pathOfAct = ({ name }: RecoveryAct): string => `/api/v1/recovery/${name}`;

/** An incident that waits for its recovery, as far as people are shown it. */
export interface PendingRecovery {
  /** At a fleet: where. */
  readonly machine?: string;
  readonly incident_id: string;
  readonly incident_class: IncidentClass;
  readonly severity: Severity;
  /** Since when it is asked for; what was done before does not count. */
  readonly required_after: string;
  readonly require_ack: boolean;
  readonly require_reattest: boolean;
  readonly acked_at?: string;
  readonly acked_by?: string;
  readonly re_attested_at?: string;
  readonly recovery_complete: boolean;
}

/** The answer of `GET /api/v1/recovery/status`. */
export interface RecoveryStatus {
  readonly count: number;
  readonly pending_recoveries: readonly PendingRecovery[];
}

/** The steps that are still missing. */
export const missingOf = (pending: PendingRecovery): readonly RecoveryStep[] => {
  if (pending.recovery_complete) return [];
  const ack = pending.require_ack && pending.acked_at === undefined;
  const attest = pending.require_reattest && pending.re_attested_at === undefined;
  return [...(ack ? (['acknowledge'] as const) : []), ...(attest ? (['attest'] as const) : [])];
};
