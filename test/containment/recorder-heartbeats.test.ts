import { createHmac, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { MINUTE, SECOND } from '../../src/clock.ts';
import { RecorderHeartbeats } from '../../src/containment/recorder-heartbeats.ts';
import { parseTargetUrl } from '../../src/policy/target-url.ts';
import type { Webhook } from '../../src/policy/targets.ts';
import { eventually } from '../support/eventually.ts';
import { FixedClock } from '../support/fixed-clock.ts';
import { answering, listeningTargets } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('the heartbeats of the recorder', () => {
  const directory = temporaryDirectories();
  const listen = listeningTargets();
  const status = { entries: 17, waiting: 0 };
  let clock: FixedClock;
  let reasons: string[];
  let notify: readonly Webhook[];
  let heartbeats: RecorderHeartbeats;

  beforeEach(() => {
    clock = new FixedClock();
    reasons = [];
    Object.assign(status, { entries: 17, waiting: 0 });
    heartbeats = new RecorderHeartbeats({
      notify: () => notify,
      log: { status: status as never },
      reasons: () => reasons,
      logId: () => '5d0c1c2d9f0a4f7a1d9b',
      startedAt: '2026-11-22T07:00:00.000Z',
      clock,
    });
  });
  afterEach(() => heartbeats.stop());

  const pass = (milliseconds: number): void => {
    for (let left = milliseconds; left > 0; left -= SECOND) {
      clock.milliseconds += SECOND;
      heartbeats.beat();
    }
  };
  const taken = () => eventually(() => heartbeats.status.every(({ taken_at, last_error }) => taken_at ?? last_error));

  it('are signed, say that the recorder lives and how far its log is, and come as often as is asked', async () => {
    const target = await listen();
    const secret = randomBytes(32);
    const secretPath = join(directory(), 'secret');
    writeFileSync(secretPath, `whsec_${secret.toString('base64')}\n`, { mode: 0o600 });
    notify = [{ url: parseTargetUrl(target.url('/alive'))!, secret_path: secretPath, heartbeat: MINUTE }];
    heartbeats.beat();
    await taken();
    const [first] = await target.receives(1);
    expect(first?.body).to.deep.include({ event: 'recorder.alive', timestamp: '2026-11-22T07:12:00.123Z' });
    expect(first?.body.data).to.deep.include({
      log_id: '5d0c1c2d9f0a4f7a1d9b',
      last_seq: 17,
      started_at: '2026-11-22T07:00:00.000Z',
      every_ms: 60_000,
    });
    const { headers } = first!;
    expect(headers['audit-event']).to.equal('recorder.alive');
    const text = JSON.stringify(first?.body);
    const hmac = createHmac('sha256', secret).update(
      `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${text}`,
    );
    expect(headers['webhook-signature']).to.equal(`v1,${hmac.digest('base64')}`);
    expect(heartbeats.status).to.deep.equal([{ url: target.url(''), taken_at: '2026-11-22T07:12:00.123Z' }]);

    pass(MINUTE - SECOND);
    expect(target.received).to.have.lengthOf(1);
    pass(SECOND);
    const [, second] = await target.receives(2);
    expect(second?.headers['idempotency-key']).to.not.equal(headers['idempotency-key']);
  });

  it('stay away while reports are refused, and while what waits for the disk does not get there', async () => {
    const target = await listen();
    notify = [{ url: parseTargetUrl(target.url('/alive'))!, heartbeat: 2 * SECOND }];
    reasons = ["the audit log can't be written: ENOSPC"];
    pass(10 * SECOND);
    expect(heartbeats.status[0]?.taken_at).to.equal(null);
    reasons = [];
    pass(SECOND);
    await target.receives(1);
    await taken();

    status.waiting = 3;
    // In the first five seconds the disk may only be slow.
    pass(6 * SECOND);
    const before = target.received.length;
    clock.milliseconds += MINUTE;
    heartbeats.beat();
    heartbeats.beat();
    await heartbeats.stop();
    expect(target.received).to.have.lengthOf(before);
  });

  it('are sent once each, and a webhook that takes none is named', async () => {
    const target = await listen(0, answering(500, 'no, and the secret is 1234'));
    notify = [
      { url: parseTargetUrl(target.url('/alive'))!, heartbeat: MINUTE },
      { url: parseTargetUrl(target.url('/none'))! },
    ];
    heartbeats.beat();
    await taken();
    pass(MINUTE - SECOND);
    expect(target.received).to.have.lengthOf(1);
    expect(heartbeats.status).to.deep.equal([{ url: target.url(''), taken_at: null, last_error: 'answered 500' }]);
  });
});
