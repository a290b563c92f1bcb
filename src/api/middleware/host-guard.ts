import type { Context, Middleware } from 'koa';
import { RecorderError } from '../../errors.ts';
import type { ApiParts } from '../parts.ts';

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/**
 * Keeps web pages away from the service: a browser on this machine can be made to send requests here by any page that
 * it shows, also by one whose name was made to point at the loopback (DNS rebinding).
 *
 * `Host` must name the loopback, unless the service is meant to be reached from elsewhere; over a unix socket, where
 * there is no name to speak of, it may also be `unix` or empty. `Origin`, which browsers add, must be the service's own,
 * and `Sec-Fetch-Site` must not say that another page is behind the request, one from another port included (`same-site`),
 * unless that is a link to the console.
 *
 * Throws RecorderError `forbidden`, and `invalid_request` where Host is missing or repeated (RFC 9112, section 3.2).
 */
export const hostGuard =
  ({ allowNonLoopback, overUnixSocket }: Pick<ApiParts, 'allowNonLoopback' | 'overUnixSocket'>): Middleware =>
  (ctx, next) => {
    const { host = '', origin, 'sec-fetch-site': site } = ctx.req.headers;
    const named = ctx.req.headersDistinct.host?.length ?? 0;
    if (named > 1 || (host === '' && !overUnixSocket)) {
      throw new RecorderError('invalid_request', 'exactly one Host header required');
    }
    const nameless = overUnixSocket && (host === '' || host === 'unix');
    if (!allowNonLoopback && !nameless && !LOOPBACK.test(host)) {
      throw new RecorderError('forbidden', 'Host must be the loopback: localhost, 127.0.0.1 or [::1]');
    }
    const isForeign = site === 'cross-site' || site === 'same-site';
    if ((isForeign && !opensConsole(ctx)) || (origin !== undefined && origin !== `http://${host}`)) {
      throw new RecorderError('forbidden', 'requests from other origins are refused');
    }
    return next();
  };

/** A link may lead here from elsewhere, as from a message about an incident: it opens the page and says nothing. */
const opensConsole = ({ method, path, req }: Context): boolean =>
  method === 'GET' && path === '/' && req.headers['sec-fetch-dest'] === 'document';
