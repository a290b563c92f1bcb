import type { IncomingMessage } from 'node:http';
import type { Context } from 'koa';
import { RecorderError } from '../../errors.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Check } from './checks.ts';

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/**
 * Keeps web pages away from the service. Any page can make the browser of this machine send requests here, also a page
 * whose name resolves to the loopback (DNS rebinding).
 *
 * - `Host` must name the loopback, unless the service may be reached from elsewhere. Over a unix socket, which has no
 *   name, it may also be `unix` or empty. A request in HTTP/1.0 need not have it, and no browser sends one.
 * - `Origin`, which browsers add, must be the service's own.
 * - `Sec-Fetch-Site` must not name another page, not even one from another port (`same-site`), unless the request opens
 *   the console from a link.
 *
 * @throws RecorderError `forbidden`; `invalid_request` where Host is missing or repeated (RFC 9112, section 3.2)
 */
export const hostGuard =
  ({ allowNonLoopback, overUnixSocket }: Pick<ApiDependencies, 'allowNonLoopback' | 'overUnixSocket'>): Check =>
  (ctx) => {
    const { host = '', origin, 'sec-fetch-site': site } = ctx.req.headers;
    const nameless =
      (host === '' && ctx.req.httpVersion === '1.0') ||
      ((host === '' || host === 'unix') && overUnixSocket && !isTcp(ctx.req));
    if (hostHeaders(ctx.req.rawHeaders) > 1 || (host === '' && !nameless)) {
      throw new RecorderError('invalid_request', 'exactly one Host header required');
    }
    if (!allowNonLoopback && !nameless && !LOOPBACK.test(host)) {
      throw new RecorderError('forbidden', 'Host must be the loopback: localhost, 127.0.0.1 or [::1]');
    }
    const isForeign = site === 'cross-site' || site === 'same-site';
    if ((isForeign && !opensConsole(ctx)) || (origin !== undefined && origin !== `http://${host}`)) {
      throw new RecorderError('forbidden', 'requests from other origins are refused');
    }
  };

const isTcp = ({ socket }: IncomingMessage): boolean => socket.localPort !== undefined;

/** How many `Host` headers there are. (`headersDistinct` would parse all headers for that.) */
const hostHeaders = (rawHeaders: readonly string[]): number => {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!;
    if (name.length === 4 && name.toLowerCase() === 'host') count += 1;
  }
  return count;
};

/** A link from elsewhere, as in a message about an incident, may open the page: that changes nothing. */
const opensConsole = ({ method, path, req }: Context): boolean =>
  method === 'GET' && path === '/' && req.headers['sec-fetch-dest'] === 'document';
