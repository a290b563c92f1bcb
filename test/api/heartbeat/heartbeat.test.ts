import { expect } from 'chai';
import type { Principal } from '../../../src/access/principal.ts';
import { command, serve, stopServing } from '../support/client.ts';
import { standIn } from '../support/dependencies.ts';

const HEARTBEAT = '/api/v1/heartbeat';

describe('who may send a heartbeat', () => {
  afterEach(stopServing);

  const asked = async (principal: Principal, source: string) => {
    const dependencies = standIn();
    const access = { ...dependencies.access, principalOf: () => principal };
    return command(await serve({ ...dependencies, access }), HEARTBEAT, { source });
  };

  it('is a reporter, for its own sources', async () => {
    const attestor: Principal = { name: 'attestor', roles: ['reporter'], sources: ['runtime-attestor'] };
    expect((await asked(attestor, 'runtime-attestor')).status).to.equal(200);
    const { status, body } = await asked(attestor, 'canary-tripwire');
    expect([status, body]).to.deep.equal([
      403,
      {
        error: 'forbidden: as reporter, attestor is bound to the sources runtime-attestor, not canary-tripwire',
        needs: ['reporter'],
        roles: ['reporter'],
        sources: ['runtime-attestor'],
      },
    ]);
    expect((await asked({ name: 'any', roles: ['reporter'] }, 'canary-tripwire')).status).to.equal(200);
    for (const role of ['reader', 'implementer', 'operator', 'recovery', 'auditor', 'anchor', 'admin'] as const) {
      expect((await asked({ name: 'ada', roles: [role] }, 'runtime-attestor')).status, role).to.equal(403);
    }
  });
});
