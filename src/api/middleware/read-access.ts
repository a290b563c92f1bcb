import type { Context } from 'koa';
import type { Role } from '../../../machines/vocabulary.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { forbidden, missingRole, principalOf } from './authentication.ts';
import type { Check } from './checks.ts';

/** What everybody may read, whatever `READ_ACCESS` says. `/health` then shows its status only. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/health', '/']);
/** The console's files: scripts, styles and pictures that hold nothing of this machine. */
const CONSOLE_FILES = '/console/';

/** Who may read what besides readers. A route that asks for a role of its own is among them. */
const OTHER_READERS: readonly { readonly path: RegExp; readonly roles: readonly Role[] }[] = [
  { path: /^\/api\/v1\/containment(?:\/|$)/, roles: ['implementer'] },
];

/**
 * With `READ_ACCESS=token`, admits only reads of principals that may read, except for the probes and the console's
 * files. Paths that no route has are refused, too, and every other method without a token, so that whatever is new is
 * closed until it is listed here.
 * @throws RecorderError `forbidden`
 */
export const readAccess =
  ({ readAccess: rule, access }: Pick<ApiDependencies, 'readAccess' | 'access'>): Check =>
  (ctx) => {
    if (rule === 'open') return;
    const isRead = ctx.method === 'GET' || ctx.method === 'HEAD';
    if (isRead && (OPEN_PATHS.has(ctx.path) || ctx.path.startsWith(CONSOLE_FILES))) return;
    const principal = principalOf(ctx.req, access);
    if (principal === undefined) throw forbidden(ctx);
    const readers = readersOf(ctx.path);
    if (isRead && !readers.some((role) => principal.roles.includes(role))) throw missingRole(principal, readers);
  };

const readersOf = (path: string): readonly Role[] => [
  'reader',
  ...OTHER_READERS.filter((others) => others.path.test(path)).flatMap(({ roles }) => roles),
];

/** Who reads everything that the recorder knows, also the words of targets and webhooks, which may hold secrets. */
const TRUSTED: readonly Role[] = ['operator', 'recovery', 'auditor', 'admin'];

/** Whether a reader may see everything. Costs nothing for a request without credentials. */
export const isTrustedReader = (access: ApiDependencies['access'], ctx: Context): boolean =>
  hasRole(access, ctx, TRUSTED);

/** Whether a request comes from a principal with one of these roles. */
export const hasRole = (access: ApiDependencies['access'], { req }: Context, roles: readonly Role[]): boolean => {
  const principal = req.headers.authorization === undefined ? undefined : principalOf(req, access);
  return principal !== undefined && principal.roles.some((role) => roles.includes(role));
};
