import type { Middleware } from 'koa';
import { RecorderError } from '../../errors.ts';
import type { ApiParts } from '../parts.ts';

const SCHEME = /^bearer +/i;

/** Lets through who presents the service token (`Authorization: Bearer …`, RFC 6750). Throws RecorderError `forbidden`. */
export const authentication =
  (token: ApiParts['token']): Middleware =>
  (ctx, next) => {
    const header = ctx.req.headers.authorization ?? '';
    const presented = SCHEME.test(header) ? header.replace(SCHEME, '') : undefined;
    if (token.matches(presented)) return next();
    ctx.set('WWW-Authenticate', 'Bearer');
    throw new RecorderError('forbidden', 'forbidden');
  };
