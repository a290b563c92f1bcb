import { expect } from 'chai';
import { RecorderError } from '../../../src/errors.ts';
import { ask, command, serve, stopServing } from '../support/client.ts';
import { standIn } from '../support/dependencies.ts';

describe('the service itself', () => {
  afterEach(stopServing);

  it('GET /health tells how it is, to everybody', async () => {
    const { status, body } = await ask(await serve(standIn()), '/health?probe=1');
    expect([status, body]).to.deep.equal([200, { status: 'ok', open_incidents: 1 }]);
  });

  it('GET /health is a 503 while it can not record', async () => {
    const degraded = { status: 'degraded', reasons: ['the log is full'] } as const;
    const { status, body, headers } = await ask(await serve(standIn({ health: () => degraded })), '/health');
    expect([status, body, headers['retry-after']]).to.deep.equal([503, degraded, '5']);
  });

  it('GET /livez is a 200 as long as the service answers at all', async () => {
    const { status, body } = await ask(await serve(standIn({ reasons: () => ['the log is full'] })), '/livez');
    expect([status, body]).to.deep.equal([200, { status: 'ok' }]);
  });

  it('GET /readyz is a 200 while reports and commands are taken, and a 503 that says why not', async () => {
    let reasons: readonly string[] = [];
    const server = await serve(standIn({ reasons: () => reasons }));
    const ready = await ask(server, '/readyz');
    expect([ready.status, ready.body]).to.deep.equal([200, { status: 'ok' }]);
    reasons = ['the log is full'];
    const { status, body, headers } = await ask(server, '/readyz');
    expect([status, body, headers['retry-after']]).to.deep.equal([503, { status: 'degraded', reasons }, '5']);
  });

  it('GET /api/v1/stats gives the counts, and takes no parameters', async () => {
    const server = await serve(standIn());
    const { status, body } = await ask(server, '/api/v1/stats');
    expect([status, body]).to.deep.equal([200, { total_incidents: 2 }]);
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
    for (const hours of ['0', '169', '1e1', '']) {
      const { status, body } = await ask(server, `/api/v1/stats/hours?hours=${hours}`);
      expect([status, body.error]).to.deep.equal([400, 'hours must be a whole number from 1 to 168']);
    }
  });

  for (const path of ['/api/v1/reload', '/reload']) {
    it(`POST ${path} loads the policy again, without a word of a body`, async () => {
      const server = await serve(standIn());
      for (const body of ['', 'anything']) {
        const answer = await command(server, path, body);
        expect([answer.status, answer.body]).to.deep.equal([200, { status: 'reloaded', policy: 'new' }]);
      }
    });

    it(`POST ${path} is a 422 with the faults of a policy that is refused`, async () => {
      const fields = { faults: [{ file: 'policy.yaml', line: 3, message: 'unknown action' }] };
      const reload = () =>
        Promise.reject(new RecorderError('invalid_policy', 'containment policy refused', { fields }));
      const { status, body } = await command(await serve(standIn({ reload })), path, '');
      expect([status, body]).to.deep.equal([422, { error: 'containment policy refused', ...fields }]);
    });
  }
});
