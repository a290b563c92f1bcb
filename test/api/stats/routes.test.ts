import { expect } from 'chai';
import { DAY } from '../../../src/clock.ts';
import type { ComparisonReading } from '../../../src/query/comparison-reading.ts';
import { ask, serve, stopServing } from '../support/client.ts';
import { standIn } from '../support/dependencies.ts';

describe('the statistics', () => {
  afterEach(stopServing);

  it('GET /api/v1/stats gives the counts, and takes no parameters', async () => {
    const server = await serve(standIn());
    const { status, body } = await ask(server, '/api/v1/stats');
    expect([status, body]).to.deep.equal([200, { total_incidents: 2, needs_attention: 1 }]);
    const refused = await ask(server, '/api/v1/stats?class=tool_call_burst');
    expect([refused.status, refused.body.error]).to.deep.equal([
      400,
      'unknown parameter "class" (there are none here)',
    ]);
  });

  it('GET /api/v1/stats/compare says what a range may be', async () => {
    const ranges: object[] = [];
    const read = async (...given: readonly unknown[]) => {
      ranges.push(given.slice(0, 3));
      return {} as ComparisonReading;
    };
    const server = await serve(standIn({ comparison: { read }, clock: { now: () => 10 * DAY, monotonic: () => 0 } }));
    expect((await ask(server, '/api/v1/stats/compare')).status).to.equal(200);
    const range = 'since=1970-01-02T00:00:00Z&until=1970-01-03T00:00:00Z';
    expect((await ask(server, `/api/v1/stats/compare?${range}&by=hour`)).status).to.equal(200);
    expect(ranges).to.deep.equal([
      [{ since: 9 * DAY, until: 10 * DAY }, 'class', 10 * DAY],
      [{ since: DAY, until: 2 * DAY }, 'hour', 10 * DAY],
    ]);
    const refused: readonly [query: string, error: string][] = [
      ['since=1970-01-03T00:00:00Z&until=1970-01-03T00:00:00Z', 'since must be before until'],
      ['since=1970-01-12T00:00:00Z', 'since must be before until'],
      ['since=yesterday', 'since must be an RFC 3339 time'],
      ['by=state', 'by must be one of class, source, severity, hour'],
      ['since=1950-01-01T00:00:00Z', 'since and until may be ten years apart at most'],
      ['since=1969-11-01T00:00:00Z&by=hour', 'since and until may be 1008 hours apart at most with by=hour'],
    ];
    for (const [query, error] of refused) {
      const { status, body } = await ask(server, `/api/v1/stats/compare?${query}`);
      expect([status, String(body.error).slice(0, error.length)], query).to.deep.equal([400, error]);
    }
  });

  it('GET /api/v1/stats/hours gives as many hours as asked for, up to a week', async () => {
    const server = await serve(standIn());
    expect((await ask(server, '/api/v1/stats/hours')).body.hours).to.equal(24);
    expect((await ask(server, '/api/v1/stats/hours?hours=168')).body.hours).to.equal(168);
    for (const hours of ['0', '169', '1e1', '+']) {
      const { status, body } = await ask(server, `/api/v1/stats/hours?hours=${hours}`);
      expect([status, body.error]).to.deep.equal([400, 'hours must be a whole number from 1 to 168']);
    }
  });
});
