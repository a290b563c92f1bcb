import { expect } from 'chai';
import { RecorderError } from '../../../src/errors.ts';
import { ask, command, serve, stopServing } from '../support/client.ts';
import { standIn } from '../support/dependencies.ts';

describe('the policy', () => {
  afterEach(stopServing);

  it('GET /api/v1/policy gives the one in force, and takes no parameters', async () => {
    const server = await serve(standIn());
    const { status, body } = await ask(server, '/api/v1/policy');
    expect([status, body.source, Object.keys(body.rules)[0]]).to.deep.equal([200, 'built-in', 'attestation_failure']);
    expect((await ask(server, '/api/v1/policy?class=tool_call_burst')).status).to.equal(400);
  });

  for (const path of ['/api/v1/reload', '/reload']) {
    it(`POST ${path} loads the policy again, and ignores a body`, async () => {
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
