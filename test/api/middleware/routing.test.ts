import Router, { type RouterContext } from '@koa/router';
import { expect } from 'chai';
import Koa from 'koa';
import { exactRoutes } from '../../../src/api/middleware/routing.ts';
import { ApiServer } from '../../../src/api/server/api-server.ts';
import { systemClock } from '../../../src/clock.ts';
import { ask } from '../support/client.ts';
import { standIn } from '../support/dependencies.ts';

describe('exactRoutes', () => {
  let server: ApiServer;
  before(async () => {
    const router = new Router({ sensitive: true, strict: true });
    router.get(
      '/plain',
      async (ctx, next) => {
        ctx.body = 'first';
        await next();
        ctx.body += ', last';
      },
      (ctx) => {
        ctx.body += ', second';
      },
    );
    router.get('/passing', (_, next) => next());
    router.get('/named/:name', (ctx) => {
      ctx.body = ctx.params.name;
    });
    const app = new Koa();
    app.use(async (ctx, next) => {
      await next();
      ctx.set('X-Route', String((ctx as unknown as RouterContext)._matchedRoute ?? 'none'));
    });
    app.use(exactRoutes(router));
    app.use((ctx) => {
      ctx.body = 'behind the routes';
    });
    server = await ApiServer.listen(
      app.callback(),
      { kind: 'tcp', host: '127.0.0.1', port: 0 },
      { log: standIn().log, clock: systemClock },
    );
  });
  after(() => server.close(0));

  for (const [method, path, text, route] of [
    ['GET', '/plain', 'first, second, last', '/plain'],
    ['GET', '/plain?with=query', 'first, second, last', '/plain'],
    ['HEAD', '/plain', '', '/plain'],
    ['GET', '/passing', 'behind the routes', '/passing'],
    ['GET', '/named/seven', 'seven', '/named/:name'],
    ['GET', '/named/:name', ':name', '/named/:name'],
    ['POST', '/plain', 'behind the routes', 'none'],
    ['GET', '/plain/', 'behind the routes', 'none'],
    ['GET', '/Plain', 'behind the routes', 'none'],
    ['GET', '/nowhere', 'behind the routes', 'none'],
  ] as const) {
    it(`answers ${method} ${path} with ${JSON.stringify(text)}`, async () => {
      const { status, text: answer, headers } = await ask(server, path, { method });
      expect([status, answer, headers['x-route']]).to.deep.equal([200, text, route]);
      if (method === 'HEAD') expect(headers['content-length']).to.equal(String('first, second, last'.length));
    });
  }
});
