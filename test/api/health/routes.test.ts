import { expect } from 'chai';
import { ask, serve, stopServing } from '../support/client.ts';
import { standIn } from '../support/dependencies.ts';

describe('the health of the service', () => {
  afterEach(stopServing);

  it('GET /health needs no token', async () => {
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
});
