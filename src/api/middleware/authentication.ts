import { RecorderError } from '../../errors.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Check } from './checks.ts';

const SCHEME = /^bearer +/i;

/**
 * Admits requests with the service token (`Authorization: Bearer …`, RFC 6750).
 * @throws RecorderError `forbidden`
 */
export const authentication =
  (token: ApiDependencies['token']): Check =>
  (ctx) => {
    const header = ctx.req.headers.authorization ?? '';
    const [scheme] = SCHEME.exec(header) ?? [];
    if (token.matches(scheme && header.slice(scheme.length))) return;
    ctx.set('WWW-Authenticate', 'Bearer');
    throw new RecorderError('forbidden', 'forbidden');
  };
