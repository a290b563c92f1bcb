import { join } from 'node:path';
import { expect } from 'chai';
import { routesOf } from '../../../src/api/app.ts';
import type { ApiDependencies } from '../../../src/api/dependencies.ts';
import { openApiDocument } from '../../../src/api/openapi/document.ts';
import { ask, command, exchange, serve, stopServing } from '../support/client.ts';
import { KNOWN, standIn, TOKEN } from '../support/dependencies.ts';

const { paths: described = {} } = openApiDocument();
/** What asks for a token whatever the service is configured to do, as the description says. */
const isAlwaysClosed = (path: string): boolean => {
  const get = described[path]?.get;
  return get !== undefined && get.security === undefined;
};
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
    for (const path of PATHS) {
      const { status } = await ask(server, path);
      if (isAlwaysClosed(path)) expect(status, path).to.equal(403);
      else expect(status, path).to.not.equal(403);
    }
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

    it('every path of the description is closed to every method, but for those that are listed as open', async () => {
      const server = await closed();
      const paths = Object.keys(openApiDocument().paths ?? {}).map((path) => path.replace('{action}', 'freeze_agent'));
      expect(paths).to.include.members(['/metrics', '/api/v1/incidents', '/api/v1/events', '/api/v1/openapi.json']);
      for (const path of paths.filter((each) => !OPEN.includes(each))) {
        for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND']) {
          expect((await ask(server, path, { method })).status, `${method} ${path}`).to.equal(403);
        }
      }
    });

    it('so is every other spelling of one', async () => {
      const server = await closed();
      const closedPaths = PATHS.filter((path) => !OPEN.includes(path)).map((path) =>
        path.replace(':action', 'log_alert'),
      );
      const spellings = closedPaths.flatMap((path) => [
        `${path}?id=${KNOWN.id}`,
        `/${path}`,
        `//localhost${path}`,
        `${path}/`,
        `/.${path}`,
        `/%2e${path}`,
        `/livez/..${path}`,
        `/console/..${path}`,
        `/console/%2e%2e${path}`,
        `/console/..%2f${path.slice(1)}`,
        `/console/%2e%2e%2f${path.slice(1)}`,
        `/livez;${path}`,
        `/livez%3f${path}`,
        `/%${path.charCodeAt(1).toString(16)}${path.slice(2)}`,
        path.toUpperCase(),
        path.replaceAll('/', '%2f'),
        path.replaceAll('/', String.raw`\\`),
        `http://localhost${path}`,
        `http://localhost/console/..${path}`,
        `http://localhost/livez/%2e%2e${path}`,
        `http://livez@localhost${path}`,
        `HTTP://LOCALHOST:80${path}#/livez`,
        `${path}#/livez`,
      ]);
      for (const method of ['GET', 'HEAD', 'OPTIONS']) {
        for (const target of ['*', '/nowhere', '/console', '//livez', '/livez/', '/LIVEZ', ...spellings]) {
          const head = `${method} ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
          const status = /^HTTP\/1\.1 (\d{3})/.exec(await exchange(server, head))?.[1];
          expect(status, `${method} ${target}`).to.be.oneOf(['400', '403', '404']);
        }
      }
    });

    it('what is open is so by GET and HEAD, with a query, too', async () => {
      const server = await closed();
      for (const method of ['GET', 'HEAD']) {
        for (const path of ['/livez', '/readyz', '/health', '/livez?a=b', 'http://localhost/livez']) {
          expect((await ask(server, path, { method })).status, `${method} ${path}`).to.equal(200);
        }
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
