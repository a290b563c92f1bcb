import { expect } from 'chai';
import Koa from 'koa';
import { type ApiRoute, routing } from '../../../src/api/middleware/routing.ts';
import { ApiServer } from '../../../src/api/server/api-server.ts';
import { systemClock } from '../../../src/clock.ts';
import { ask } from '../support/client.ts';
import { standIn } from '../support/dependencies.ts';

describe('routing', () => {
  let server: ApiServer;
  before(async () => {
    const routes: readonly ApiRoute[] = [
      {
        method: 'GET',
        path: '/plain',
        before: [
          async (ctx, next) => {
            ctx.body = 'first';
            await next();
            ctx.body += ', last';
          },
        ],
        handle: (ctx) => {
          ctx.body += ', second';
        },
      },
      { method: 'GET', path: '/passing', handle: (_, next) => next() },
      {
        method: 'GET',
        path: '/named/:name',
        handle: (ctx) => {
          ctx.body = ctx.params.name;
        },
      },
      {
        method: 'POST',
        path: '/named/seven',
        handle: (ctx) => {
          ctx.body = 'a command';
        },
      },
    ];
    const app = new Koa();
    app.use(async (ctx, next) => {
      await next();
      ctx.set('X-Route', ctx.state.route ?? 'none');
    });
    app.use(routing(routes));
    app.use((ctx) => {
      const methods = ((ctx.matched ?? []) as readonly { methods: string[] }[]).flatMap((layer) => layer.methods);
      ctx.body = ['behind the routes', ...methods].join(' ');
    });
    server = await ApiServer.listen(app.callback(), [{ kind: 'tcp', host: '127.0.0.1', port: 0 }], {
      ...standIn(),
      clock: systemClock,
    });
  });
  after(() => server.close(0));

  for (const [method, path, text, route] of [
    ['GET', '/plain', 'first, second, last', '/plain'],
    ['GET', '/plain?with=query', 'first, second, last', '/plain'],
    ['HEAD', '/plain', '', '/plain'],
    ['GET', '/passing', 'behind the routes', '/passing'],
    ['GET', '/named/seven', 'seven', '/named/:name'],
    ['GET', '/named/:name', ':name', '/named/:name'],
    ['POST', '/named/seven', 'a command', '/named/seven'],
    ['POST', '/named/eight', 'behind the routes HEAD GET', 'none'],
    ['PUT', '/named/seven', 'behind the routes HEAD GET POST', 'none'],
    ['POST', '/plain', 'behind the routes HEAD GET', 'none'],
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
