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
};

/** Who asks, and what they say about it. Members that are not given are left out. */
export type Signed = Partial<Caller> & { readonly note?: string };

/** The members of an entry that say who asked for it. */
export const signed = (caller: Caller | undefined, note?: string): Signed =>
  note === undefined ? (caller ?? NOBODY) : { ...caller, note };

const NOBODY: Signed = {};
