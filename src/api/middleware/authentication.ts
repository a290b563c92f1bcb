import type { IncomingMessage } from 'node:http';
import { RecorderError } from '../../errors.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Check } from './checks.ts';

const SCHEME = /^bearer +/i;

/** Whether a request carries the service token (`Authorization: Bearer …`, RFC 6750). */
export const carriesToken = (
  { headers }: Pick<IncomingMessage, 'headers'>,
  token: ApiDependencies['token'],
): boolean => {
  const header = headers.authorization ?? '';
  const [scheme] = SCHEME.exec(header) ?? [];
  return token.matches(scheme && header.slice(scheme.length));
};

/**
 * Admits requests with the service token.
 * @throws RecorderError `forbidden`
 */
export const authentication =
  (token: ApiDependencies['token']): Check =>
  (ctx) => {
    if (carriesToken(ctx.req, token)) return;
    ctx.set('WWW-Authenticate', 'Bearer');
    throw new RecorderError('forbidden', 'forbidden');
  };
