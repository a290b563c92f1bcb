import type { Context } from 'koa';
import { ACTIONS, type ContainmentAction, type Role, ROLES } from '../../../machines/vocabulary.ts';
import type { Principal } from '../../access/principal.ts';
import type { Reader } from '../../domain/withheld.ts';
import { RecorderError } from '../../errors.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { forbidden, missingRole, principalOf } from './authentication.ts';
import type { Check } from './checks.ts';

/** What everybody may read, whatever `READ_ACCESS` says. `/health` then shows its status only. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/health', '/']);
/** The console's files: scripts, styles and pictures that hold nothing of this machine. */
const CONSOLE_FILES = '/console/';

/** The reads whose routes ask for a role themselves. */
const ROUTES_WITH_ROLES: readonly { readonly path: RegExp; readonly roles: readonly Role[] }[] = [
  { path: /^\/api\/v1\/access\/me$/, roles: ROLES },
  { path: /^\/api\/v1\/forensic\/export$/, roles: ['auditor'] },
  { path: /^\/api\/v1\/incidents\/bundle$/, roles: ['auditor'] },
  { path: /^\/api\/v1\/log$/, roles: ['anchor', 'auditor'] },
];

/** Who may read what besides readers. */
const OTHER_READERS: readonly { readonly path: RegExp; readonly roles: readonly Role[] }[] = [
  { path: /^\/api\/v1\/containment(?:\/|$)/, roles: ['implementer'] },
  // Who resolves or releases must know before what that ends.
  { path: /^\/api\/v1\/containment\/preview$/, roles: ['operator', 'recovery'] },
  { path: /^\/api\/v1\/recovery\/status$/, roles: ['recovery'] },
];

/** Reads whose routes ask for a role of their own: here any token will do, so that a refusal names that role. */
const ASKING: ReadonlySet<string> = new Set(['/api/v1/forensic/export', '/api/v1/incidents/bundle', '/api/v1/log']);

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
    if (isRead && !ASKING.has(ctx.path) && !hasAny(principal, readers)) throw missingRole(principal, readers);
  };

const hasAny = (principal: Principal | undefined, roles: readonly Role[]): boolean =>
  principal !== undefined && principal.roles.some((role) => roles.includes(role));

const readersOf = (path: string): readonly Role[] =>
  ROUTES_WITH_ROLES.find((route) => route.path.test(path))?.roles ?? [
    'reader',
    ...OTHER_READERS.filter((others) => others.path.test(path)).flatMap(({ roles }) => roles),
  ];

/** Who reads the words of targets and webhooks, which may hold secrets. */
const TRUSTED: readonly Role[] = ['operator', 'recovery', 'auditor', 'admin'];

/** Whether a reader gets the words of services. Costs nothing for a request without credentials. */
export const isTrustedReader = (access: ApiDependencies['access'], ctx: Context): boolean =>
  hasRole(access, ctx, TRUSTED);

/** Who sees evidence where it is restricted. */
const EVIDENCE_READERS: readonly Role[] = ['auditor', 'operator', 'recovery'];

/** The refusal of what says something about evidence, where the reader may not see it. */
export const evidenceWithheld = (): RecorderError =>
  new RecorderError('forbidden', `forbidden: evidence is for ${EVIDENCE_READERS.join(', ')} here`, {
    fields: { needs: EVIDENCE_READERS },
  });

/** What a principal gets of what not everybody gets. */
export const readingOf = (
  principal: Principal | undefined,
  { readEvidence }: Pick<ApiDependencies, 'readEvidence'>,
): Reader => ({
  words: hasAny(principal, TRUSTED),
  evidence: readEvidence === 'open' || hasAny(principal, EVIDENCE_READERS),
});

/** What the reader who sends a request gets of what not everybody gets. */
export const readerOf = (
  dependencies: Pick<ApiDependencies, 'access' | 'readEvidence'>,
  { req }: Pick<Context, 'req'>,
): Reader => readingOf(presentedIn(dependencies.access, req), dependencies);

/** Whether a request may be answered, and gets all that `reader` got, by what its token is good for now. */
export const stillReads = (
  dependencies: Pick<ApiDependencies, 'access' | 'readAccess' | 'readEvidence'>,
  { req, path }: Pick<Context, 'req' | 'path'>,
  reader: Reader,
): boolean => {
  const principal = presentedIn(dependencies.access, req);
  if (dependencies.readAccess === 'token' && !hasAny(principal, readersOf(path))) return false;
  const now = readingOf(principal, dependencies);
  return (now.words || !reader.words) && (now.evidence || !reader.evidence);
};

/** The actions whose posture a request may read: where reads need a token, an implementer gets its own only. */
export const readableActions = (
  { access, readAccess: rule }: Pick<ApiDependencies, 'access' | 'readAccess'>,
  { req }: Pick<Context, 'req'>,
): readonly ContainmentAction[] => {
  const principal = rule === 'open' ? undefined : principalOf(req, access);
  if (principal === undefined || principal.roles.includes('reader')) return ACTIONS;
  return ACTIONS.filter((action) => principal.actions?.includes(action) ?? true);
};

/** Whether a request may read incidents, not only the posture. */
export const readsIncidents = (
  { access, readAccess: rule }: Pick<ApiDependencies, 'access' | 'readAccess'>,
  { req }: Pick<Context, 'req'>,
): boolean => rule === 'open' || hasAny(principalOf(req, access), ['reader']);

/** Whether a request comes from a principal with one of these roles. */
export const hasRole = (access: ApiDependencies['access'], { req }: Context, roles: readonly Role[]): boolean =>
  hasAny(presentedIn(access, req), roles);

/** Whose token a request carries. Costs nothing for one without credentials. */
const presentedIn = (access: ApiDependencies['access'], req: Context['req']): Principal | undefined =>
  req.headers.authorization === undefined ? undefined : principalOf(req, access);
