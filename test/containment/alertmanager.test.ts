import { expect } from 'chai';
import { MINUTE, SECOND } from '../../src/clock.ts';
import { AlertResend } from '../../src/containment/alert-resend.ts';
import type { Webhook } from '../../src/policy/targets.ts';
import { FixedClock } from '../support/fixed-clock.ts';
import { answering } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Noticing } from './support/noticing.ts';
import { expectTaken } from './support/vendor-schemas.ts';

describe('a webhook for Alertmanager', () => {
  const directory = temporaryDirectories();
  let noticing: Noticing;

  const open = async (settings: Partial<Webhook> = {}): Promise<Noticing> => {
    noticing = await Noticing.open(directory(), { format: 'alertmanager', ...settings });
    return noticing;
  };
  afterEach(() => noticing.close());

  /** What it was sent since so many requests, as `incident end?`. */
  const alerts = (since = 0): readonly string[] =>
    noticing.bodies
      .slice(since)
      .flatMap((body) =>
        body.map(
          ({ labels, endsAt }: { labels: { incident: string }; endsAt?: string }) =>
            `${labels.incident}${endsAt === undefined ? '' : ' end'}`,
        ),
      );

  it('gets an alert at once, again once a minute while the incident is unresolved, and its end', async () => {
    await open();
    const id = await noticing.report({ severity: 'critical' });
    await noticing.receives(1);
    expect(noticing.target.received[0]?.path).to.equal('/api/v2/alerts');
    await noticing.perform('acknowledge', id);
    for (let minute = 1; minute <= 6; minute++) {
      await noticing.pass(1 * MINUTE, 5 * SECOND);
      await noticing.receives(1 + minute);
    }
    expect(new Set(alerts())).to.deep.equal(new Set([id]));
    await noticing.perform('resolve', id);
    await noticing.receives(8);
    expect(alerts(7)).to.deep.equal([`${id} end`]);
    await noticing.pass(5 * MINUTE, 5 * SECOND);
    await noticing.receives(8);
    for (const body of noticing.bodies) expectTaken('alertmanager', body);
    expect(noticing.status).to.deep.include({ status: 'ok', behind: 0, format: 'alertmanager' });
    expect(noticing.status.resend).to.deep.include({ alerts: 0, late: false });
  });

  it('gets all that is unresolved after a restart, from what is on record', async () => {
    await open();
    const ids = [await noticing.report(), await noticing.report(), await noticing.report()];
    await noticing.perform('resolve', ids[0]!);
    await noticing.receives(4);
    await noticing.crash(directory(), 3 * MINUTE);
    await noticing.until(() => alerts(4).length >= 2);
    expect(new Set(alerts(4)))
      .to.include(ids[1])
      .and.include(ids[2])
      .and.not.include(ids[0]);
  });

  it('never gets an older state of an incident after its end', async () => {
    await open();
    const id = await noticing.report();
    await noticing.receives(1);
    let answer: () => void = () => {};
    noticing.target.behaviours = [(response) => (answer = () => response.writeHead(200).end()), answering(200)];
    await noticing.pass(61 * SECOND);
    await noticing.receives(2);
    // The alert is on its way once more when its incident is resolved.
    await noticing.perform('resolve', id);
    await noticing.receives(2);
    answer();
    await noticing.receives(3);
    expect(alerts()).to.deep.equal([id, id, `${id} end`]);
  });

  it('gets many in bounded batches, once each in a turn', async () => {
    await open();
    const { recorder } = noticing.recording;
    noticing.target.behaviours = [answering(200)];
    for (let count = 0; count < 230; count++) {
      await recorder.report({ class: 'prompt_injection', source: `source-${count}`, description: 'ignore all' });
    }
    await noticing.until(() => noticing.status.behind === 0);
    const before = noticing.bodies.length;
    await noticing.pass(61 * SECOND);
    await noticing.until(() => alerts(before).length === 230);
    expect(new Set(alerts(before)).size).to.equal(230);
    expect(Math.max(...noticing.bodies.slice(before).map((body) => body.length))).to.be.at.most(50);
    await noticing.until(() => noticing.status.resend?.alerts === 230);
  });

  it('gets nothing that is silenced or filtered out, but the end of what it was told', async () => {
    await open({ severity: ['critical'], class: ['prompt_injection'] });
    await noticing.report({ severity: 'high' });
    await noticing.report({ severity: 'critical', class: 'tool_call_burst' });
    const id = await noticing.report({ severity: 'critical' });
    await noticing.receives(1);
    noticing.isSilenced = () => true;
    await noticing.pass(3 * MINUTE, 5 * SECOND);
    await noticing.receives(1);
    await noticing.perform('resolve', id);
    await noticing.receives(2);
    expect(alerts()).to.deep.equal([id, `${id} end`]);
  });

  it('fails visibly while it takes nothing, and goes on with the same turn', async () => {
    await open();
    await noticing.report();
    await noticing.receives(1);
    noticing.target.behaviours = [answering(503)];
    await noticing.passUntil(() => noticing.status.status === 'failing');
    expect(noticing.status).to.include({ last_error: 'answered 503' });
    expect(noticing.status.resend?.late).to.equal(false);
    await noticing.pass(61 * SECOND);
    expect(noticing.status.resend?.late, 'a turn takes longer than a minute').to.equal(true);
    noticing.target.behaviours = [answering(200)];
    await noticing.passUntil(() => noticing.status.status === 'ok');
  });

  it('is sent the rest of a turn when it refuses a batch, which it says', async () => {
    await open();
    const { recorder } = noticing.recording;
    for (let count = 0; count < 60; count++) {
      await recorder.report({ class: 'prompt_injection', source: `source-${count}`, description: 'ignore all' });
    }
    await noticing.until(() => noticing.status.behind === 0);
    const before = noticing.bodies.length;
    noticing.target.behaviours = [answering(400, 'start time must be before end time'), answering(200)];
    await noticing.pass(61 * SECOND);
    await noticing.until(() => alerts(before).length === 60);
    expect(noticing.status).to.include({ status: 'failing', last_error: 'answered 400' });
    await noticing.pass(61 * SECOND);
    await noticing.until(() => noticing.status.status === 'ok');
  });
});

describe('the turns in which Alertmanager is sent everything again', () => {
  it('begin once a minute, also with nothing to send', async () => {
    let reads = 0;
    const resend = new AlertResend({
      webhook: () => ({
        format: 'alertmanager',
        url: { kind: 'tcp', text: '', host: '127.0.0.1', port: 1, path: '/' },
      }),
      current: () => ({
        incidentsOf: () => {
          reads += 1;
          return { documents: [], next: undefined };
        },
      }),
      isSilenced: () => false,
      clock: new FixedClock(),
      stopping: new AbortController().signal,
      exclusively: (work) => work(),
    });
    resend.look();
    await resend.settle();
    expect(reads).to.equal(1);
    resend.look();
    await resend.settle();
    expect(reads, 'a turn a minute').to.equal(1);
    expect(resend.status).to.deep.equal({ alerts: 0, took_ms: 0, late: false });
  });
});
