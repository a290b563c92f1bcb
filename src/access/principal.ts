/** Who has a token, and what they may do with it. */
import { type ContainmentAction, type IncidentClass, type Role, ROLES } from '../../machines/vocabulary.ts';
import { type FleetOrigin, SERVICE_TOKEN } from '../domain/caller.ts';
import type { RecorderError } from '../errors.ts';
import type { Verifier } from '../signed-note.ts';

export interface Principal {
  /** As entries of the log and people's screens show it. */
  readonly name: string;
  readonly roles: readonly Role[];
  /** Why it has not the roles that it may have some day; the refusal then is this one. */
  readonly refusal?: RecorderError;
  /** Several people and services present this token: who they are is what they say. */
  readonly shared?: true;
  /** What a `reporter` may report as, and of which classes; anything when not given. */
  readonly sources?: readonly string[] | undefined;
  readonly classes?: readonly IncidentClass[] | undefined;
  /** The actions whose posture an `implementer` may read, and which it may confirm; all when not given. */
  readonly actions?: readonly ContainmentAction[] | undefined;
  /** The command of the fleet by which they ask, where they do. */
  readonly origin?: FleetOrigin;
}

/** The fleet that keeps a copy of the log, and what may be done from there. */
export interface FleetTrust {
  /** Verifies what the fleet has signed. */
  readonly verifier: Verifier;
  /** The name of this machine in the fleet; any when not given. */
  readonly machine?: string;
  readonly roles: readonly Role[];
  /** The actions that may be engaged and released from there; all when not given. */
  readonly actions?: readonly ContainmentAction[] | undefined;
}

/** Those who have tokens. */
export interface Principals {
  /** Who presents this token; undefined when nobody has it. */
  principalOf(token: string | undefined): Principal | undefined;
  /** The fleet that keeps a copy of the log; undefined where there is none. */
  readonly fleet?: FleetTrust | undefined;
  /** The key of the proofs for a token, by its name (`proofKeyIdOf`); undefined when it is no such token's. */
  proofKey(id: string): Buffer | undefined;
}

/** Whoever presents the service token while no access file says otherwise. */
export const EVERY_ROLE: Principal = { name: SERVICE_TOKEN, roles: ROLES, shared: true };
