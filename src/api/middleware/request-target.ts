import { RecorderError } from '../../errors.ts';
import type { Check } from './checks.ts';

/**
 * Rewrites a target in absolute form, which proxies receive, to path and query, and takes its host as the `Host` header,
 * whatever that was before (RFC 9112, section 3.2.2).
 *
 * @throws RecorderError `invalid_request` for a target that is no URL
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
