import { RecorderError } from '../../errors.ts';
import type { ApiParts } from '../dependencies.ts';
import type { Check } from './checks.ts';

const SCHEME = /^bearer +/i;

/** Lets through who presents the service token (`Authorization: Bearer …`, RFC 6750). Throws RecorderError `forbidden`. */
export const authentication =
  (token: ApiParts['token']): Check =>
  (ctx) => {
    const header = ctx.req.headers.authorization ?? '';
    const [scheme] = SCHEME.exec(header) ?? [];
    if (token.matches(scheme && header.slice(scheme.length))) return;
    ctx.set('WWW-Authenticate', 'Bearer');
    throw new RecorderError('forbidden', 'forbidden');
  };
