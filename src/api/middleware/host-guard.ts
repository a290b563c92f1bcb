import type { Context } from 'koa';
import { RecorderError } from '../../errors.ts';
import type { ApiParts } from '../dependencies.ts';
import type { Check } from './checks.ts';

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
  ({ allowNonLoopback, overUnixSocket }: Pick<ApiParts, 'allowNonLoopback' | 'overUnixSocket'>): Check =>
  (ctx) => {
    const { host = '', origin, 'sec-fetch-site': site } = ctx.req.headers;
    if (timesNamed(ctx.req.rawHeaders) > 1 || (host === '' && !overUnixSocket)) {
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
  };

/** How many `Host` headers there are. (`headersDistinct` would take all headers apart for that.) */
const timesNamed = (rawHeaders: readonly string[]): number => {
  let times = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!;
    if (name.length === 4 && name.toLowerCase() === 'host') times += 1;
  }
  return times;
};

/** A link may lead here from elsewhere, as from a message about an incident: it opens the page and says nothing. */
const opensConsole = ({ method, path, req }: Context): boolean =>
  method === 'GET' && path === '/' && req.headers['sec-fetch-dest'] === 'document';
