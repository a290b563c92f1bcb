import { expect } from 'chai';
import { HOUR, MINUTE, SECOND } from '../../src/clock.ts';
import type { Webhook } from '../../src/policy/targets.ts';
import { answering, type Behaviour } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Noticing, ROUTING_KEY } from './support/noticing.ts';
import { expectTaken } from './support/vendor-schemas.ts';

const TAKEN: Behaviour = answering(202, '{"status":"success","message":"Event processed"}');

describe('a webhook for PagerDuty', () => {
  const directory = temporaryDirectories();
  let noticing: Noticing;

  const open = async (settings: Partial<Webhook> = {}): Promise<Noticing> => {
    noticing = await Noticing.open(directory(), { format: 'pagerduty', ...settings });
    noticing.target.behaviours = [TAKEN];
    return noticing;
  };
  afterEach(() => noticing.close());

  const events = (): readonly string[] =>
    noticing.bodies.map(({ event_action, dedup_key }) => `${event_action} ${dedup_key}`);

  it('gets events that trigger, acknowledge and resolve one alert, the identifier of the incident', async () => {
    await open();
    const id = await noticing.report({ severity: 'critical' });
    await noticing.receives(1);
    await noticing.perform('acknowledge', id);
    await noticing.perform('resolve', id);
    await noticing.receives(3);
    expect(events()).to.deep.equal([`trigger ${id}`, `acknowledge ${id}`, `resolve ${id}`]);
    for (const body of noticing.bodies) expectTaken('pagerduty', body);
    expect(noticing.bodies[0]).to.include({ routing_key: ROUTING_KEY });
    expect(noticing.target.received[0]?.path).to.equal('/v2/enqueue');
    expect(noticing.status).to.include({ status: 'ok', behind: 0, format: 'pagerduty' });
  });

  it('gets one event for each incident, after group_wait, and none for what is over by then', async () => {
    await open({ group_wait: 30 * SECOND });
    const ids = [await noticing.report(), await noticing.report(), await noticing.report()];
    await noticing.perform('resolve', ids[1]!);
    await noticing.pass(29 * SECOND);
    expect(events()).to.deep.equal([]);
    await noticing.pass(2 * SECOND);
    await noticing.receives(3);
    // To resolve what was never triggered does nothing there, and closes what was triggered just before a crash.
    expect(events()).to.deep.equal([`trigger ${ids[0]}`, `trigger ${ids[2]}`, `resolve ${ids[1]}`]);
  });

  it('gets what was due before a kill after it, under the same keys', async () => {
    await open({ group_wait: 30 * SECOND });
    const id = await noticing.report();
    await noticing.crash(directory(), 31 * SECOND);
    await noticing.receives(1);
    expect(events()).to.deep.equal([`trigger ${id}`]);
    // The position is recorded from time to time: what was sent since is sent again, as the same alert.
    await noticing.crash(directory());
    await noticing.perform('resolve', id);
    await noticing.until(() => events().at(-1) === `resolve ${id}`);
    expect(new Set(events())).to.deep.equal(new Set([`trigger ${id}`, `resolve ${id}`]));
  });

  it('is told nothing that is silenced or filtered out, but what closes an alert', async () => {
    await open({ severity: 'high' });
    await noticing.report({ severity: 'medium' });
    const id = await noticing.report({ severity: 'critical' });
    await noticing.receives(1);
    noticing.isSilenced = () => true;
    await noticing.report({ severity: 'critical' });
    await noticing.perform('resolve', id);
    await noticing.receives(2);
    expect(events()).to.deep.equal([`trigger ${id}`, `resolve ${id}`]);
  });

  it('is asked again after 429 and 5xx, when it says so', async () => {
    await open();
    noticing.target.behaviours = [answering(429, '', { 'retry-after': '20' }), answering(503), TAKEN];
    const id = await noticing.report();
    await noticing.receives(1);
    expect(noticing.status).to.include({ status: 'failing', last_error: 'answered 429' });
    await noticing.pass(19 * SECOND);
    await noticing.receives(1);
    await noticing.passUntil(() => noticing.bodies.length === 3);
    await noticing.receives(3);
    expect(new Set(events())).to.deep.equal(new Set([`trigger ${id}`]));
    const keys = new Set(noticing.target.received.map(({ headers }) => headers['idempotency-key']));
    expect(keys.size).to.equal(1);
  });

  it('parks at once what it refuses while it takes others, and waits while it refuses all', async () => {
    await open();
    let refused: string | undefined = 'all';
    noticing.target.behaviours = [
      (response, received) =>
        (refused === 'all' || received.body.dedup_key === refused ? answering(400, 'invalid event') : TAKEN)(
          response,
          received,
        ),
    ];
    const first = await noticing.report();
    await noticing.report();
    // A wrong key, for instance: nothing is lost by it.
    await noticing.passUntil(() => noticing.bodies.length > 20, 10 * SECOND);
    expect(noticing.status).to.include({ status: 'failing', parked: 0, skipped: 0, last_error: 'answered 400' });
    refused = first;
    const before = noticing.recording.clock.milliseconds;
    await noticing.passUntil(() => noticing.status.parked === 1 && noticing.status.behind === 0);
    expect(noticing.recording.clock.milliseconds - before, 'before five minutes are over').to.be.below(5 * MINUTE);
    expect(noticing.status).to.include({ status: 'ok' });
    refused = undefined;
    await noticing.passUntil(() => noticing.status.parked === 0, 10 * SECOND);
    expect(noticing.status).to.include({ status: 'ok', skipped: 0 });
    expect(events().at(-1)).to.equal(`trigger ${first}`);
  });

  it('is told again of critical incidents that nobody attends to', async () => {
    await open({ repeat_interval: 10 * MINUTE });
    const id = await noticing.report({ severity: 'critical' });
    await noticing.report({ severity: 'high' });
    await noticing.pass(11 * MINUTE);
    await noticing.receives(3);
    expect(events()[2]).to.equal(`trigger ${id}`);
    await noticing.crash(directory(), 10 * MINUTE);
    // What was sent before the position was recorded comes again, as the same alert.
    expect(events().filter((event) => event === `trigger ${id}`).length).to.be.within(3, 4);
    const before = noticing.bodies.length;
    await noticing.perform('acknowledge', id);
    await noticing.pass(1 * HOUR, 10 * SECOND);
    expect(events().slice(before)).to.deep.equal([`acknowledge ${id}`]);
  });

  it('is told of drills only where that is asked for', async () => {
    for (const drills of [undefined, true]) {
      await open({ drills });
      await noticing.recording.recorder.drill({ class: 'prompt_injection', asks: () => true });
      await noticing.turns();
      await noticing.receives(drills === true ? 1 : 0);
      for (const { payload } of noticing.bodies) {
        expect(payload.summary).to.match(/^DRILL: /);
        expect(payload.custom_details).to.include({ drill: true });
      }
      if (drills === undefined) await noticing.close();
    }
  });

  it('shows its key nowhere', async () => {
    await open();
    noticing.target.behaviours = [answering(500, `no such key ${ROUTING_KEY}`)];
    await noticing.report();
    // It may try again at once: the pause is random.
    await noticing.until(() => noticing.status.status === 'failing');
    const said = JSON.stringify([noticing.notifier.detailedStatus, noticing.status, noticing.entries]);
    expect(said).to.include('[secret]').and.not.include(ROUTING_KEY);
  });
});
