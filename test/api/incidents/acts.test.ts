import { expect } from 'chai';
import type { ApiDependencies } from '../../../src/api/dependencies.ts';
import type { Act } from '../../../src/incidents/incident-acts.ts';
import { command, serve, stopServing } from '../support/client.ts';
import { KNOWN, standIn } from '../support/dependencies.ts';

const pathOf = (name: string): string => `/api/v1/incidents/${name}`;
const { id } = KNOWN;

/** What was asked for: the name of the act, what it is about, and the rest. */
type Asked = readonly [name: string, value: unknown, act: Act];

const noting = (isNew = true): { readonly asked: Asked[]; readonly dependencies: ApiDependencies } => {
  const asked: Asked[] = [];
  const done = (name: string) => async (value: unknown, act: Act) => {
    asked.push([name, value, act]);
    return KNOWN;
  };
  const acts = {
    note: async (act: Act & { readonly note: string }) => done('note')(undefined, act),
    assign: done('assign'),
    snooze: done('snooze'),
    reopen: async (act: Act) => ({ incident: await done('reopen')(undefined, act), isNew }),
  };
  return { asked, dependencies: standIn({ acts }) };
};

describe('POST /api/v1/incidents/note, assign, snooze and reopen', () => {
  afterEach(stopServing);

  it('pass on what is asked, by whom and why, and respond with the incident', async () => {
    const { asked, dependencies } = noting();
    const server = await serve(dependencies);
    const until = '2026-11-22T09:12:00.5+01:00';
    for (const [name, body, value] of [
      ['note', { note: 'n' }, undefined],
      ['assign', { to: 'grace', note: 'n' }, 'grace'],
      ['assign', { to: null, note: 'n' }, null],
      ['snooze', { until, note: 'n' }, Date.parse(until)],
      ['snooze', { until: null, note: 'n' }, null],
      ['reopen', { note: 'n' }, undefined],
    ] as const) {
      const { status, headers, text } = await command(server, pathOf(name), { id, by: 'ada', ...body });
      expect([status, headers.etag, text]).to.deep.equal([name === 'reopen' ? 201 : 200, '"3"', KNOWN.json]);
      expect(headers.location).to.equal(name === 'reopen' ? `/api/v1/incidents/get?id=${id}` : undefined);
      const role = 'operator';
      const caller = { principal: 'service-token', role, by: 'ada', claimed: true };
      expect(asked.at(-1)).to.deep.equal([name, value, { id, caller, note: 'n', ifVersion: undefined }]);
    }
  });

  it('take the version that is expected, and say when the incident was reopened before', async () => {
    const { asked, dependencies } = noting(false);
    const server = await serve(dependencies);
    const { status, headers } = await command(server, pathOf('reopen'), { id }, { 'If-Match': '"7"' });
    expect([status, headers.location]).to.deep.equal([200, `/api/v1/incidents/get?id=${id}`]);
    expect(asked[0]?.[2].ifVersion).to.equal(7);
  });

  it('refuse what is none, and say what is allowed', async () => {
    const { asked, dependencies } = noting();
    const server = await serve(dependencies);
    const to = 'to must be a name of 1 to 256 characters, or null for nobody';
    const until = 'until must be an RFC 3339 time like 2026-11-22T07:12:00Z, or null to end the snooze';
    const note = 'note must be a string of at most 4096 characters';
    for (const [name, body, error] of [
      ['note', {}, 'id and note are required'],
      ['note', { id }, 'id and note are required'],
      ['note', { id, note: ' ' }, 'id and note are required'],
      ['note', { id, note: null }, 'id and note are required'],
      ['note', { note: 'n' }, 'id and note are required'],
      ['note', { id, note: 'n'.repeat(4097) }, note],
      ['note', { id, note: 'n', by: 'b'.repeat(257) }, 'by must be a string of at most 256 characters'],
      ['assign', { id }, 'id and to are required'],
      ['assign', { to: 'ada' }, 'id and to are required'],
      ['assign', { id, to: '' }, to],
      ['assign', { id, to: 7 }, to],
      ['assign', { id, to: 'a'.repeat(257) }, to],
      ['assign', { id, to: 'ada', note: 'n'.repeat(4097) }, note],
      ['snooze', { id }, 'id and until are required'],
      ['snooze', { id, until: '' }, until],
      ['snooze', { id, until: 'tomorrow' }, until],
      ['snooze', { id, until: '2026-11-31T07:12:00Z' }, until],
      ['snooze', { id, until: 1_800_000_000_000 }, until],
      ['reopen', {}, 'id required'],
      ['reopen', { id, until: null }, 'unknown field "until" (allowed: id, by, note)'],
      ['snooze', { id, until: null, x: 1 }, 'unknown field "x" (allowed: id, until, by, note)'],
      ['assign', { id, to: null, x: 1 }, 'unknown field "x" (allowed: id, to, by, note)'],
      ['note', { id, note: 'n', x: 1 }, 'unknown field "x" (allowed: id, note, by)'],
    ] as const) {
      const { status, body: answer } = await command(server, pathOf(name), body);
      expect([status, answer.error], JSON.stringify(body)).to.deep.equal([400, error]);
    }
    expect(asked).to.deep.equal([]);
  });
});
