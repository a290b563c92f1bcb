import { expect } from 'chai';
import { ROLES } from '../../../machines/vocabulary.ts';
import { RecorderError } from '../../../src/errors.ts';
import { command, serve, stopServing } from '../support/client.ts';
import { KNOWN, standIn } from '../support/dependencies.ts';

const NAMES = ['contain', 'acknowledge', 'resolve'] as const;
const pathOf = (name: string): string => `/api/v1/incidents/${name}`;

describe('POST /api/v1/incidents/contain, acknowledge and resolve', () => {
  afterEach(stopServing);

  it('pass the command on and respond with the incident', async () => {
    const dependencies = standIn();
    const server = await serve(dependencies);
    for (const name of NAMES) {
      for (const said of [{}, { by: 'b'.repeat(256), note: ' n'.repeat(2048) }]) {
        const { status, headers, text } = await command(server, pathOf(name), { id: KNOWN.id, ...said });
        expect([status, headers.etag, text]).to.deep.equal([200, '"3"', KNOWN.json]);
        const claim = 'by' in said ? { by: said.by, claimed: true } : {};
        const caller = { principal: 'service-token', role: 'operator', ...claim };
        const target = { id: KNOWN.id, caller, roles: ROLES, ...('note' in said ? { note: said.note } : {}) };
        expect(dependencies.commands.at(-1)).to.deep.equal({ command: name, target, expectedVersion: undefined });
      }
    }
  });

  it('refuse what is no command, before they pass anything on', async () => {
    const dependencies = standIn();
    const server = await serve(dependencies);
    const { id } = KNOWN;
    const refused = async (body: object, error: string): Promise<void> => {
      for (const name of NAMES) {
        const answer = await command(server, pathOf(name), body);
        expect([answer.status, answer.body.error], JSON.stringify(body)).to.deep.equal([400, error]);
      }
    };
    for (const body of [{}, { id: '' }, { id: ' ' }, { id: 7 }, { id: null }, { by: 7 }])
      await refused(body, 'id required');
    const withLength = { length: { toString: 1, valueOf: 1 } };
    for (const by of [false, 7, 'b'.repeat(257), withLength])
      await refused({ id, by }, 'by must be a string of at most 256 characters');
    for (const note of [{}, withLength, 'n'.repeat(4097)])
      await refused({ id, note }, 'note must be a string of at most 4096 characters');
    for (const name of NAMES) {
      const { status, body } = await command(server, pathOf(name), { id, who: 'me' });
      const more = name === 'resolve' ? ', resolution' : '';
      expect([status, body.error]).to.deep.equal([400, `unknown field "who" (allowed: id, by, note${more})`]);
    }
    expect(dependencies.commands).to.deep.equal([]);
  });

  it('take a resolution with resolve, and with no other command', async () => {
    const dependencies = standIn();
    const server = await serve(dependencies);
    const { id } = KNOWN;
    for (const resolution of ['true_positive', 'false_positive', 'benign', 'duplicate']) {
      const { status } = await command(server, pathOf('resolve'), { id, resolution });
      expect(status).to.equal(200);
      expect(dependencies.commands.at(-1)?.target).to.deep.include({ id, resolution });
    }
    const wrong = await command(server, pathOf('resolve'), { id, resolution: 'wontfix' });
    expect([wrong.status, wrong.body]).to.deep.equal([
      400,
      {
        error: 'resolution must be one of true_positive, false_positive, benign, duplicate',
        allowed: ['true_positive', 'false_positive', 'benign', 'duplicate'],
      },
    ]);
    for (const name of ['contain', 'acknowledge']) {
      const { status, body } = await command(server, pathOf(name), { id, resolution: 'benign' });
      expect([status, body.error]).to.deep.equal([400, 'unknown field "resolution" (allowed: id, by, note)']);
    }
    // A form sends a field that was not filled in as empty text.
    await command(server, pathOf('resolve'), { id, resolution: '' });
    expect(dependencies.commands.at(-1)?.target).not.to.have.property('resolution');
  });

  it('answer 404 for an incident that there is not', async () => {
    const { status, body } = await command(await serve(standIn()), pathOf('resolve'), { id: 'INC-20261122-0' });
    expect([status, body]).to.deep.equal([404, { error: 'incident not found' }]);
  });

  it('answer 409 with what is allowed where the statechart refuses', async () => {
    const dependencies = standIn();
    const fields = { state: 'resolved', allowed: [] };
    const perform = () => Promise.reject(new RecorderError('illegal_transition', 'not possible', { fields }));
    const server = await serve({ ...dependencies, recorder: { ...dependencies.recorder, perform } });
    const { status, body } = await command(server, pathOf('acknowledge'), { id: KNOWN.id });
    expect([status, body]).to.deep.equal([409, { error: 'not possible', ...fields }]);
  });

  it('pass on the version that the client expects', async () => {
    const dependencies = standIn();
    const server = await serve(dependencies);
    const expectations = { '"2"': 2, '"1", "3"': 3, '*': undefined, 'W/"3", "7"': 7 };
    for (const [header, version] of Object.entries(expectations)) {
      await command(server, pathOf('resolve'), { id: KNOWN.id }, { 'If-Match': header });
      expect(dependencies.commands.at(-1)?.expectedVersion, header).to.equal(version);
    }
  });

  it('answer 412 where no version can match', async () => {
    const dependencies = standIn();
    const server = await serve(dependencies);
    for (const header of ['W/"3"', '3', '"x"', '', '"3', 'any']) {
      const { status, body } = await command(server, pathOf('resolve'), { id: KNOWN.id }, { 'If-Match': header });
      expect([status, body.error], header).to.deep.equal([412, 'If-Match names no version of the incident, like "3"']);
    }
    expect(dependencies.commands).to.deep.equal([]);
  });
});
