import { expect } from 'chai';
import { ROLES } from '../../../machines/vocabulary.ts';
import type { ApiDependencies } from '../../../src/api/dependencies.ts';
import type { ApiServer } from '../../../src/api/server/api-server.ts';
import { timestamp } from '../../../src/clock.ts';
import { EVERY_ROLE } from '../../../src/access/principal.ts';
import { ReleasePreview } from '../../../src/containment/release-preview.ts';
import type { Report } from '../../../src/domain/entries.ts';
import { RecorderError } from '../../../src/errors.ts';
import { BUILT_IN_RULES } from '../../../src/policy/defaults.ts';
import { UnprovedIncident } from '../../../src/projections/incident-proof.ts';
import { Recording } from '../../support/recording.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';
import { type Answer, ask, command, serve, stopServing } from '../support/client.ts';
import { standIn, TOKEN } from '../support/dependencies.ts';

const BULK = '/api/v1/incidents/bulk';

const report = (more: Partial<Report> = {}): Report => ({
  class: 'tool_call_burst',
  source: 'tool-firewall',
  description: 'too many calls',
  ...more,
});

describe('POST /api/v1/incidents/bulk', () => {
  const directory = temporaryDirectories();
  let recording: Recording;
  beforeEach(async () => {
    recording = await Recording.open(directory(), {
      rules: {
        ...BUILT_IN_RULES,
        prompt_injection: {
          auto_contain: false,
          actions: [],
          default_severity: 'high',
          recovery: { acknowledge: true },
        },
      },
    });
  });
  afterEach(async () => {
    await stopServing();
    await recording.close();
  });

  /** The service with the real recorder and record; `perform` stands before the recorder's. */
  const served = (more: Partial<ApiDependencies> = {}): Promise<ApiServer> =>
    serve(
      standIn({
        recorder: recording.recorder,
        acts: recording.record.acts,
        preview: new ReleasePreview({ current: () => recording.record.projections.current() }),
        incidents: recording.record.reads,
        clock: recording.clock,
        ...more,
      }),
    );

  const reportMany = async (count: number, more: Partial<Report> = {}): Promise<readonly string[]> => {
    const ids: string[] = [];
    for (let at = 0; at < count; at++) {
      recording.clock.milliseconds += 1000;
      ids.push((await recording.recorder.report(report(more))).incident.id);
    }
    return ids;
  };

  const statesOf = (ids: readonly string[]): readonly string[] => ids.map((id) => recording.incident(id)!.state);

  const workAll = async (server: ApiServer, body: object): Promise<readonly Answer[]> => {
    const answers: Answer[] = [];
    let cursor: string | undefined;
    do {
      const answer = await command(server, BULK, { ...body, ...(cursor !== undefined && { cursor }) });
      expect(answer.status, answer.text).to.equal(200);
      answers.push(answer);
      cursor = answer.body.cursor;
    } while (cursor !== undefined);
    return answers;
  };

  it('refuses, and says nothing of what it would select, while the log is read', async () => {
    const server = await served();
    await reportMany(3);
    const { cursor } = (
      await command(server, BULK, { command: 'acknowledge', filter: { class: 'tool_call_burst' }, limit: 1 })
    ).body as { cursor: string };
    recording.projections.fallBehind(() => 'reading the log, 0 %');
    for (const more of [{}, { preview: true }, { cursor }, { cursor, preview: true }]) {
      const body = { command: 'acknowledge', filter: { class: 'tool_call_burst' }, ...more };
      const { status, body: said } = await command(server, BULK, body);
      expect([status, said], JSON.stringify(more)).to.deep.equal([503, { error: 'reading the log, 0 %' }]);
    }
  });

  it('works a burst in a few requests, each incident through its own decision, and signs each entry', async () => {
    const burst = await reportMany(60);
    const [other] = await reportMany(1, { source: 'canary' });
    const server = await served();
    const answers = await workAll(server, {
      command: 'acknowledge',
      filter: { class: ['tool_call_burst'], source: 'tool-firewall' },
      by: 'ada',
      note: 'one loop',
      limit: 25,
    });
    expect(answers.map(({ body: { results, done, remaining } }) => [results.length, done, remaining])).to.deep.equal([
      [25, false, 35],
      [25, false, 10],
      [10, true, undefined],
    ]);
    const results = answers.flatMap(({ body }) => body.results);
    expect(results.map(({ id }) => id)).to.have.members(burst);
    expect(results[0]).to.deep.include({ status: 200, change: 'moved', state: 'acknowledged' });
    expect(new Set(statesOf(burst))).to.deep.equal(new Set(['acknowledged']));
    expect(recording.incident(burst[7]!)).to.deep.include({ acknowledged_by: 'ada', note: 'one loop' });
    expect(statesOf([other!])).to.not.deep.equal(['acknowledged']);
  });

  it('works 25 incidents where no limit is given', async () => {
    await reportMany(26);
    const { body } = await command(await served(), BULK, { command: 'resolve', filter: { source: 'tool-firewall' } });
    expect([body.results.length, body.done, body.remaining]).to.deep.equal([25, false, 1]);
  });

  it('shows in a preview what it would do, and does nothing', async () => {
    const burst = await reportMany(5);
    await recording.recorder.perform('resolve', { id: burst[0]! });
    await recording.recorder.perform('acknowledge', { id: burst[1]! });
    await reportMany(1, { source: 'canary' });
    const server = await served();
    const state = recording.incident(burst[4]!)!.state;
    for (const flag of [{ preview: true }, { dry_run: true }]) {
      const filter = { source: ['tool-firewall'] };
      const { status, body } = await command(server, BULK, { command: 'acknowledge', filter, ...flag });
      const { snapshot, ...said } = body;
      expect([status, said]).to.deep.equal([
        200,
        {
          matched: 5,
          complete: true,
          classes: { tool_call_burst: 5 },
          severities: { [recording.incident(burst[0]!)!.severity]: 5 },
          states: { [state]: 3, acknowledged: 1, resolved: 1 },
          allowed: 3,
          unchanged: 1,
          refused: { resolved: 1 },
        },
      ]);
      expect(snapshot).to.be.a('string');
    }
    expect(statesOf(burst.slice(2))).to.deep.equal([state, state, state]);
  });

  it('works what was there when it was previewed, and nothing newer', async () => {
    const burst = await reportMany(3);
    const server = await served();
    const body = { command: 'acknowledge', filter: { source: 'tool-firewall' } };
    const { snapshot } = (await command(server, BULK, { ...body, preview: true })).body;
    const [later] = await reportMany(1);
    const { results, done } = (await command(server, BULK, { ...body, cursor: snapshot })).body;
    expect([results.length, done]).to.deep.equal([3, true]);
    expect(new Set(statesOf(burst))).to.deep.equal(new Set(['acknowledged']));
    expect(statesOf([later!])).to.not.deep.equal(['acknowledged']);
  });

  it('changes nothing when a part is sent again: the cursor is that of the part before', async () => {
    const burst = await reportMany(6);
    const server = await served();
    const body = { command: 'acknowledge', filter: { source: 'tool-firewall' }, limit: 3 };
    const first = await command(server, BULK, body);
    const again = { ...body, cursor: first.body.cursor };
    expect(
      (await command(server, BULK, again)).body.results.map(({ change }: { change: string }) => change),
    ).to.deep.equal(['moved', 'moved', 'moved']);
    const versions = burst.map((id) => recording.incident(id)!.version);
    expect(
      (await command(server, BULK, again)).body.results.map(({ change }: { change: string }) => change),
    ).to.deep.equal(['unchanged', 'unchanged', 'unchanged']);
    expect(burst.map((id) => recording.incident(id)!.version)).to.deep.equal(versions);
  });

  it('goes on behind one that refuses, and says what became of each', async () => {
    const [resolved, open] = await reportMany(2);
    await recording.recorder.perform('resolve', { id: resolved! });
    const recorder = {
      ...standIn().recorder,
      perform: async (...[name, target]: Parameters<ApiDependencies['recorder']['perform']>) => {
        if (target.id === broken) throw new TypeError('a bug');
        if (target.id === unproved) throw new UnprovedIncident(target.id);
        return recording.recorder.perform(name, target);
      },
    };
    const [broken, unproved] = await reportMany(2);
    const dependencies = standIn({ recorder, incidents: recording.record.reads });
    const server = await serve(dependencies);
    const { body } = await command(server, BULK, { command: 'acknowledge', filter: { source: 'tool-firewall' } });
    const statuses = new Map(body.results.map(({ id, status }: { id: string; status: number }) => [id, status]));
    expect(Object.fromEntries(statuses)).to.deep.equal({
      [resolved!]: 409,
      [open!]: 200,
      [broken!]: 500,
      [unproved!]: 503,
    });
    expect(body.done).to.equal(true);
    const refusal = body.results.find(({ id }: { id: string }) => id === resolved);
    expect(refusal).to.deep.equal({
      id: resolved,
      status: 409,
      state: 'resolved',
      allowed: [],
      error: 'acknowledge is not possible: the incident is resolved',
    });
    expect(dependencies.lines.some(({ level, incident }) => level === 'error' && incident === broken)).to.equal(true);
  });

  it('stops where nothing can be recorded, with a cursor to go on from', async () => {
    const burst = await reportMany(4);
    let left = 2;
    const perform: ApiDependencies['recorder']['perform'] = async (name, target) => {
      if (left-- <= 0) throw new RecorderError('log_unavailable', 'the disk is full');
      return recording.recorder.perform(name, target);
    };
    const server = await served({ recorder: { ...standIn().recorder, perform } });
    const body = { command: 'acknowledge', filter: { source: 'tool-firewall' } };
    const stopped = (await command(server, BULK, body)).body;
    expect(stopped.results).to.have.length(2);
    expect(stopped).to.deep.include({ done: false, stopped: { status: 503, error: 'the disk is full' } });
    const refused = await command(server, BULK, { ...body, cursor: stopped.cursor });
    expect([refused.status, refused.body]).to.deep.equal([503, { error: 'the disk is full', cursor: stopped.cursor }]);
    expect(refused.headers['retry-after']).to.equal('5');
    left = 100;
    const rest = (await command(server, BULK, { ...body, cursor: refused.body.cursor })).body;
    expect([rest.results.length, rest.done]).to.deep.equal([2, true]);
    expect(new Set(statesOf(burst))).to.deep.equal(new Set(['acknowledged']));
  });

  it('keeps to the role that an incident asks for', async () => {
    const [recovering] = await reportMany(1, { class: 'prompt_injection' });
    const [plain] = await reportMany(1);
    const access: ApiDependencies['access'] = {
      principalOf: (token) =>
        token === TOKEN ? EVERY_ROLE : { name: token ?? '', roles: ROLES.filter((role) => role === token) },
      proofKey: () => undefined,
    };
    const server = await served({ access });
    const asRole = (role: string, body: object): Promise<Answer> =>
      command(server, BULK, body, { Authorization: `Bearer ${role}` });
    const body = { command: 'resolve', filter: { source: 'tool-firewall' } };
    const previewed = (await asRole('operator', { ...body, preview: true })).body;
    expect(previewed).to.deep.include({ matched: 2, allowed: 1, needs: { roles: ['recovery'], count: 1 } });
    const { results } = (await asRole('operator', body)).body;
    const of = (id: string | undefined): object => results.find((one: { id: string }) => one.id === id);
    expect(of(recovering)).to.deep.include({ status: 403, needs: ['recovery'], roles: ['operator'] });
    expect(of(plain)).to.deep.include({ status: 200 });
    const refused = await asRole('recovery', { ...body, command: 'acknowledge' });
    expect([refused.status, refused.body.needs]).to.deep.equal([403, ['operator']]);
    expect((await asRole('reporter', body)).status).to.equal(403);
    expect((await ask(server, BULK, { method: 'POST', body: '{}' })).status).to.equal(403);
  });

  it('notes, assigns and snoozes, each once, and says before what would become of them', async () => {
    const ids = await reportMany(3);
    await recording.recorder.perform('resolve', { id: ids[0]! });
    await recording.record.acts.assign('ada', { id: ids[1]! });
    const server = await served();
    const filter = { source: 'tool-firewall' };
    const until = timestamp(recording.clock.now() + 3600_000);
    for (const [act, allowed, unchanged, refused] of [
      [{ command: 'note', note: 'seen' }, 3, 0, {}],
      [{ command: 'assign', to: 'ada' }, 2, 1, {}],
      [{ command: 'snooze', until, note: 'later' }, 2, 0, { resolved: 1 }],
      [{ command: 'snooze', until: null }, 2, 0, { resolved: 1 }],
      [{ command: 'assign', to: null }, 3, 0, {}],
    ] as const) {
      const body = { filter, by: 'eve', ...act };
      const previewed = (await command(server, BULK, { ...body, preview: true })).body;
      expect(previewed, act.command).to.deep.include({ matched: 3, allowed, unchanged, refused });
      const countOf = (results: readonly { change?: string }[]): number =>
        results.filter(({ change }) => change === 'moved').length;
      const { results, done } = (await command(server, BULK, body)).body;
      expect([done, countOf(results)], act.command).to.deep.equal([true, allowed]);
      const again = (await command(server, BULK, body)).body.results;
      expect(countOf(again), act.command).to.equal(0);
      if (act.command !== 'snooze') continue;
      const states = ids.map((id) => recording.incident(id)!.snoozed_until);
      expect(states).to.deep.equal([undefined, act.until ?? undefined, act.until ?? undefined]);
    }
    for (const id of ids) expect(recording.incident(id)!).to.deep.include({ note: id === ids[0] ? 'seen' : 'later' });
  });

  it('says before what a resolve would release, and which recoveries are missing', async () => {
    const held = await reportMany(120);
    await reportMany(1, { source: 'airlock' });
    await reportMany(1, { class: 'prompt_injection', source: 'airlock' });
    const server = await served();
    const previewOf = async (filter: object) =>
      (await command(server, BULK, { command: 'resolve', filter, preview: true })).body;
    const holders = recording.incident(held[0]!)!.containment!.actions.map(({ action }) => action);
    const some = await previewOf({ source: 'tool-firewall' });
    expect(some.actions).to.deep.equal(
      holders.map((action) => ({ action, releases: false, holders: 121, others: 1, last: false })),
    );
    expect(some).to.not.have.property('missing');
    const all = await previewOf({ source: ['tool-firewall', 'airlock'] });
    expect(all.actions).to.deep.equal(
      holders.map((action) => ({ action, releases: true, holders: 121, others: 0, last: true })),
    );
    expect(all.missing).to.deep.equal({ acknowledge: 1 });
    const ack = await command(server, BULK, { command: 'acknowledge', filter: { source: 'airlock' }, preview: true });
    expect(ack.body).to.not.have.property('actions');
  });

  it('says what is wrong with what it is sent', async () => {
    const server = await served();
    const refused = async (body: object, error: string | RegExp): Promise<void> => {
      const answer = await command(server, BULK, body);
      expect([answer.status, answer.body.error], JSON.stringify(body)).to.satisfy(
        ([status, text]: [number, string]) =>
          status === 400 && (typeof error === 'string' ? text === error : error.test(text)),
      );
    };
    const filter = { class: 'tool_call_burst' };
    await refused({}, 'command and filter are required');
    await refused({ command: 'acknowledge' }, 'command and filter are required');
    await refused(
      { command: 'report', filter },
      'command must be one of contain, acknowledge, resolve, note, assign, snooze',
    );
    await refused({ command: 'acknowledge', filter: [] }, 'filter must be a JSON object');
    for (const empty of [{}, { class: [] }, { q: '' }, { class: [''], source: null }])
      await refused(
        { command: 'acknowledge', filter: empty },
        /^filter must have at least one of class, state, severity/,
      );
    await refused(
      { command: 'acknowledge', filter: { sources: ['a'] } },
      /^filter: unknown parameter "sources" \(allowed: class/,
    );
    await refused({ command: 'acknowledge', filter: { class: 'nothing' } }, 'filter: invalid class');
    await refused(
      { command: 'acknowledge', filter: { source: 7 } },
      'filter: "source" must be text, or a list of texts',
    );
    await refused({ command: 'acknowledge', filter: { q: ['a', 'b'] } }, 'filter: q may be given only once');
    for (const limit of [0, 51, 1.5, '25'])
      await refused({ command: 'acknowledge', filter, limit }, 'limit must be a whole number from 1 to 50');
    await refused({ command: 'acknowledge', filter, preview: 'yes' }, 'preview must be true or false');
    await refused(
      { command: 'contain', filter, resolution: 'benign' },
      'resolution goes with the command resolve only',
    );
    await refused({ command: 'note', filter, to: 'ada' }, 'to goes with the command assign only');
    await refused({ command: 'resolve', filter, until: null }, 'until goes with the command snooze only');
    await refused({ command: 'note', filter }, 'note is required with the command note');
    await refused({ command: 'note', filter, note: ' ' }, 'note is required with the command note');
    await refused({ command: 'assign', filter }, 'to is required with the command assign');
    await refused({ command: 'assign', filter, to: '' }, /^to must be a name/);
    await refused({ command: 'snooze', filter }, 'until is required with the command snooze');
    await refused({ command: 'snooze', filter, until: 'soon' }, /^until must be an RFC 3339 time/);
    await refused({ command: 'snooze', filter, until: '2020-01-01T00:00:00Z' }, /^until must be in the future/);
    await refused({ command: 'acknowledge', filter, cursor: 'nonsense' }, 'invalid cursor');
    await refused({ command: 'acknowledge', filter, who: 'ada' }, /^unknown field "who"/);
  });

  it('takes a cursor only with the command, the filter and the log that it belongs to', async () => {
    await reportMany(3);
    const server = await served();
    const body = { command: 'acknowledge', filter: { source: 'tool-firewall' }, limit: 1 };
    const { cursor } = (await command(server, BULK, body)).body;
    for (const other of [{ command: 'resolve' }, { filter: { source: ['tool-firewall', 'canary'] } }]) {
      const { status, body: said } = await command(server, BULK, { ...body, ...other, cursor });
      expect([status, said.error]).to.deep.equal([400, 'the cursor is that of another command or filter']);
    }
    // The same filter in other words, and another note.
    const same = { ...body, filter: { source: ['tool-firewall'], class: [] }, note: 'a test', cursor };
    expect((await command(server, BULK, same)).status).to.equal(200);
    const elsewhere = Buffer.from(`${Buffer.from(cursor, 'base64url').toString()}.0123456789abcdef01234567`);
    const { status } = await command(server, BULK, { ...body, cursor: elsewhere.toString('base64url') });
    expect(status).to.equal(410);
  });
});
