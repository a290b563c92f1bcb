import { expect } from 'chai';
import { writeGroupsCursor } from '../../../src/api/incidents/cursor.ts';
import type { Report } from '../../../src/domain/entries.ts';
import { RecorderError } from '../../../src/errors.ts';
import { Recording } from '../../support/recording.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';
import { type Answer, ask, serve, stopServing } from '../support/client.ts';
import { standIn } from '../support/dependencies.ts';

const GROUPS = '/api/v1/incidents/groups';
const STATS = '/api/v1/stats/groups';

const report = (more: Partial<Report> = {}): Report => ({
  class: 'tool_call_burst',
  source: 'tool-firewall',
  description: 'too many calls',
  ...more,
});

/** The place of the next page, as the `Link` header gives it. */
const nextOf = ({ headers }: Answer): string => /^<([^>]*)>; rel="next"$/.exec(String(headers.link))?.[1] ?? '';

describe('the incidents in groups', () => {
  const directory = temporaryDirectories();
  let recording: Recording;
  beforeEach(async () => {
    recording = await Recording.open(directory());
  });
  afterEach(async () => {
    await stopServing();
    await recording.close();
  });

  const served = () => serve(standIn({ recorder: recording.recorder, incidents: recording.record.reads }));

  const reportMany = async (count: number, more: Partial<Report>): Promise<readonly string[]> => {
    const ids: string[] = [];
    for (let at = 0; at < count; at++) {
      recording.clock.milliseconds += 1000;
      ids.push((await recording.recorder.report(report(more))).incident.id);
    }
    return ids;
  };

  it('makes a burst one row, with what it is made of', async () => {
    const burst = await reportMany(30, { severity: 'high', description: 'a burst' });
    const [canary] = await reportMany(1, { class: 'prompt_injection', source: 'canary', severity: 'critical' });
    await recording.recorder.perform('resolve', { id: burst[3]! });
    const server = await served();
    const answer = await ask(server, GROUPS);
    const [first, second] = answer.body;
    expect(answer.headers).to.include({ 'x-total-count': '31', 'x-group-count': '2', 'x-complete': 'true' });
    expect(answer.body).to.have.length(2);
    expect(first).to.deep.include({
      class: 'prompt_injection',
      source: 'canary',
      severity: 'critical',
      newest: canary,
    });
    const createdAt = (id: string | undefined): string => recording.incident(id!)!.created_at;
    const state = recording.incident(burst[0]!)!.state;
    expect(second).to.deep.include({
      class: 'tool_call_burst',
      source: 'tool-firewall',
      count: 30,
      severity: 'high',
      states: { [state]: 29, resolved: 1 },
      newest: burst.at(-1),
      description: 'a burst',
      first: createdAt(burst[0]),
      last: createdAt(burst.at(-1)),
      assignees: {},
    });
    expect(Object.keys(second.containment)).to.deep.equal(['overdue', 'broken', 'delivering', 'confirmed']);
  });

  it('takes the filters of the list, and groups by what is asked for', async () => {
    await reportMany(3, { severity: 'high' });
    await reportMany(2, { severity: 'low', description: 'quite another thing' });
    const server = await served();
    const counts = async (query: string): Promise<unknown> =>
      (await ask(server, `${GROUPS}?${query}`)).body.map((one: object) => Object.values(one).slice(0, 2));
    expect(await counts('by=severity')).to.deep.equal(
      await counts('by=severity&source=tool-firewall&class=tool_call_burst'),
    );
    const bySeverity = await ask(server, `${GROUPS}?by=severity`);
    expect(bySeverity.body.map((one: { severity: string; count: number }) => [one.severity, one.count])).to.deep.equal([
      ['high', 3],
      ['low', 2],
    ]);
    expect(await counts('by=source&severity=low')).to.deep.equal([['tool-firewall', 2]]);
    expect(await counts('by=assignee,source')).to.deep.equal([['tool-firewall', null]]);
    expect(await counts('q=another&by=class')).to.deep.equal([['tool_call_burst', 2]]);
    expect(await counts('by=class&by=source&q=nothing')).to.deep.equal([]);
  });

  it('goes on with the next page, and leaves out what came since', async () => {
    for (const source of ['a', 'b', 'c']) await reportMany(2, { source });
    const server = await served();
    const first = await ask(server, `${GROUPS}?limit=2&by=source`);
    await reportMany(1, { source: 'c' });
    await reportMany(1, { source: 'd' });
    const second = await ask(server, nextOf(first));
    const rows = [first, second].map(({ body }) =>
      body.map((one: { source: string; count: number }) => [one.source, one.count]),
    );
    expect(rows).to.deep.equal([
      [
        ['c', 2],
        ['b', 2],
      ],
      [['a', 2]],
    ]);
    expect(second.headers).to.include({ 'x-total-count': '6', 'x-group-count': '3' });
    expect(second.headers.link).to.equal(undefined);
  });

  it('refuses the place in another log', async () => {
    await reportMany(2, {});
    const cursor = writeGroupsCursor({ skip: 1, head: 2, log: '0123456789abcdef01234567' });
    expect((await ask(await served(), `${GROUPS}?cursor=${cursor}`)).status).to.equal(410);
  });

  it('counts the same as statistics, without drills and without texts', async () => {
    await reportMany(3, { severity: 'high' });
    const asks = (): boolean => false;
    await recording.recorder.drill({ class: 'prompt_injection', asks });
    const server = await served();
    const { body, headers } = await ask(server, `${STATS}?by=class,source`);
    expect(headers).to.include({ 'x-total-count': '3', 'x-group-count': '1' });
    expect(Object.keys(body[0])).to.deep.equal(['class', 'source', 'count', 'first', 'last', 'severity', 'states']);
    expect((await ask(server, GROUPS)).body).to.have.length(2);
  });

  it('names what can be grouped by', async () => {
    const server = await served();
    for (const by of ['evidence', 'class,class', 'class,', 'class&by=class']) {
      const { status, body } = await ask(server, `${GROUPS}?by=${by}`);
      expect([status, body], by).to.deep.equal([
        400,
        {
          error: 'by must name distinct members among class, source, severity, state, assignee',
          allowed: ['class', 'source', 'severity', 'state', 'assignee'],
        },
      ]);
    }
    expect((await ask(server, `${GROUPS}?limit=1001`)).status).to.equal(400);
    expect((await ask(server, `${GROUPS}?collapse=source`)).body.error).to.match(/^unknown parameter "collapse"/);
    expect((await ask(server, `${GROUPS}?cursor=nonsense`)).body.error).to.equal('invalid cursor');
  });

  it('says when it has not counted all', async () => {
    const dependencies = standIn();
    const incidents = {
      ...dependencies.incidents,
      groups: async () => ({ groups: [], incidents: 50_000, total: 14, isComplete: false, head: 0 }),
    };
    const { headers } = await ask(await serve({ ...dependencies, incidents }), `${GROUPS}?q=a`);
    expect(headers).to.include({ 'x-complete': 'false', 'x-total-count': '50000' });
  });

  it('is refused while its client could not be served', async () => {
    const dependencies = standIn();
    const incidents = {
      ...dependencies.incidents,
      groups: async () => Promise.reject(new RecorderError('overloaded', 'the client has left')),
    };
    expect((await ask(await serve({ ...dependencies, incidents }), GROUPS)).status).to.equal(503);
  });
});

describe('the list of incidents', () => {
  const directory = temporaryDirectories();
  afterEach(stopServing);

  it('says how many there are where that costs little', async () => {
    await using recording = await Recording.open(directory()).then((one) => ({
      one,
      [Symbol.asyncDispose]: () => one.close(),
    }));
    const { recorder, record } = recording.one;
    for (let at = 0; at < 5; at++) await recorder.report(report({ severity: at < 2 ? 'low' : 'high' }));
    const server = await serve(standIn({ recorder, incidents: record.reads }));
    const totalOf = async (query: string): Promise<unknown> =>
      (await ask(server, `/api/v1/incidents?${query}`)).headers['x-total-count'];
    expect(await totalOf('')).to.equal('5');
    expect(await totalOf('limit=1&severity=low')).to.equal('2');
    expect(await totalOf('collapse=source&class=tool_call_burst')).to.equal('5');
    expect(await totalOf('class=prompt_injection')).to.equal('0');
    expect(await totalOf('source=tool-firewall&severity=low&source=other')).to.equal('2');
    expect(await totalOf('attention=true')).to.equal('5');
    expect(await totalOf('since=2020-01-01T00:00:00Z')).to.equal('5');
    expect(await totalOf('until=2020-01-01T00:00:00Z')).to.equal('0');
    expect(await totalOf('source=tool-firewall&since=2020-01-01T00:00:00Z')).to.equal(undefined);
    expect(await totalOf('q=calls')).to.equal(undefined);
  });
});
