import { RecorderError } from '../../errors.ts';
import type { Check } from './checks.ts';

/**
 * Brings a target in absolute form, as proxies get it, into the form that everything behind reads: the path and query
 * alone, with the host in `Host`, whatever that said before (RFC 9112, section 3.2.2).
 *
 * Throws RecorderError `invalid_request` for a target that is no URL.
 */
export const requestTarget =
  (): Check =>
  ({ req }) => {
    if (req.url?.startsWith('/') || req.url === '*') return;
    const target = URL.parse(req.url ?? '');
    if (target === null) throw new RecorderError('invalid_request', 'malformed URL');
    req.url = target.pathname + target.search;
    req.headers.host = target.host;
  };
