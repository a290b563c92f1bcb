import { expect } from 'chai';
import type { ContainmentAction, Rule } from '../../machines/vocabulary.ts';
import { HOUR, MINUTE, SECOND } from '../../src/clock.ts';
import { Lane } from '../../src/containment/lane.ts';
import type { AttemptResult } from '../../src/containment/attempt-result.ts';
import { RecorderError } from '../../src/errors.ts';
import type { DeliveryName } from '../../src/domain/delivery.ts';
import type { IncidentActor } from '../../src/incidents/incident-actor.ts';
import { parseTargetUrl } from '../../src/policy/target-url.ts';
import { eventually } from '../support/eventually.ts';
import { Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const ACTION: ContainmentAction = 'freeze_agent';
const url = parseTargetUrl('http://127.0.0.1:1/')!;
const rule: Rule = { auto_contain: true, actions: [ACTION], default_severity: 'medium' };
const report = { class: 'tool_call_burst', source: 'tool-firewall', description: '400 calls in a second' } as const;

const DONE: AttemptResult = { kind: 'done', receipt: { by: 'answer', status: 200 } };
const MISSED: AttemptResult = { kind: 'missed', error: 'answered 503' };
const REFUSED: AttemptResult = { kind: 'refused', error: 'answered 404' };

interface Attempt extends DeliveryName {
  readonly answer: (outcome: AttemptResult | undefined) => void;
}

describe('a lane of deliveries', () => {
  const directory = temporaryDirectories();
  let recording: Recording;
  let lane: Lane;
  let attempts: Attempt[];
  let faults: unknown[];
  let isProved: boolean;

  const open = async (home: string): Promise<void> => {
    const target = { engage: { url, action: 'freeze' }, release: { url, action: 'unfreeze' } };
    recording = await Recording.open(home, { rules: { tool_call_burst: rule }, targets: { [ACTION]: target } });
    lane = laneOf(recording);
  };

  type Send = (id: string, ...message: Parameters<IncidentActor['send']>) => ReturnType<IncidentActor['send']>;

  const laneOf = (
    { projections, incidents, clock }: Recording,
    send: Send = (id, ...message) => incidents.actor(id).send(...message),
  ) =>
    new Lane(ACTION, {
      incidents: {
        actor: (id) => ({
          send: (...message) => send(id, ...message),
          delivery: (...name) => incidents.actor(id).delivery(...name),
        }),
      },
      current: () => projections.current(),
      isProved: () => isProved,
      clock,
      onFault: (error) => void faults.push(error),
      attempt: (name, signal) =>
        new Promise((resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
          attempts.push({ ...name, answer: resolve });
        }),
    });

  beforeEach(() => {
    attempts = [];
    faults = [];
    isProved = true;
    return open(directory());
  });
  afterEach(async () => {
    await lane.stop();
    await recording.close();
    expect(faults).to.deep.equal([]);
  });

  const reported = async (): Promise<string> => (await recording.recorder.report(report)).incident.id;
  const resolve = (id: string) => recording.recorder.perform('resolve', { id });
  const statusOf = (id: string): string | undefined => recording.incident(id)?.containment?.actions[0]?.status;
  const releaseStatus = (): string | undefined => recording.projections.posture.of(ACTION).release?.delivery.status;
  /** What was attempted so far, as `directive number-of-the-incident`. */
  const attempted = (...ids: readonly string[]): readonly string[] =>
    attempts.map(({ directive, incident }) => `${directive} ${ids.indexOf(incident) + 1}`);

  /** Wakes the lane and waits until it has looked. */
  const wake = async (): Promise<void> => {
    lane.wake();
    await new Promise(setImmediate);
  };

  /** Waits for the next attempt and answers it. */
  const answer = async (number: number, outcome: AttemptResult | undefined): Promise<void> => {
    lane.wake();
    await eventually(() => attempts.length >= number);
    attempts[number - 1]?.answer(outcome);
  };
  const settled = (isSo: () => boolean): Promise<void> => eventually(isSo);

  it('makes one attempt at a time, in the order in which they were asked for', async () => {
    const ids = [await reported(), await reported(), await reported()];
    await wake();
    await wake();
    expect(attempts).to.have.length(1);
    for (const [n, id] of ids.entries()) {
      await answer(n + 1, DONE);
      await settled(() => statusOf(id) === 'confirmed');
    }
    expect(attempted(...ids)).to.deep.equal(['engage 1', 'engage 2', 'engage 3']);
  });

  it('given a release while the engage is on its way, then the release waits for it, and goes after it', async () => {
    const id = await reported();
    await wake();
    await resolve(id);
    await wake();
    expect(attempted(id)).to.deep.equal(['engage 1']);
    expect(statusOf(id)).to.equal('superseded');
    await answer(1, DONE);
    await answer(2, DONE);
    await settled(() => releaseStatus() === 'confirmed');
    expect(attempted(id)).to.deep.equal(['engage 1', 'release 1']);
    expect(statusOf(id)).to.equal('superseded');
  });

  it('given an engage while the release waits for its next attempt, then the release is never sent again', async () => {
    const first = await reported();
    await answer(1, DONE);
    await settled(() => statusOf(first) === 'confirmed');
    await resolve(first);
    await answer(2, MISSED);
    await settled(() => releaseStatus() === 'delivering');
    const second = await reported();
    await answer(3, DONE);
    await settled(() => statusOf(second) === 'confirmed');
    recording.clock.milliseconds += HOUR;
    await wake();
    await new Promise(setImmediate);
    expect(attempted(first, second)).to.deep.equal(['engage 1', 'release 1', 'engage 2']);
    expect(releaseStatus()).to.equal(undefined);
  });

  it('given the answer to a release that was superseded while it was on its way, then it changes nothing', async () => {
    const first = await reported();
    await answer(1, DONE);
    await settled(() => statusOf(first) === 'confirmed');
    await resolve(first);
    await wake();
    await eventually(() => attempts.length === 2);
    const second = await reported();
    await answer(2, DONE);
    await answer(3, DONE);
    await settled(() => statusOf(second) === 'confirmed');
    expect(attempted(first, second)).to.deep.equal(['engage 1', 'release 1', 'engage 2']);
    expect(recording.projections.posture.of(ACTION)).to.deep.include({ holders: 1, release: null });
  });

  it('tries again after a pause of at most half a second, doubling, and not before', async () => {
    const id = await reported();
    for (const [attempt, longest] of [500, 1000, 2000, 4000].entries()) {
      await answer(attempt + 1, MISSED);
      const delivery = () => recording.incident(id)?.containment?.actions[0];
      await settled(() => delivery()?.attempts === attempt + 1);
      const due = Date.parse(delivery()?.next_attempt_at ?? '');
      expect(due - recording.clock.now()).to.be.within(0, longest);
      recording.clock.milliseconds = due - 1;
      await wake();
      expect(attempts, 'before it is due').to.have.length(attempt + 1);
      recording.clock.milliseconds = due;
    }
    await answer(5, DONE);
    await settled(() => statusOf(id) === 'confirmed');
  });

  it('waits for as long as the service asks', async () => {
    const id = await reported();
    await answer(1, { ...MISSED, retryAfter: 4 * MINUTE });
    await settled(() => statusOf(id) === 'delivering');
    recording.clock.milliseconds += 4 * MINUTE - 1;
    await wake();
    expect(attempts).to.have.length(1);
    recording.clock.milliseconds += 1;
    await answer(2, DONE);
    await settled(() => statusOf(id) === 'confirmed');
  });

  it('waits for five minutes at most, whatever an entry of an earlier version says', async () => {
    const id = await reported();
    await answer(1, { ...MISSED, retryAfter: HOUR });
    await settled(() => statusOf(id) === 'delivering');
    await wake();
    recording.clock.milliseconds += 5 * MINUTE;
    await answer(2, DONE);
    await settled(() => statusOf(id) === 'confirmed');
  });

  it('waits no longer once it is hurried, also while it works', async () => {
    const id = await reported();
    await answer(1, { ...MISSED, retryAfter: 4 * MINUTE });
    await settled(() => statusOf(id) === 'delivering');
    await wake();
    expect(attempts).to.have.length(1);
    lane.hurry();
    await eventually(() => attempts.length === 2);
    lane.hurry();
    await answer(2, { ...MISSED, retryAfter: 4 * MINUTE });
    await answer(3, { ...MISSED, retryAfter: 4 * MINUTE });
    await settled(() => recording.incident(id)?.containment?.actions[0]?.attempts === 3);
    await wake();
    expect(attempts).to.have.length(3);
  });

  it('given a service that is down, then one attempt in ten seconds stands for all', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 12; n++) ids.push(await reported());
    for (let attempt = 1; attempt <= 5; attempt++) {
      await answer(attempt, MISSED);
      await settled(() => recording.projections.posture.of(ACTION).counts.delivering === attempt);
    }
    recording.clock.milliseconds += 10 * SECOND - 1;
    await wake();
    expect(attempts).to.have.length(5);
    recording.clock.milliseconds += 1;
    await answer(6, MISSED);
    await new Promise(setImmediate);
    await wake();
    expect(attempts).to.have.length(6);
    recording.clock.milliseconds += 10 * SECOND;
    for (let attempt = 7; attempt <= 18; attempt++) await answer(attempt, DONE);
    await settled(() => recording.projections.posture.of(ACTION).counts.confirmed === 12);
    expect(ids.map(statusOf)).to.deep.equal(ids.map(() => 'confirmed'));
  });

  it('given a service that refuses, then it is up, and the others are sent', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 8; n++) ids.push(await reported());
    for (let attempt = 1; attempt <= 8; attempt++) await answer(attempt, REFUSED);
    await settled(() => recording.projections.posture.of(ACTION).counts.failed === 8);
  });

  for (const [what, jump] of [
    ['a day back', -24 * HOUR],
    ['ten years back', -10 * 365 * 24 * HOUR],
    ['ten years forward', 10 * 365 * 24 * HOUR],
  ] as const) {
    it(`given a clock that jumps ${what} before the first attempt, then it is made at once`, async () => {
      const id = await reported();
      recording.clock.off = jump;
      await wake();
      expect(attempts).to.have.length(1);
      await answer(1, DONE);
      await settled(() => statusOf(id) === 'confirmed');
    });

    it(`given a clock that jumps ${what} before a restart, then the next attempt is no later than after its pause`, async () => {
      const id = await reported();
      await answer(1, MISSED);
      await settled(() => statusOf(id) === 'delivering');
      await lane.stop();
      recording.clock.off = jump;
      lane = laneOf(recording);
      await wake();
      recording.clock.milliseconds += 500;
      await answer(2, DONE);
      await settled(() => statusOf(id) === 'confirmed');
    });

    it(`given a clock that jumps ${what} in a pause, then the pause is as long as it was`, async () => {
      const id = await reported();
      await answer(1, { ...MISSED, retryAfter: MINUTE });
      await settled(() => statusOf(id) === 'delivering');
      await wake();
      recording.clock.off = jump;
      recording.clock.milliseconds += MINUTE - 1;
      await wake();
      expect(attempts).to.have.length(1);
      recording.clock.milliseconds += 1;
      await answer(2, DONE);
      await settled(() => statusOf(id) === 'confirmed');
    });
  }

  it('given a clock that is set back before a restart, then what was never tried waits for nothing that was', async () => {
    const tried = await reported();
    await answer(1, { ...MISSED, retryAfter: MINUTE });
    await settled(() => statusOf(tried) === 'delivering');
    recording.clock.milliseconds += 2 * MINUTE;
    const fresh = await reported();
    await lane.stop();
    recording.clock.off = -HOUR;
    lane = laneOf(recording);
    await wake();
    expect(attempted(tried, fresh)).to.deep.equal(['engage 1', 'engage 2']);
    await answer(2, DONE);
    await settled(() => statusOf(fresh) === 'confirmed');
  });

  it('given nowhere to send it, then it rests, and goes on when it is woken', async () => {
    const id = await reported();
    await answer(1, undefined);
    await new Promise(setImmediate);
    expect(attempts).to.have.length(1);
    await answer(2, DONE);
    await settled(() => statusOf(id) === 'confirmed');
  });

  it('when it is stopped, then the attempt is broken off, and a new lane makes it again', async () => {
    const id = await reported();
    await wake();
    await lane.stop();
    expect(statusOf(id)).to.equal('pending');
    await wake();
    expect(attempts).to.have.length(1);
    lane = laneOf(recording);
    await answer(2, DONE);
    await settled(() => statusOf(id) === 'confirmed');
  });

  it('given a log that takes nothing for a while, then the results are recorded later and nothing is sent twice', async () => {
    const { incidents } = recording;
    let refusals = 1;
    lane = laneOf(recording, (name, ...message) => {
      if (refusals-- > 0) return Promise.reject(new RecorderError('log_unavailable', 'no room'));
      return incidents.actor(name).send(...message);
    });
    const id = await reported();
    await answer(1, DONE);
    await settled(() => statusOf(id) === 'confirmed');
    expect(attempts).to.have.length(1);
  });

  it('given a fault of its own, then it says so, and rests until it is woken', async () => {
    const { incidents } = recording;
    const fault = new TypeError('a fault');
    let isFaulty = true;
    lane = laneOf(recording, (name, ...message) =>
      isFaulty ? Promise.reject(fault) : incidents.actor(name).send(...message),
    );
    const id = await reported();
    await answer(1, DONE);
    await settled(() => faults.length === 1);
    expect(faults.splice(0)).to.deep.equal([fault]);
    await new Promise(setImmediate);
    expect(attempts).to.have.length(1);
    isFaulty = false;
    await answer(2, DONE);
    await settled(() => statusOf(id) === 'confirmed');
  });
});
