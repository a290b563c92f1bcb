import { join } from 'node:path';
import { expect } from 'chai';
import { routesOf } from '../../../src/api/app.ts';
import type { ApiDependencies } from '../../../src/api/dependencies.ts';
import { ask, command, serve, stopServing } from '../support/client.ts';
import { KNOWN, standIn, TOKEN } from '../support/dependencies.ts';

const OPEN = ['/livez', '/readyz', '/health', '/', '/console/:name'];
const PATHS = routesOf(standIn())
  .filter(({ method }) => method === 'GET')
  .map(({ path }) => path);

/** Everything answers, the stream with nothing. */
const ANSWERING: Partial<ApiDependencies> = {
  events: { open: async (response) => void response.end() },
  openApi: join(import.meta.dirname, '../../../package.json'),
};

describe('reads', () => {
  afterEach(stopServing);

  it('need no token by default', async () => {
    const server = await serve(standIn(ANSWERING));
    for (const path of PATHS) expect((await ask(server, path)).status, path).to.not.equal(403);
  });

  describe('with READ_ACCESS=token', () => {
    const closed = () => serve(standIn({ ...ANSWERING, readAccess: 'token' }));

    for (const path of PATHS.filter((each) => !OPEN.includes(each))) {
      it(`GET and HEAD ${path} need the token`, async () => {
        const server = await closed();
        for (const method of ['GET', 'HEAD']) {
          const { status, headers } = await ask(server, path, { method });
          expect([status, headers['www-authenticate']]).to.deep.equal([403, 'Bearer']);
          const wrong = { Authorization: 'Bearer another-token-0123456789' };
          expect((await ask(server, path, { method, headers: wrong })).status).to.equal(403);
          const right = { Authorization: `Bearer ${TOKEN}` };
          expect((await ask(server, path, { method, headers: right })).status).to.not.equal(403);
        }
      });
    }

    for (const path of OPEN) {
      it(`GET ${path} needs none`, async () => {
        expect((await ask(await closed(), path)).status).to.not.equal(403);
      });
    }

    it('so does every other spelling of a path', async () => {
      const server = await closed();
      for (const path of [
        `/api/v1/incidents/get?id=${KNOWN.id}`,
        '//livez',
        '/livez/',
        '/LIVEZ',
        '/console',
        '/%63onsole/app.js',
        '/nowhere',
        '/console/../api/v1/stats',
        'http://localhost/api/v1/stats',
      ]) {
        expect((await ask(server, path)).status, path).to.be.oneOf([403, 404]);
      }
    });

    it('/health shows its status only, and everything to who has the token', async () => {
      const server = await closed();
      expect((await ask(server, '/health')).body).to.deep.equal({ status: 'ok' });
      const headers = { Authorization: `Bearer ${TOKEN}` };
      expect((await ask(server, '/health', { headers })).body).to.deep.equal({ status: 'ok', open_incidents: 1 });
    });

    it('commands ask for the token as ever', async () => {
      const server = await closed();
      const body = JSON.stringify({ id: KNOWN.id });
      expect((await ask(server, '/api/v1/incidents/resolve', { method: 'POST', body })).status).to.equal(403);
      expect((await command(server, '/api/v1/incidents/resolve', { id: KNOWN.id })).status).to.equal(200);
    });
  });
});
