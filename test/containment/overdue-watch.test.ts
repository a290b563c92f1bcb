import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import type { ContainmentAction, Rule } from '../../machines/vocabulary.ts';
import { HOUR, MINUTE, SECOND } from '../../src/clock.ts';
import { Confirmations } from '../../src/containment/confirmations.ts';
import { OverdueWatch } from '../../src/containment/overdue-watch.ts';
import { type Entry, readEntry } from '../../src/domain/entries.ts';
import { UnprovedIncident } from '../../src/projections/incident-proof.ts';
import { Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const ACTION: ContainmentAction = 'freeze_agent';
const AFTER = 60 * SECOND;
const rules: Record<string, Rule> = {
  tool_call_burst: { auto_contain: true, actions: [ACTION], default_severity: 'medium' },
};
const report = { class: 'tool_call_burst', source: 'tool-firewall', description: '400 calls in a second' } as const;

describe('a directive that nobody confirms', () => {
  const directory = temporaryDirectories();
  let home: string;
  let recording: Recording;
  let watch: OverdueWatch;
  let receipts: Confirmations;
  let faults: unknown[];
  let after: number;
  /** An incident that can't be changed now. */
  let unproved: string | undefined;
  /** Whether the whole database is proved. */
  let isProved: boolean;

  const open = async (at?: number): Promise<void> => {
    recording = await Recording.open(home, { rules });
    recording.clock.milliseconds = at ?? recording.clock.milliseconds;
    const { projections, incidents, log, clock } = recording;
    const shared = { incidents, log, current: () => projections.current(), clock };
    watch = new OverdueWatch({
      ...shared,
      incidents: {
        actor: (id) =>
          id === unproved ? { send: () => Promise.reject(new UnprovedIncident(id)) } : incidents.actor(id),
      },
      shown: projections.posture,
      isProved: () => isProved,
      overdueAfter: () => after,
      onFault: (error) => void faults.push(error),
    });
    receipts = new Confirmations({ ...shared, targets: () => ({}), wake: () => {} });
  };

  beforeEach(() => {
    home = directory();
    faults = [];
    after = AFTER;
    unproved = undefined;
    isProved = true;
    return open();
  });
  afterEach(async () => {
    await watch.stop();
    await recording.close();
    expect(faults).to.deep.equal([]);
  });

  const restart = async (later: number): Promise<void> => {
    const { milliseconds } = recording.clock;
    await watch.stop();
    await recording.close();
    await open(milliseconds + later);
  };
  const reported = async (): Promise<string> => (await recording.recorder.report(report)).incident.id;
  const confirm = (directive: 'engage' | 'release' = 'engage') => receipts.confirm({ action: ACTION, directive });
  const pass = async (time: number): Promise<void> => {
    for (let left = time; left > 0; left -= SECOND) {
      recording.clock.milliseconds += Math.min(left, SECOND);
      await watch.look();
    }
  };
  const statusOf = (id: string): string | undefined => recording.incident(id)?.containment?.status;
  const entries = (event: Entry['event']): readonly Entry[] =>
    readFileSync(Recording.logIn(home), 'utf8')
      .trim()
      .split('\n')
      .map((line) => readEntry(line))
      .filter((entry) => entry.event === event);

  it('is overdue after its time, in the log, in the chart of its incident, and with an alert, once', async () => {
    const id = await reported();
    await pass(AFTER - 2 * SECOND);
    expect(statusOf(id)).to.equal('delivering');
    await pass(3 * SECOND);
    expect(statusOf(id)).to.equal('overdue');
    const [{ created_at, containment }] = [recording.incident(id)!];
    expect(containment?.actions[0]).to.include({ status: 'recorded', asked_at: created_at });
    const [entry] = entries('containment.overdue');
    expect(entry?.data).to.deep.include({
      incident: id,
      action: ACTION,
      directive: 'engage',
      asked_at: created_at,
      overdue_after_ms: AFTER,
      first: true,
    });
    await pass(10 * MINUTE);
    expect(entries('containment.overdue')).to.have.length(1);
    expect(entries('alert.raised')).to.have.length(1);
    expect(watch.unconfirmed[0]).to.include({ action: ACTION, directive: 'engage', isOverdue: true, overdue: 1 });
    expect(watch.unconfirmed[0]?.age).to.be.within(11 * MINUTE - 5 * SECOND, 11 * MINUTE + 5 * SECOND);
  });

  it('stays overdue when its incident is acknowledged, and clears by itself when it is confirmed', async () => {
    const id = await reported();
    await pass(2 * AFTER);
    await recording.recorder.perform('acknowledge', { id });
    expect([recording.incident(id)?.state, statusOf(id)]).to.deep.equal(['acknowledged', 'overdue']);
    await confirm();
    expect(statusOf(id)).to.equal('confirmed');
    expect(recording.incident(id)?.containment?.actions[0]).to.not.have.property('overdue_at');
    expect(watch.unconfirmed).to.deep.equal([]);
    expect(recording.projections.posture.of(ACTION).overdue).to.equal(0);
  });

  it('raises one alert for all incidents of its action, until none is overdue, and another one after that', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 45; n++) ids.push(await reported());
    await pass(2 * AFTER);
    expect(ids.map(statusOf)).to.deep.equal(ids.map(() => 'overdue'));
    expect(entries('containment.overdue')).to.have.length(45);
    expect(entries('alert.raised')).to.have.length(1);
    for (const id of ids.slice(1)) await recording.recorder.perform('resolve', { id });
    await reported();
    await pass(2 * AFTER);
    expect(entries('alert.raised')).to.have.length(1);
    await confirm();
    await reported();
    await pass(2 * AFTER);
    expect(entries('alert.raised')).to.have.length(2);
  });

  it('is found overdue for the first incident only while the database is not proved, for the others afterwards', async () => {
    isProved = false;
    for (let n = 0; n < 3; n++) await reported();
    await pass(AFTER);
    expect(recording.projections.posture.of(ACTION).overdue).to.equal(1);
    await pass(AFTER);
    expect(recording.projections.posture.of(ACTION).overdue).to.equal(1);
    isProved = true;
    await pass(2 * SECOND);
    expect(recording.projections.posture.of(ACTION).overdue).to.equal(3);
  });

  it('is found overdue, with its alert, although one before it can not be proved; that one is found later', async () => {
    const ids = [await reported(), await reported(), await reported()];
    unproved = ids[0];
    await pass(2 * AFTER);
    expect(ids.map(statusOf)).to.deep.equal(['delivering', 'overdue', 'overdue']);
    expect(entries('alert.raised')).to.have.length(1);
    unproved = undefined;
    await pass(2 * AFTER);
    expect(ids.map(statusOf)).to.deep.equal(['overdue', 'overdue', 'overdue']);
    expect(entries('alert.raised')).to.have.length(1);
  });

  it('is overdue when it is a release, and an operator who has it tried again does not begin its time again', async () => {
    const id = await reported();
    await confirm();
    await recording.recorder.perform('resolve', { id });
    await pass(2 * AFTER);
    const release = () => recording.projections.posture.of(ACTION).release?.delivery;
    expect(release()).to.include({ status: 'recorded' }).and.to.have.property('overdue_at');
    expect(watch.unconfirmed[0]).to.include({ directive: 'release', overdue: 1, isOverdue: true });
    expect(entries('alert.raised').at(-1)?.data)
      .to.have.property('reason')
      .match(/^release freeze_agent is overdue: /);
    await recording.incidents.actor(id).send({
      type: 'deliver',
      action: ACTION,
      directive: 'release',
      news: { type: 'retried', via: 'push' },
    });
    expect(release()).to.include({ status: 'pending' }).and.to.have.property('overdue_at');
    await confirm('release');
    expect(release()).to.include({ status: 'confirmed' }).and.not.to.have.property('overdue_at');
    expect(watch.unconfirmed).to.deep.equal([]);
  });

  it('waits from when it was asked for again, once it had failed', async () => {
    const id = await reported();
    const send = (news: object) =>
      recording.incidents.actor(id).send({ type: 'deliver', action: ACTION, directive: 'engage', news: news as never });
    await pass(AFTER / 2);
    await confirm();
    await send({ type: 'lost', reason: 'silent' });
    await pass(AFTER);
    expect(statusOf(id)).to.equal('degraded');
    await send({ type: 'retried', via: 'poll' });
    const { asked_at, asked_seq } = recording.incident(id)!.containment!.actions[0]!;
    expect(Date.parse(asked_at)).to.equal(recording.clock.now());
    expect(asked_seq).to.equal(recording.log.status.entries);
    await pass(AFTER - 2 * SECOND);
    expect(statusOf(id)).to.equal('delivering');
    await pass(3 * SECOND);
    expect(statusOf(id)).to.equal('overdue');
  });

  for (const [what, off] of [
    ['a year back', -365 * 24 * HOUR],
    ['a year forward', 365 * 24 * HOUR],
  ] as const) {
    it(`given a clock that jumps ${what}, then only time itself counts`, async () => {
      await pass(SECOND);
      const id = await reported();
      await pass(SECOND);
      recording.clock.off = off;
      await pass(AFTER - 4 * SECOND);
      expect(statusOf(id)).to.equal('delivering');
      await pass(6 * SECOND);
      expect(statusOf(id)).to.equal('overdue');
      expect(watch.unconfirmed[0]?.age).to.be.within(AFTER - 2 * SECOND, AFTER + 6 * SECOND);
    });
  }

  it('given an hour in which the recorder was down, then it is found overdue once, after the start, with one alert', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 20; n++) ids.push(await reported());
    await pass(5 * SECOND);
    await restart(HOUR);
    expect(watch.unconfirmed[0]).to.include({ isOverdue: true, overdue: 0 });
    await pass(3 * SECOND);
    expect(ids.map(statusOf)).to.deep.equal(ids.map(() => 'overdue'));
    expect(watch.unconfirmed[0]).to.include({ overdue: 20 });
    expect(watch.unconfirmed[0]?.age).to.be.within(HOUR, HOUR + 10 * SECOND);
    await restart(HOUR);
    await pass(2 * AFTER);
    expect(entries('containment.overdue')).to.have.length(20);
    expect(entries('alert.raised')).to.have.length(1);
  });

  it('given a policy with another time, then that counts at once', async () => {
    const id = await reported();
    await pass(10 * SECOND);
    after = 5 * SECOND;
    await pass(SECOND);
    expect(statusOf(id)).to.equal('overdue');
  });

  it('given a log that takes nothing, then looks again', async () => {
    const id = await reported();
    await pass(AFTER - 2 * SECOND);
    recording.fallBehind();
    await pass(4 * SECOND);
    expect(statusOf(id)).to.equal('delivering');
    await recording.catchUp();
    await pass(2 * SECOND);
    expect(statusOf(id)).to.equal('overdue');
  });

  it('given a fault of its own, then says so, and looks again', async () => {
    const fault = new TypeError('a fault');
    const { projections, clock, log } = recording;
    const faulty = new OverdueWatch({
      incidents: { actor: () => ({ send: () => Promise.reject(fault) }) },
      log,
      current: () => projections.current(),
      shown: projections.posture,
      isProved: () => true,
      overdueAfter: () => AFTER,
      clock,
      onFault: (error) => void faults.push(error),
    });
    await reported();
    await faulty.look();
    clock.milliseconds += 2 * AFTER;
    await faulty.look();
    await faulty.look();
    expect(faults.splice(0)).to.deep.equal([fault, fault]);
  });
});
