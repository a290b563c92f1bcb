import { expect } from 'chai';
import type { ContainmentAction, Rule } from '../../machines/vocabulary.ts';
import { HOUR, SECOND } from '../../src/clock.ts';
import { Confirmations } from '../../src/containment/confirmations.ts';
import { ConfirmationDeadline } from '../../src/containment/confirmation-deadline.ts';
import { parseTargetUrl } from '../../src/policy/target-url.ts';
import type { Targets } from '../../src/policy/targets.ts';
import { UnprovedIncident } from '../../src/projections/incident-proof.ts';
import { parsed, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const ACTION: ContainmentAction = 'freeze_agent';
const PERIOD = 60 * SECOND;
const engage = { url: parseTargetUrl('http://127.0.0.1:1/')!, action: 'freeze' };
const rules: Record<string, Rule> = {
  tool_call_burst: { auto_contain: true, actions: [ACTION], default_severity: 'medium' },
};
const report = { class: 'tool_call_burst', source: 'tool-firewall', description: '400 calls in a second' } as const;

describe('a service that has to confirm every minute', () => {
  const directory = temporaryDirectories();
  let home: string;
  let targets: Targets;
  let recording: Recording;
  let silence: ConfirmationDeadline;
  let receipts: Confirmations;
  let faults: unknown[];
  /** An incident that can't be changed now. */
  let unproved: string | undefined;

  const open = async (): Promise<void> => {
    recording = await Recording.open(home, { rules, targets });
    const { projections, incidents, log, clock } = recording;
    const shared = { incidents, current: () => projections.current(), targets: () => targets, clock };
    silence = new ConfirmationDeadline({
      ...shared,
      incidents: {
        actor: (id) =>
          id === unproved ? { send: () => Promise.reject(new UnprovedIncident(id)) } : incidents.actor(id),
      },
      onFault: (error) => void faults.push(error),
    });
    receipts = new Confirmations({ ...shared, log, wake: () => {} });
  };

  beforeEach(() => {
    home = directory();
    targets = { [ACTION]: { engage, confirm_every: PERIOD, confirm: 'callback' } };
    faults = [];
    unproved = undefined;
    return open();
  });
  afterEach(async () => {
    await recording.close();
    expect(faults).to.deep.equal([]);
  });

  const restart = async (later = 0): Promise<void> => {
    const { milliseconds, off } = recording.clock;
    await recording.close();
    await open();
    recording.clock.milliseconds = milliseconds + later;
    recording.clock.off = off;
  };
  const contained = async (): Promise<string> => {
    const { id } = (await recording.recorder.report(report)).incident;
    await confirm(id);
    return id;
  };
  const confirm = (id?: string) =>
    receipts.confirm({ action: ACTION, directive: 'engage', ...(id === undefined ? {} : { incident_id: id }) });
  const pass = async (time: number): Promise<void> => {
    recording.clock.milliseconds += time;
    await silence.look();
  };
  const statusOf = (id: string): string | undefined => recording.incident(id)?.containment?.actions[0]?.status;

  it('given three periods of silence, then the delivery is lost, the incident degraded, and an alert raised', async () => {
    const id = await contained();
    await silence.look();
    await pass(3 * PERIOD);
    expect(statusOf(id)).to.equal('confirmed');
    await pass(PERIOD / 2 + 1);
    const incident = recording.incident(id)!;
    expect(incident.state).to.equal('contained');
    expect(incident.containment).to.deep.include({ status: 'degraded' });
    expect(incident.containment?.actions[0]).to.include({
      status: 'lost',
      last_error: 'its service was not heard of for 210 s',
    });
    // The report, its confirmation, the loss and the alert.
    expect(incident.version).to.equal(4);
    await pass(HOUR);
    expect(recording.incident(id)?.version).to.equal(4);
  });

  it('given one that can not be proved, then the others are lost', async () => {
    const ids = [await contained(), await contained()];
    [unproved] = ids;
    await silence.look();
    await pass(4 * PERIOD);
    expect(ids.map(statusOf)).to.deep.equal(['confirmed', 'lost']);
  });

  it('given a word in each period, then nothing is lost, and few words are noted', async () => {
    const id = await contained();
    await silence.look();
    const before = recording.log.status.entries;
    for (let second = 0; second < 600; second += 10) {
      await pass(10 * SECOND);
      expect(await confirm()).to.deep.include({ confirmed: 0 });
    }
    expect(statusOf(id)).to.equal('confirmed');
    expect(recording.log.status.entries - before).to.equal(20);
  });

  it('given a word that was not noted, then three whole periods count from it', async () => {
    const id = await contained();
    await silence.look();
    await pass(PERIOD / 2 - 1);
    const before = recording.log.status.entries;
    await confirm();
    expect(recording.log.status.entries, 'so soon after the last').to.equal(before);
    await pass(3 * PERIOD);
    expect(statusOf(id)).to.equal('confirmed');
  });

  it('given that it is heard of again, then the action is confirmed again', async () => {
    const id = await contained();
    await silence.look();
    await pass(4 * PERIOD);
    expect(await confirm(id)).to.deep.equal({ confirmed: 1, lost: 0, remaining: 0 });
    expect(parsed(recording.projections.incidents.get(id)!).containment?.status).to.equal('confirmed');
  });

  for (const [what, off] of [
    ['a year back', -365 * 24 * HOUR],
    ['a year forward', 365 * 24 * HOUR],
  ] as const) {
    it(`given a clock that jumps ${what}, then only time itself counts`, async () => {
      const id = await contained();
      await silence.look();
      recording.clock.off = off;
      await pass(3 * PERIOD);
      expect(statusOf(id)).to.equal('confirmed');
      await pass(PERIOD);
      expect(statusOf(id)).to.equal('lost');
    });
  }

  it('given a restart in the silence, then the silence before it counts, and a period is left to be heard of', async () => {
    const id = await contained();
    await restart(24 * HOUR);
    await silence.look();
    await pass(PERIOD);
    expect(statusOf(id)).to.equal('confirmed');
    await pass(PERIOD);
    expect(statusOf(id)).to.equal('lost');
  });

  it('given a restart soon after it was heard of, then its periods go on', async () => {
    const id = await contained();
    await restart(PERIOD);
    await silence.look();
    await pass(2 * PERIOD);
    expect(statusOf(id)).to.equal('confirmed');
    await pass(PERIOD);
    expect(statusOf(id)).to.equal('lost');
  });

  it('given many incidents, then all of them are lost, some with each look', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 120; n++) ids.push((await recording.recorder.report(report)).incident.id);
    while ((await confirm()).remaining > 0);
    await silence.look();
    await pass(4 * PERIOD);
    expect(recording.projections.posture.of(ACTION).counts).to.deep.equal({ confirmed: 20, lost: 100 });
    await silence.look();
    expect(recording.projections.posture.of(ACTION).counts).to.deep.equal({ lost: 120 });
  });

  it('given that nobody says how often it has to confirm, then it may be silent', async () => {
    targets = { [ACTION]: { engage, confirm: 'callback' } };
    const id = await contained();
    await silence.look();
    await pass(24 * HOUR);
    expect(statusOf(id)).to.equal('confirmed');
  });

  it('given that the action is not in force any more, then its silence is no loss', async () => {
    const id = await contained();
    await silence.look();
    await recording.recorder.perform('resolve', { id });
    await receipts.confirm({ action: ACTION, directive: 'release' });
    await pass(24 * HOUR);
    expect(recording.projections.posture.of(ACTION).release?.delivery.status).to.equal('confirmed');
  });

  it('given a fault of its own, then says so, and looks again', async () => {
    const fault = new TypeError('a fault');
    const { projections, clock } = recording;
    const faulty = new ConfirmationDeadline({
      incidents: { actor: () => ({ send: () => Promise.reject(fault) }) },
      current: () => projections.current(),
      targets: () => targets,
      clock,
      onFault: (error) => void faults.push(error),
    });
    await contained();
    await faulty.look();
    recording.clock.milliseconds += 4 * PERIOD;
    await faulty.look();
    await faulty.look();
    expect(faults.splice(0)).to.deep.equal([fault, fault]);
  });
});
