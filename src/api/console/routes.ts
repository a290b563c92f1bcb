import type { Context, Middleware } from 'koa';
import { RecorderError } from '../../errors.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { CODINGS, type ConsoleFile } from './console-files.ts';

const SELF = ["'self'"];
const NONE = ["'none'"];

/**
 * The page may load its own scripts and styles and talk to its own service, nothing else. No script can turn text into
 * markup or code: that takes a policy of trusted types, and there is none.
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

type WithFiles = Pick<ApiDependencies, 'console'>;

/** The web console of the recorder. */
export const consoleRoutes = (dependencies: WithFiles): readonly ApiRoute[] => pageRoutes(dependencies, 'index.html');

/**
 * The web console: its page at `/`, which clients revalidate each time, and its other files, which never change.
 * @param name the file of the page: each service has its own
 */
export const pageRoutes = ({ console }: WithFiles, name: string): readonly ApiRoute[] => {
  let loaded: Promise<Middleware> | undefined;
  const securityHeaders: Middleware = async (ctx, next) => (await (loaded ??= loadHelmet()))(ctx, next);
  return [
    {
      method: 'GET',
      path: '/',
      before: [securityHeaders],
      handle: async (ctx) => {
        const page = await console.get(name);
        if (page === undefined) throw new RecorderError('not_found', 'no console here: it was not built');
        respondFile(ctx, page, 'no-cache');
      },
    },
    {
      method: 'GET',
      path: '/console/:name',
      before: [securityHeaders],
      handle: async (ctx) => {
        const file = await console.get(String(ctx.params.name));
        if (file === undefined) throw new RecorderError('not_found', 'no such path');
        respondFile(ctx, file, 'public, max-age=31536000, immutable');
      },
    },
  ];
};

/** Loads helmet with the first page: the start of the service does not need it. */
const loadHelmet = async (): Promise<Middleware> => {
  const { default: helmet } = await import('koa-helmet');
  return helmet({
    contentSecurityPolicy: { useDefaults: false, directives: CONTENT_SECURITY_POLICY },
    xFrameOptions: { action: 'deny' },
  });
};

const respondFile = (ctx: Context, { type, etag, codings }: ConsoleFile, caching: string): void => {
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
