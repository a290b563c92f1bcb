import { expect } from 'chai';
import { CLASSES, SEVERITIES, STATES } from '../../../machines/vocabulary.ts';
import type { ListQuery } from '../../../src/query/list-query.ts';
import { ask, serve, stopServing } from '../support/client.ts';
import { KNOWN, standIn, TOKEN } from '../support/dependencies.ts';

/** Readers without the token get shorter pages. */
const STRANGERS_PAGE = 256 * 1024;
const EVERYTHING: ListQuery = { classes: [], states: [], severities: [], sources: [], limit: 1000 };

describe('reading incidents', () => {
  afterEach(stopServing);

  describe('GET /api/v1/incidents', () => {
    const LIST = '/api/v1/incidents';

    it('refuses more sources than may be looked up at once, each counted once', async () => {
      const server = await serve(standIn());
      const sources = (count: number): string =>
        Array.from({ length: count }, (_, at) => `source=${at}&source=${at}`).join('&');
      expect((await ask(server, `/api/v1/incidents?${sources(16)}`)).status).to.equal(200);
      const refused = await ask(server, `/api/v1/incidents?${sources(17)}`);
      expect([refused.status, refused.body.error]).to.deep.equal([400, 'source may be given at most 16 times']);
    });

    it('joins the documents as they are', async () => {
      const dependencies = standIn();
      const { status, headers, text } = await ask(await serve(dependencies), LIST);
      expect([status, text]).to.deep.equal([200, `[${KNOWN.json},{"id":"INC-20261122-000000000002","version":1}]`]);
      expect(headers).to.include({ 'content-type': 'application/json', 'cache-control': 'no-store' });
      expect(headers.link).to.equal(undefined);
      expect(dependencies.queries).to.deep.equal([{ ...EVERYTHING, bytes: STRANGERS_PAGE }]);
    });

    it('is an empty list where there is nothing', async () => {
      const dependencies = standIn();
      const incidents = { ...dependencies.incidents, list: () => ({ documents: [] }) };
      expect((await ask(await serve({ ...dependencies, incidents }), LIST)).text).to.equal('[]');
    });

    it('passes the filters on', async () => {
      const dependencies = standIn();
      const server = await serve(dependencies);
      const query =
        'class=tool_call_burst&class=prompt_injection&state=open&severity=high&severity=low&source=a+b&source=%C3%A9%26%00&source=' +
        '&since=2026-11-22T07:12:00Z&until=2026-11-22T08:12:00.5%2B01:00&limit=7';
      expect((await ask(server, `${LIST}?${query}`)).status).to.equal(200);
      expect(dependencies.queries.at(-1)).to.deep.equal({
        classes: ['tool_call_burst', 'prompt_injection'],
        states: ['open'],
        severities: ['high', 'low'],
        sources: ['a b', '\u00e9&\0'],
        since: Date.UTC(2026, 10, 22, 7, 12),
        until: Date.UTC(2026, 10, 22, 7, 12, 0, 500),
        limit: 7,
        bytes: STRANGERS_PAGE,
      });
    });

    it('gives who has the token longer pages', async () => {
      const dependencies = standIn();
      await ask(await serve(dependencies), LIST, { headers: { authorization: `Bearer ${TOKEN}` } });
      expect(dependencies.queries).to.deep.equal([EVERYTHING]);
    });

    it('takes empty parameters as left out', async () => {
      const dependencies = standIn();
      const server = await serve(dependencies);
      const all = ['class', 'state', 'severity', 'source', 'q', 'since', 'until', 'limit', 'cursor'];
      for (const query of [...all.map((name) => `${name}=`), all.join('=&')]) {
        expect((await ask(server, `${LIST}?${query}`)).status, query).to.equal(200);
        expect(dependencies.queries.at(-1), query).to.deep.equal({ ...EVERYTHING, bytes: STRANGERS_PAGE });
      }
      for (const query of ['/api/v1/stats/hours?hours=', '/api/v1/containment/freeze_agent?wait='])
        expect((await ask(server, query)).status, query).to.equal(200);
      expect((await ask(server, `${LIST}?unknown=`)).status).to.equal(400);
      expect((await ask(server, '/api/v1/incidents/get?id=')).status).to.equal(400);
    });

    it('leaves out details where that is asked for, and refuses other fields', async () => {
      const dependencies = standIn();
      const server = await serve(dependencies);
      expect((await ask(server, `${LIST}?fields=summary&collapse=source`)).status).to.equal(200);
      expect(dependencies.queries.at(-1)).to.include({ isSummary: true, collapsed: true });
      for (const fields of ['fields=all', 'fields=Summary', 'fields=summary,evidence', 'fields=id']) {
        const { status, body } = await ask(server, `${LIST}?${fields}`);
        expect([status, body.error], fields).to.deep.equal([400, 'fields must be summary']);
      }
      const twice = await ask(server, `${LIST}?fields=summary&fields=summary`);
      expect([twice.status, twice.body.error]).to.deep.equal([400, 'fields may be given only once']);
    });

    it('passes the search words on', async () => {
      const dependencies = standIn();
      const server = await serve(dependencies);
      expect((await ask(server, `${LIST}?q=tool_call+agent*`)).status).to.equal(200);
      expect(dependencies.queries.at(-1)?.words).to.deep.equal([
        { text: 'tool', isBeginning: false },
        { text: 'call', isBeginning: false },
        { text: 'agent', isBeginning: true },
      ]);
      for (const q of ['q=+', 'q=ab*', 'q=a&q=b', `q=${'a'.repeat(257)}`]) {
        expect((await ask(server, `${LIST}?${q}`)).status, q).to.equal(400);
      }
    });

    it('announces a further page under the same filters, and takes its cursor back', async () => {
      const dependencies = standIn();
      const next = { rank: 1, seq: 40, head: 99 };
      const list = (query: ListQuery) => {
        dependencies.queries.push(query);
        return { documents: [], next };
      };
      const server = await serve({ ...dependencies, incidents: { ...dependencies.incidents, list } });
      const awkward = encodeURIComponent('>; rel="x", <\r\nX: \u00e9\0');
      const first = await ask(server, `${LIST}?source=${awkward}&class=tool_call_burst&limit=2`);
      const [, path, cursor] =
        /^<(\/api\/v1\/incidents\?[\w%+.&=*-]+&cursor=([\w-]+))>; rel="next"$/.exec(first.headers.link as string) ?? [];
      expect(cursor).to.match(/^[\w-]+$/);
      const second = await ask(server, path ?? '');
      expect(dependencies.queries[1]).to.deep.equal({ ...dependencies.queries[0], after: next });
      expect(second.headers.link).to.equal(first.headers.link);
    });

    const refusals: readonly (readonly [query: string, error: string | RegExp, allowed?: readonly string[]])[] = [
      ['class=unknown', 'invalid class', CLASSES],
      ['class=+', 'invalid class', CLASSES],
      ['state=open&state=closed', 'invalid state', STATES],
      ['severity=CRITICAL', 'invalid severity', SEVERITIES],
      ['since=yesterday', /^since must be an RFC 3339 time/],
      ['since=2026-11-22T07:12:00+01:00', /^since must be an RFC 3339 time .* %2B\)$/],
      ['until=2026-11-22', /^until must be an RFC 3339 time/],
      ['since=2026-11-23T00:00:00Z&until=2026-11-22T00:00:00Z', 'since must not be later than until'],
      ['limit=0', 'limit must be a whole number from 1 to 1000'],
      ['limit=1001', 'limit must be a whole number from 1 to 1000'],
      ['limit=1e2', 'limit must be a whole number from 1 to 1000'],
      ['limit=+', 'limit must be a whole number from 1 to 1000'],
      ['limit=1&limit=1', 'limit may be given only once'],
      ['cursor=+', 'invalid cursor'],
      ['cursor=AAAA', 'invalid cursor'],
      ['source=%zz', 'malformed percent-encoding in the query string'],
      ['source=%ff', 'malformed percent-encoding in the query string'],
      [`source=${'x'.repeat(4096)}`, 'query string longer than 4096 characters'],
    ];
    for (const [query, error, allowed] of refusals) {
      it(`refuses ${query.slice(0, 60)}`, async () => {
        const dependencies = standIn();
        const { status, body } = await ask(await serve(dependencies), `${LIST}?${query}`);
        expect(status).to.equal(400);
        if (typeof error === 'string') expect(body.error).to.equal(error);
        else expect(body.error).to.match(error);
        expect(body.allowed).to.deep.equal(allowed);
        expect(dependencies.queries).to.deep.equal([]);
      });
    }

    it('refuses an unknown parameter, by its name', async () => {
      const server = await serve(standIn());
      for (const name of ['clas', 'page', '__proto__', 'constructor', '']) {
        const { status, body } = await ask(server, `${LIST}?class=unknown&${name}=1`);
        expect(status, name).to.equal(400);
        expect(body.error).to.match(
          new RegExp(`^unknown parameter "${name}" \\(allowed: class, state, severity, source,`),
        );
        expect(body.allowed).to.include('cursor');
      }
    });
  });

  it('GET /api/v1/incidents/statechart draws as many entries as may be read, and says so', async () => {
    const dependencies = standIn();
    const asked: number[] = [];
    const incidents = {
      ...dependencies.incidents,
      get: () => ({ ...KNOWN, version: 5001 }),
      history: async (_id: string, after: number) => {
        asked.push(after);
        return undefined;
      },
    };
    const server = await serve({ ...dependencies, incidents });
    const path = `/api/v1/incidents/statechart?id=${KNOWN.id}`;
    for (const query of ['', '&version=5001', '&version=9999']) {
      const { status, body } = await ask(server, path + query);
      expect([status, body.error]).to.deep.equal([
        400,
        'the incident has 5001 entries: name a version up to 5000 to draw it at',
      ]);
    }
    expect(asked).to.deep.equal([]);
    await ask(server, `${path}&version=5000`);
    expect(asked).to.deep.equal([0]);
  });

  describe('GET /api/v1/incidents/get', () => {
    const GET = '/api/v1/incidents/get';

    it('gives the incident with its version as the entity tag', async () => {
      const { status, headers, text } = await ask(await serve(standIn()), `${GET}?id=${KNOWN.id}`);
      expect([status, text]).to.deep.equal([200, KNOWN.json]);
      expect(headers).to.include({ etag: '"3"', 'cache-control': 'no-cache' });
    });

    it('says what to do by the policy in force, also to a client that has that version', async () => {
      const dependencies = standIn();
      const json = KNOWN.json.replace('}', ',"class":"tool_call_burst"}');
      const runbooks = { tool_call_burst: 'javascript:alert("no link")' };
      const server = await serve({
        ...dependencies,
        incidents: { ...dependencies.incidents, get: () => ({ ...KNOWN, json }) },
        policy: { current: { ...dependencies.policy.current, runbooks } },
      });
      const known = { headers: { 'If-None-Match': '"3"' } };
      const { status, body, headers } = await ask(server, `${GET}?id=${KNOWN.id}`, known);
      expect([status, headers['cache-control'], headers.etag]).to.deep.equal([200, 'no-store', '"3"']);
      expect(body).to.deep.equal({ ...(JSON.parse(json) as object), runbook: runbooks.tool_call_burst });
    });

    it('responds 304 to a client that has that version', async () => {
      const server = await serve(standIn());
      const conditional = (tag: string) => ask(server, `${GET}?id=${KNOWN.id}`, { headers: { 'If-None-Match': tag } });
      for (const tag of ['"3"', 'W/"3"', '"1", "3"', '*']) {
        const { status, headers, text } = await conditional(tag);
        expect([status, headers.etag, text], tag).to.deep.equal([304, '"3"', '']);
      }
      for (const tag of ['"2"', '3', '']) expect((await conditional(tag)).status, tag).to.equal(200);
    });
  });

  describe('GET /api/v1/incidents/history', () => {
    it('gives the lines of the log as they are, and says where they go on', async () => {
      const server = await serve(standIn());
      const first = await ask(server, `/api/v1/incidents/history?id=${KNOWN.id}`);
      const lines = '[{"event":"incident.reported"},{"event":"incident.resolved"}]';
      expect([first.status, first.text]).to.deep.equal([200, lines]);
      const path = `/api/v1/incidents/history?id=${KNOWN.id}&after=2`;
      expect(first.headers.link).to.equal(`<${path}>; rel="next"`);
      const second = await ask(server, path);
      expect([second.text, second.headers.link]).to.deep.equal(['[{"event":"alert.raised"}]', undefined]);
      const { status, body } = await ask(server, `/api/v1/incidents/history?id=${KNOWN.id}&after=x`);
      expect([status, body.error]).to.deep.equal([400, 'after must be a version of the incident, a whole number']);
    });
  });

  for (const path of ['/api/v1/incidents/get', '/api/v1/incidents/history']) {
    it(`${path} wants the id of an incident that there is, and nothing else`, async () => {
      const server = await serve(standIn());
      const refused = async (query: string): Promise<[number, string]> => {
        const { status, body, headers } = await ask(server, `${path}?${query}`);
        expect(headers.etag).to.equal(undefined);
        return [status, body.error];
      };
      for (const query of ['', 'id', 'id=', 'id=+']) {
        expect(await refused(query), query).to.deep.equal([400, 'id parameter required']);
      }
      expect(await refused(`id=${KNOWN.id}&id=${KNOWN.id}`)).to.deep.equal([400, 'id may be given only once']);
      expect((await refused(`id=${KNOWN.id}&x=1`))[1]).to.match(/^unknown parameter "x" \(allowed: id(, after)?\)$/);
      for (const id of ['INC-1', '%00', '..%2f..%2fetc', '%0d%0aX:1']) {
        expect(await refused(`id=${id}`), id).to.deep.equal([404, 'incident not found']);
      }
    });
  }
});
