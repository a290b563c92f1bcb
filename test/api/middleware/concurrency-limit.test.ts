import { expect } from 'chai';
import Koa from 'koa';
import { errors } from '../../../src/api/middleware/errors.ts';
import { concurrencyLimit } from '../../../src/api/middleware/concurrency-limit.ts';
import { ApiServer } from '../../../src/api/server/api-server.ts';
import { systemClock } from '../../../src/clock.ts';
import { ask, dial } from '../support/client.ts';
import { standIn } from '../support/dependencies.ts';

describe('concurrencyLimit', () => {
  let server: ApiServer;
  /** The requests that were let through and have no response yet, in order. */
  let inside: { readonly name: string; readonly answer: () => void }[];
  let came: number;

  beforeEach(async () => {
    inside = [];
    came = 0;
    const { log } = standIn();
    const app = new Koa();
    app.use(errors(log));
    app.use((_, next) => {
      came++;
      return next();
    });
    app.use(concurrencyLimit(200));
    app.use(async (ctx) => {
      await new Promise<void>((answer) => inside.push({ name: ctx.path, answer }));
      if (ctx.path === '/faulty') throw new Error('a fault');
      ctx.status = 200;
      ctx.body = ctx.path;
    });
    server = await ApiServer.listen(app.callback(), [{ kind: 'tcp', host: '127.0.0.1', port: 0 }], {
      log,
      clock: systemClock,
      access: standIn().access,
    });
  });
  afterEach(() => server.close(0));

  const names = (): readonly string[] => inside.map(({ name }) => name);
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await new Promise(setImmediate);
  };

  it('lets four through, and each of the others when one has been answered, in order', async () => {
    const answers = [];
    for (let name = 1; name <= 6; name++) {
      answers.push(ask(server, `/${name}`));
      await until(() => came === name);
    }
    expect(names()).to.deep.equal(['/1', '/2', '/3', '/4']);
    inside[2]!.answer();
    expect((await answers[2])?.text).to.equal('/3');
    await until(() => inside.length === 5);
    expect(names().at(-1)).to.equal('/5');
    for (const { answer } of inside) answer();
    await until(() => inside.length === 6);
    inside[5]!.answer();
    for (const answer of await Promise.all(answers)) expect(answer.status).to.equal(200);
  });

  it('gives the place of a client that leaves, or of a fault, to the next request', async () => {
    const leaving = await dial(server);
    leaving.write('GET /leaving HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const answers = ['/faulty', '/1', '/2', '/3', '/4'].map((name) => ask(server, name));
    await until(() => came === 6 && inside.length === 4);
    leaving.destroy();
    await until(() => inside.length === 5);
    for (const { answer } of inside) answer();
    await until(() => inside.length === 6);
    inside[5]!.answer();
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    expect(statuses).to.deep.equal([500, 200, 200, 200, 200]);
  });

  it('refuses a request that waits too long, and one that finds 64 waiting', async () => {
    const first = Array.from({ length: 4 }, () => ask(server, '/first'));
    await until(() => inside.length === 4);
    const waiting = Array.from({ length: 64 }, () => ask(server, '/waiting'));
    await until(() => came === 68);
    const refused = await ask(server, '/refused');
    expect(refused.status).to.equal(503);
    expect(refused.headers['retry-after']).to.match(/^\d+$/);
    expect(refused.body.error).to.match(/try again/);
    for (const { status } of await Promise.all(waiting)) expect(status).to.equal(503);
    for (const { answer } of inside) answer();
    for (const { status } of await Promise.all(first)) expect(status).to.equal(200);
    // The refused requests took no place.
    const last = ask(server, '/last');
    await until(() => names().includes('/last'));
    inside.at(-1)!.answer();
    expect((await last).status).to.equal(200);
    expect(names()).to.not.include('/waiting');
  });
});
