import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { HOUR, MINUTE, SECOND } from '../../src/clock.ts';
import { SilenceCommands } from '../../src/incidents/silence-commands.ts';
import type { Webhook } from '../../src/policy/targets.ts';
import { isSilenced } from '../../src/query/silence-match.ts';
import { answering } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Noticing } from './support/noticing.ts';
import { expectTaken } from './support/vendor-schemas.ts';

const SETTINGS = { format: 'slack', group_wait: 30 * SECOND, group_interval: 5 * MINUTE } as const;

describe('a webhook for Slack', () => {
  const directory = temporaryDirectories();
  let noticing: Noticing;

  const open = async (settings: Partial<Webhook> = {}): Promise<Noticing> => {
    noticing = await Noticing.open(directory(), { ...SETTINGS, ...settings });
    return noticing;
  };
  afterEach(() => noticing.close());

  const headers = (): readonly string[] => noticing.bodies.map(({ blocks }) => blocks[0].text.text);

  it('gets one message for a burst, after group_wait, and the next of that group after group_interval', async () => {
    await open();
    for (let count = 0; count < 300; count++) await noticing.recording.recorder.report(report(count));
    await noticing.pass(29 * SECOND);
    expect(noticing.bodies).to.deep.equal([]);
    await noticing.pass(2 * SECOND);
    await noticing.receives(1);
    expectTaken('slack', noticing.bodies[0]);
    expect(headers()).to.deep.equal(['300 new: prompt_injection from web-gateway']);
    expect(noticing.bodies[0].blocks.at(-1).elements[0].text).to.equal('and 290 more');

    await noticing.report();
    await noticing.pass(4 * MINUTE);
    expect(noticing.bodies).to.have.length(1);
    await noticing.pass(1 * MINUTE);
    await noticing.receives(2);
    expect(headers()[1]).to.equal('1 new: prompt_injection from web-gateway');
    expect(noticing.status).to.include({ status: 'ok', behind: 0, format: 'slack' });
  });

  it('gets a message of its own for each class and source, or as group_by says', async () => {
    await open();
    await noticing.report({ source: 'one' });
    await noticing.report({ source: 'two' });
    await noticing.pass(31 * SECOND);
    await noticing.receives(2);
    await noticing.close();
    await open({ group_by: [] });
    await noticing.report({ source: 'one' });
    await noticing.report({ source: 'two', class: 'tool_call_burst' });
    await noticing.pass(31 * SECOND);
    await noticing.receives(1);
    expect(headers()).to.deep.equal(['2 new']);
  });

  it('does not let a group that waits hold up another', async () => {
    await open();
    await noticing.report();
    await noticing.pass(31 * SECOND);
    await noticing.receives(1);
    await noticing.report();
    await noticing.report({ source: 'other' });
    await noticing.pass(31 * SECOND);
    await noticing.receives(2);
    expect(headers()[1]).to.include('from other');
    await noticing.pass(5 * MINUTE);
    await noticing.receives(3);
  });

  it('is told what is resolved, unless that is not asked for, and nothing of who attends to it', async () => {
    await open();
    const id = await noticing.report();
    await noticing.pass(31 * SECOND);
    await noticing.receives(1);
    await noticing.perform('acknowledge', id);
    await noticing.perform('resolve', id);
    await noticing.pass(6 * MINUTE);
    await noticing.receives(2);
    expect(headers()[1]).to.equal('1 resolved: prompt_injection from web-gateway');
    await noticing.close();
    await open({ send_resolved: false });
    const other = await noticing.report();
    await noticing.pass(31 * SECOND);
    await noticing.receives(1);
    await noticing.perform('resolve', other);
    await noticing.pass(6 * MINUTE);
    expect(headers()).to.deep.equal(['1 new: prompt_injection from web-gateway']);
  });

  it('is told what passes its filters only, and nothing that is silenced', async () => {
    await open({ severity: 'high', class: ['prompt_injection'] });
    noticing.isSilenced = ({ source }) => source === 'noisy';
    await noticing.report({ severity: 'low', source: 'low' });
    await noticing.report({ class: 'integrity_violation', source: 'another class' });
    await noticing.report({ source: 'noisy', severity: 'critical' });
    await noticing.report({ severity: 'high', source: 'told' });
    await noticing.pass(1 * MINUTE);
    await noticing.receives(1);
    expect(headers()[0]).to.include('told');
    // A silence that begins while a group waits.
    await noticing.report({ severity: 'high', source: 'later' });
    noticing.isSilenced = () => true;
    await noticing.pass(1 * MINUTE);
    expect(noticing.bodies).to.have.length(1);
  });

  it('gets of the time of a silence, when it reads that later, only what is still open', async () => {
    await open({ group_wait: 0, group_interval: 0 });
    const { log, projections, clock } = noticing.recording;
    noticing.isSilenced = (incident, at) => isSilenced(incident, projections.current().silences(at), at);
    const silences = new SilenceCommands({ log, projections, clock, random: randomBytes });
    // Nothing is read of the log while the receiver is away.
    noticing.target.behaviours = [answering(503)];
    await noticing.report({ source: 'before' });
    await noticing.until(() => noticing.status.status === 'failing');
    const until = clock.milliseconds + 1 * HOUR;
    const { id } = await silences.add({ source: ['noisy'], until, reason: 'planned work' });
    const kept = await noticing.report({ source: 'noisy' });
    const over = await noticing.report({ source: 'noisy' });
    await noticing.perform('resolve', over);
    clock.milliseconds += 1 * SECOND;
    await silences.end(id);
    clock.milliseconds += 1 * SECOND;
    const after = await noticing.report({ source: 'noisy' });
    noticing.target.behaviours = [answering(200)];
    const failed = noticing.bodies.length;
    const told = (incident: string) =>
      noticing.bodies.slice(failed).filter((body) => JSON.stringify(body).includes(incident));
    await noticing.passUntil(() => told(after).length > 0 && told(kept).length > 0);
    await noticing.pass(1 * MINUTE);
    expect(told(over)).to.deep.equal([]);
    expect(told(kept)).to.have.length(1);
    expect(told(after)).to.have.length(1);
  });

  it('loses nothing and is told nothing twice when the service is killed', async () => {
    await open();
    await noticing.report();
    await noticing.pass(31 * SECOND);
    await noticing.receives(1);
    // This one waits for group_interval, and holds the position; behind it another group is told.
    await noticing.report();
    await noticing.report({ source: 'other' });
    await noticing.pass(31 * SECOND);
    await noticing.receives(2);
    await noticing.report({ source: 'third' });
    await noticing.crash(directory(), 10 * SECOND);
    expect(noticing.bodies).to.have.length(2);
    await noticing.pass(21 * SECOND);
    await noticing.receives(3);
    expect(headers()[2]).to.include('third');
    await noticing.pass(5 * MINUTE);
    await noticing.receives(4);
    expect(headers()[3]).to.equal('1 new: prompt_injection from web-gateway');
    // What was due while it was down is sent at once.
    await noticing.report({ source: 'fourth' });
    await noticing.crash(directory(), 1 * HOUR);
    await noticing.until(() => headers().some((text) => text.includes('fourth')));
    await noticing.turns();
    expect(
      headers()
        .slice(4)
        .filter((text) => text.includes('fourth')),
    ).to.have.length(1);
  });

  it('gets what it did not take after a pause, and what it asks for as a pause', async () => {
    await open();
    noticing.target.behaviours = [answering(429, 'rate_limited', { 'retry-after': '30' }), answering(200, 'ok')];
    await noticing.report();
    await noticing.pass(31 * SECOND);
    await noticing.receives(1);
    expect(noticing.status).to.include({ status: 'failing', last_error: 'answered 429' });
    await noticing.pass(28 * SECOND);
    expect(noticing.bodies).to.have.length(1);
    await noticing.pass(5 * SECOND);
    await noticing.receives(2);
    expect(noticing.bodies[1]).to.deep.equal(noticing.bodies[0]);
    expect(noticing.status).to.include({ status: 'ok', behind: 0 }).and.not.have.property('last_error');
  });

  it('is sent no text of reporters where it does not take that', async () => {
    await open();
    noticing.target.behaviours = [answering(400, 'invalid_blocks'), answering(200, 'ok')];
    await noticing.report();
    await noticing.pass(31 * SECOND);
    await noticing.receives(2);
    expect(noticing.bodies[1]).to.have.all.keys('text');
    expect(noticing.status).to.include({ status: 'ok', behind: 0 });
  });

  it('keeps little, also with more groups than it keeps: the first of them do not wait', async () => {
    await open({ group_wait: 1 * HOUR });
    for (let count = 0; count < 70; count++) await noticing.report({ source: `source-${count}` });
    await noticing.receives(7);
    expect(headers()[0]).to.include('source-0');
    await noticing.pass(61 * MINUTE, MINUTE);
    await noticing.receives(70);
    expect(new Set(headers()).size).to.equal(70);
    const longest = Math.max(...noticing.entries.map((entry) => JSON.stringify(entry).length));
    expect(longest).to.be.below(8000);
  });

  it('is told again of critical incidents that nobody attends to, also across a kill', async () => {
    await open({ group_wait: 0, repeat_interval: 10 * MINUTE, send_resolved: false });
    const id = await noticing.report({ severity: 'critical' });
    await noticing.report({ severity: 'high', source: 'not critical' });
    const attended = await noticing.report({ severity: 'critical', source: 'attended to' });
    await noticing.perform('acknowledge', attended);
    const snoozed = await noticing.report({ severity: 'critical', source: 'silenced' });
    await noticing.receives(4);
    noticing.isSilenced = (incident) => incident.id === snoozed;
    await noticing.pass(9 * MINUTE);
    await noticing.receives(4);
    await noticing.pass(2 * MINUTE);
    await noticing.receives(5);
    expect(headers()[4]).to.equal('1 still unattended: prompt_injection from web-gateway');
    expectTaken('slack', noticing.bodies[4]);
    await noticing.crash(directory());
    await noticing.pass(5 * MINUTE);
    await noticing.receives(5);
    await noticing.crash(directory(), 6 * MINUTE);
    await noticing.pass(1 * MINUTE);
    await noticing.receives(6);
    await noticing.perform('resolve', id);
    await noticing.pass(30 * MINUTE, 10 * SECOND);
    await noticing.receives(6);
  });

  it('goes on at its position when it is sent entries from now on, and back', async () => {
    await open();
    await noticing.report();
    noticing.webhook = { url: noticing.webhook.url, events: ['incident.reported'] };
    await noticing.notifier.follow();
    await noticing.receives(1);
    expect(noticing.bodies[0]).to.have.property('event', 'incident.reported');
  });
});

const report = (count: number) =>
  ({ class: 'prompt_injection', source: 'web-gateway', description: `attempt ${count}` }) as const;
