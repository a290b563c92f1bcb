import type { Context } from 'koa';
import type { Role } from '../../../machines/vocabulary.ts';
import type { Caller } from '../../domain/caller.ts';
import { RecorderError } from '../../errors.ts';
import { admittedIn } from '../middleware/authentication.ts';

/** The roles in which one may ask on behalf of somebody else. */
const FOR_OTHERS: readonly Role[] = ['operator', 'recovery', 'admin'];

/** Forms send a field that was not filled in as empty text. */
export const isFilled = (text: string | undefined): text is string => text !== undefined && text.trim() !== '';

/**
 * Who asks for what a request asks for. A token of one's own says who that is; with one that several share, the body
 * says it, and nothing proves it.
 * @param by whom the body names
 * @throws RecorderError `forbidden` where the role does not allow to ask on behalf of somebody else
 */
export function callerOf(ctx: Context, by?: string): Caller {
  const { principal, role } = admittedIn(ctx);
  const { name, shared, origin } = principal;
  const named = isFilled(by) ? by : undefined;
  if (shared === true) {
    return named === undefined ? { principal: name, role } : { principal: name, role, by: named, claimed: true };
  }
  const caller =
    origin === undefined ? { principal: name, role, by: name } : { principal: name, role, by: name, ...origin };
  if (named === undefined || named === name) return caller;
  if (FOR_OTHERS.includes(role)) return { ...caller, on_behalf_of: named };
  const message = `forbidden: by can be given only in the roles ${FOR_OTHERS.join(', ')}, and ${name} asks as ${role}`;
  throw new RecorderError('forbidden', message, { fields: { needs: FOR_OTHERS, roles: principal.roles } });
}
