import { expect } from 'chai';
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
