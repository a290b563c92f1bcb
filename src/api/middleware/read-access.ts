import type { Context } from 'koa';
import type { ApiDependencies } from '../dependencies.ts';
import { authentication, carriesToken } from './authentication.ts';
import type { Check } from './checks.ts';

/** What everybody may read, whatever `READ_ACCESS` says. `/health` then shows its status only. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/health', '/']);
/** The console's files: scripts, styles and pictures that hold nothing of this machine. */
const CONSOLE_FILES = '/console/';

/**
 * With `READ_ACCESS=token`, admits only requests that carry the service token, except for reads of the probes and the
 * console's files. Paths that no route has are refused, too, and every other method, so that whatever is new is closed
 * until it is listed here.
 * @throws RecorderError `forbidden`
 */
export const readAccess = ({ readAccess: access, token }: Pick<ApiDependencies, 'readAccess' | 'token'>): Check => {
  const authenticate = authentication(token);
  return (ctx) => {
    if (access === 'open') return;
    const isRead = ctx.method === 'GET' || ctx.method === 'HEAD';
    if (isRead && (OPEN_PATHS.has(ctx.path) || ctx.path.startsWith(CONSOLE_FILES))) return;
    authenticate(ctx);
  };
};

/** Whether a reader has presented the token. Costs nothing for a request without credentials. */
export const isTrustedReader = (token: ApiDependencies['token'], ctx: Context): boolean =>
  ctx.req.headers.authorization !== undefined && carriesToken(ctx.req, token);
