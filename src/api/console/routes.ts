import type Router from '@koa/router';
import type { Context, Middleware } from 'koa';
import { RecorderError } from '../../errors.ts';
import { CODINGS, type ConsoleFile } from './console-files.ts';
import type { ApiParts } from '../dependencies.ts';

const SELF = ["'self'"];
const NONE = ["'none'"];

/**
 * What the page may do: load its own scripts and styles and talk to its own service, and nothing else. Nothing in it can
 * make text into markup or code, as that would take a policy of trusted types and there is none.
 */
const CONTENT_SECURITY_POLICY = {
  'default-src': NONE,
  'script-src': SELF,
  'style-src': SELF,
  'img-src': SELF,
  'connect-src': SELF,
  'base-uri': NONE,
  'form-action': NONE,
  'frame-ancestors': NONE,
  'require-trusted-types-for': ["'script'"],
  'trusted-types': NONE,
};

/** The web console: its page at `/`, to be asked for anew each time, and its other files, which never change. */
export const addConsoleRoutes = (router: Router, { console }: Pick<ApiParts, 'console'>): void => {
  let loaded: Promise<Middleware> | undefined;
  const guarded: Middleware = async (ctx, next) => (await (loaded ??= loadGuard()))(ctx, next);

  router.get('/', guarded, async (ctx) => {
    const page = await console.get('index.html');
    if (page === undefined) throw new RecorderError('not_found', 'no console here: it was not built');
    answer(ctx, page, 'no-cache');
  });

  router.get('/console/:name', guarded, async (ctx) => {
    const file = await console.get(String(ctx.params.name));
    if (file === undefined) throw new RecorderError('not_found', 'no such path');
    answer(ctx, file, 'public, max-age=31536000, immutable');
  });
};

/** The headers of helmet, which are loaded with the first page: a start has no need of them. */
const loadGuard = async (): Promise<Middleware> => {
  const { default: helmet } = await import('koa-helmet');
  return helmet({
    contentSecurityPolicy: { useDefaults: false, directives: CONTENT_SECURITY_POLICY },
    xFrameOptions: { action: 'deny' },
  });
};

const answer = (ctx: Context, { type, etag, codings }: ConsoleFile, caching: string): void => {
  const offered = CODINGS.filter((coding) => codings.has(coding));
  const coding = ctx.acceptsEncodings(...offered) || 'identity';
  ctx.set({ 'Cache-Control': caching, ETag: etag, Vary: 'Accept-Encoding' });
  ctx.status = 200;
  if (ctx.fresh) {
    ctx.status = 304;
    return;
  }
  if (coding !== 'identity') ctx.set('Content-Encoding', coding);
  ctx.set('Content-Type', type);
  ctx.body = codings.get(coding as (typeof CODINGS)[number]);
};
