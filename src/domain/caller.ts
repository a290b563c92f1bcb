/** Who asks for something, as entries of the log keep it. */
import type { Role } from '../../machines/vocabulary.ts';

export type Caller = {
  /** Whose token it is. */
  readonly principal: string;
  /** The role in which they ask. */
  readonly role: Role;
  /** Who that is: the principal; for a token that several share, whom the request names. */
  readonly by?: string;
  /** Nothing but the request itself says that it is `by`. */
  readonly claimed?: true;
  /** For whom the principal asks, where the request names somebody else. */
  readonly on_behalf_of?: string;
} & FleetOrigin;

/**
 * The command of the fleet by which somebody asks: what names it, the key under which it may be given again, and when the
 * fleet has issued it (older entries do not say that).
 */
export type FleetOrigin = {
  readonly fleet_command?: string;
  readonly fleet_command_key?: string;
  readonly fleet_command_issued?: string;
};

/**
 * Whether somebody asks with a token of their own, so that the principal says who it is. With a token that several
 * share, the request itself says it, or nobody does.
 */
export const hasOwnToken = <Asking extends Partial<Caller>>(
  caller: Asking,
): caller is Asking & { readonly principal: string } =>
  caller.principal !== undefined && caller.by === caller.principal && caller.claimed === undefined;

/** Who asks, and what they say about it. Members that are not given are left out. */
export type Signed = Partial<Caller> & { readonly note?: string };

/** The members of an entry that say who asked for it. */
export const signed = (caller: Caller | undefined, note?: string): Signed =>
  note === undefined ? (caller ?? NOBODY) : { ...caller, note };

const NOBODY: Signed = {};

/**
 * Who asked for something, for people: `ada as operator for grace`, or `ada (claimed) as operator` where the token does
 * not say who that is. Undefined when an entry names nobody, or nothing but the token that all share.
 */
export function callerWords({
  principal,
  role,
  by,
  claimed,
  on_behalf_of: other,
}: Partial<Caller>): string | undefined {
  const who = by ?? (principal === SERVICE_TOKEN ? undefined : principal);
  if (who === undefined) return undefined;
  return `${who}${claimed === true ? ' (claimed)' : ''}${role === undefined ? '' : ` as ${role}`}${other === undefined ? '' : ` for ${other}`}`;
}

/** The principal of the service token, which several services share. No other principal may have this name. */
export const SERVICE_TOKEN = 'service-token';

/**
 * Whose a report's keys are: `dedup_key` and `Idempotency-Key` of one principal never meet those of another. All who
 * share the service token are one, and so is whoever sent a report of which the log names nobody.
 * @returns the name of the principal, or '' for them
 */
export const keysOwner = (principal: string | undefined): string =>
  principal === undefined || principal === SERVICE_TOKEN ? '' : principal;
