import { expect } from 'chai';
import type { Rule } from '../../machines/vocabulary.ts';
import { Confirmations } from '../../src/containment/confirmations.ts';
import { parseTargetUrl } from '../../src/policy/target-url.ts';
import type { Targets } from '../../src/policy/targets.ts';
import type { DeliveryNews } from '../../src/domain/delivery.ts';
import { operator, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const endpoint = { url: parseTargetUrl('http://127.0.0.1:1/')!, action: 'freeze' };
const PUSH: Targets = { freeze_agent: { engage: endpoint, release: endpoint } };
const rules: Record<string, Rule> = {
  tool_call_burst: { auto_contain: true, actions: ['freeze_agent'], default_severity: 'medium' },
  prompt_injection: { auto_contain: true, actions: ['freeze_agent', 'log_alert'], default_severity: 'high' },
  forbidden_airlock_request: { auto_contain: false, actions: ['disable_airlock'], default_severity: 'low' },
};
const ENGAGE = { action: 'freeze_agent', directive: 'engage' } as const;
const RELEASE = { action: 'freeze_agent', directive: 'release' } as const;

describe('what services and operators say about deliveries', () => {
  const directory = temporaryDirectories();
  let recording: Recording;
  let targets: Targets;
  let receipts: Confirmations;
  let woken: string[];

  beforeEach(async () => {
    targets = {};
    woken = [];
    recording = await Recording.open(directory(), { rules });
    receipts = confirmationsOf(recording);
  });
  afterEach(() => recording.close());

  const confirmationsOf = ({ projections, incidents, log, clock }: Recording): Confirmations => {
    const wake = (action: string): void => void woken.push(action);
    return new Confirmations({
      incidents,
      current: () => projections.current(),
      log,
      targets: () => targets,
      clock,
      wake,
    });
  };

  /** Opens another record, under the targets of the test. */
  const reopened = async (): Promise<void> => {
    await recording.close();
    recording = await Recording.open(directory(), { rules, targets });
    receipts = confirmationsOf(recording);
  };

  const reported = async (incidentClass: 'tool_call_burst' | 'prompt_injection' = 'tool_call_burst') => {
    const report = { class: incidentClass, source: 'tool-firewall', description: 'a report' } as const;
    return (await recording.recorder.report(report)).incident.id;
  };
  const resolve = (id: string) => recording.recorder.perform('resolve', { id });
  const incident = (id: string) => recording.incident(id)!;
  const delivery = (id: string) => incident(id).containment?.actions[0];
  const codeOf = (refused: Promise<unknown>) =>
    refused.then(
      () => 'taken',
      (error: { code: string }) => error.code,
    );

  describe('a confirmation', () => {
    it('of many incidents wakes few of them at the same time', async () => {
      await recording.close();
      recording = await Recording.open(directory(), { rules, liveActors: 1 });
      const { incidents, projections, log, clock } = recording;
      const current = () => projections.current();
      const many = new Confirmations({ incidents, current, log, targets: () => targets, clock, wake: () => {} });
      for (let n = 0; n < 60; n++) await reported();
      const append = log.append.bind(log);
      let most = 0;
      log.append = (drafts) => {
        most = Math.max(most, incidents.figures.alive);
        return append(drafts);
      };
      expect(await many.confirm(ENGAGE)).to.include({ confirmed: 60 });
      expect(most).to.be.within(2, 17);
    });

    it('given several holders, then all of them are confirmed, each once', async () => {
      const ids = [await reported(), await reported()];
      expect(await receipts.confirm(ENGAGE)).to.deep.equal({ confirmed: 2, lost: 0, remaining: 0 });
      for (const id of ids) {
        expect(delivery(id)).to.deep.include({
          status: 'confirmed',
          attempts: 0,
          receipt: { by: 'confirmation' },
          confirmed_at: '2026-11-22T07:12:00.123Z',
        });
        expect(incident(id).containment?.status).to.equal('confirmed');
      }
      const { entries } = recording.log.status;
      expect(await receipts.confirm(ENGAGE)).to.deep.equal({ confirmed: 0, lost: 0, remaining: 0 });
      expect(recording.log.status.entries).to.equal(entries);
    });

    it('given an incident, then only that one is confirmed', async () => {
      const [one, other] = [await reported(), await reported()];
      expect(await receipts.confirm({ ...ENGAGE, incident_id: one, observed: 'engaged' })).to.include({ confirmed: 1 });
      expect(delivery(one)).to.deep.include({ receipt: { by: 'confirmation', observed: 'engaged' } });
      expect(delivery(other)).to.include({ status: 'recorded' });
    });

    it('given more holders than one request may change, then the next request changes the others', async () => {
      await Promise.all(Array.from({ length: 510 }, () => reported()));
      expect(await receipts.confirm(ENGAGE)).to.deep.equal({ confirmed: 500, lost: 0, remaining: 10 });
      expect(await receipts.confirm(ENGAGE)).to.deep.equal({ confirmed: 10, lost: 0, remaining: 0 });
    });

    it('given the release of the last holder, then that is confirmed', async () => {
      const id = await reported();
      await resolve(id);
      expect(await receipts.confirm({ ...RELEASE, incident_id: id, observed: 'released' })).to.include({
        confirmed: 1,
      });
      expect(recording.projections.posture.of('freeze_agent').release?.delivery).to.include({ status: 'confirmed' });
    });

    it('given an observation that contradicts, then it is lost, degraded, with an alert, and can be confirmed again', async () => {
      const id = await reported();
      await receipts.confirm(ENGAGE);
      expect(await receipts.confirm({ ...ENGAGE, observed: 'released' })).to.deep.equal({
        confirmed: 0,
        lost: 1,
        remaining: 0,
      });
      expect(delivery(id)).to.include({ status: 'lost', last_error: 'its service says that it is released' });
      expect(incident(id)).to.deep.include({ state: 'contained', version: 4 });
      expect(incident(id).containment?.status).to.equal('degraded');
      expect(await receipts.confirm({ ...ENGAGE, observed: 'engaged' })).to.include({ confirmed: 1 });
      expect(incident(id).containment?.status).to.equal('confirmed');
    });

    it('given a target that has not confirmed, then it is the first to confirm; what it has confirmed may be lost', async () => {
      targets = PUSH;
      await reopened();
      const id = await reported();
      const nothing = { confirmed: 0, lost: 0, remaining: 0 };
      const deliver = (news: DeliveryNews) =>
        recording.incidents.actor(id).send({ type: 'deliver', action: 'freeze_agent', directive: 'engage', news });
      for (const confirmation of [ENGAGE, { ...ENGAGE, observed: 'engaged', incident_id: id }] as const) {
        expect(await receipts.confirm(confirmation)).to.deep.equal(nothing);
        expect(delivery(id)).to.include({ status: 'pending' });
      }
      await deliver({ type: 'missed', error: 'answered 503', wait: 500 });
      expect(await receipts.confirm(ENGAGE)).to.deep.equal(nothing);
      await deliver({ type: 'refused', error: 'answered 401' });
      expect(await receipts.confirm(ENGAGE)).to.deep.equal(nothing);
      expect(delivery(id)).to.include({ status: 'failed' });
      await deliver({ type: 'retried', via: 'push' });
      await deliver({ type: 'confirmed', attempted: true, receipt: { by: 'answer', status: 200 } });
      expect(await receipts.confirm({ ...ENGAGE, observed: 'released' })).to.include({ lost: 1 });
      expect(await receipts.confirm(ENGAGE)).to.include({ confirmed: 1 });
      await resolve(id);
      expect(await receipts.confirm(RELEASE)).to.deep.equal(nothing);
    });

    it('given a target whose service confirms later, then that may be the first', async () => {
      targets = { freeze_agent: { ...PUSH.freeze_agent, confirm: 'callback' } };
      await reopened();
      const id = await reported();
      expect(await receipts.confirm(ENGAGE)).to.include({ confirmed: 1 });
      expect(delivery(id)).to.include({ status: 'confirmed' });
    });

    it('given a target that has not confirmed, then its sign of life is noted', async () => {
      targets = { freeze_agent: { ...PUSH.freeze_agent, confirm_every: 60_000 } };
      await reopened();
      await reported();
      await receipts.confirm(ENGAGE);
      expect(recording.projections.posture.of('freeze_agent').heard_at).to.equal('2026-11-22T07:12:00.123Z');
    });

    it('given an observation that contradicts a release, then that is lost', async () => {
      const id = await reported();
      await resolve(id);
      await receipts.confirm(RELEASE);
      expect(await receipts.confirm({ ...RELEASE, observed: 'engaged' })).to.include({ lost: 1 });
      expect(recording.projections.posture.of('freeze_agent').release?.delivery).to.include({ status: 'lost' });
      expect(incident(id).state).to.equal('resolved');
    });

    it('given an observation that contradicts what nobody has confirmed, then it is no news', async () => {
      const id = await reported();
      expect(await receipts.confirm({ ...ENGAGE, observed: 'released' })).to.deep.equal({
        confirmed: 0,
        lost: 0,
        remaining: 0,
      });
      expect(delivery(id)).to.include({ status: 'recorded' });
    });

    it('given a directive that is not in force, then refused', async () => {
      expect(await codeOf(receipts.confirm(ENGAGE))).to.equal('illegal_transition');
      expect(await receipts.confirm(RELEASE), 'never engaged').to.deep.equal({ confirmed: 0, lost: 0, remaining: 0 });
      const id = await reported();
      expect(await codeOf(receipts.confirm(RELEASE))).to.equal('illegal_transition');
      await resolve(id);
      expect(await codeOf(receipts.confirm(ENGAGE))).to.equal('illegal_transition');
    });

    it('given an incident that does not hold the action, or any more, then refused; an unknown one is not found', async () => {
      const [one, other] = [await reported(), await reported()];
      const report = { class: 'forbidden_airlock_request', source: 'airlock', description: 'a report' } as const;
      const open = (await recording.recorder.report(report)).incident.id;
      await resolve(other);
      expect(await codeOf(receipts.confirm({ ...ENGAGE, incident_id: open }))).to.equal('illegal_transition');
      expect(await codeOf(receipts.confirm({ ...ENGAGE, incident_id: other }))).to.equal('illegal_transition');
      expect(await codeOf(receipts.confirm({ ...ENGAGE, incident_id: 'INC-1' }))).to.equal('not_found');
      await resolve(one);
      expect(await codeOf(receipts.confirm({ ...RELEASE, incident_id: other }))).to.equal('illegal_transition');
    });

    it('given an alert, which is an entry of the log, then it is confirmed by that', async () => {
      const id = await reported('prompt_injection');
      expect(incident(id).containment?.actions[1]).to.include({ action: 'log_alert', via: 'log', status: 'confirmed' });
    });
  });

  describe('the wish to have something tried again', () => {
    const broken = async (): Promise<string> => {
      const id = await reported();
      await receipts.confirm(ENGAGE);
      await receipts.confirm({ ...ENGAGE, observed: 'released' });
      return id;
    };

    it('given one that was lost and a target, then it is sent, and the log says who wanted that', async () => {
      const id = await broken();
      targets = PUSH;
      const retried = await receipts.retry({ action: 'freeze_agent', caller: operator('ada'), note: 'mended' });
      expect(retried).to.deep.equal({ retried: 1, remaining: 0 });
      expect(delivery(id)).to.include({ status: 'pending', via: 'push', attempts: 0 });
      expect(incident(id).containment?.status).to.equal('delivering');
      expect(woken).to.deep.equal(['freeze_agent']);
    });

    it('given a target that was added since, then what was recorded is sent', async () => {
      const ids = await Promise.all(Array.from({ length: 510 }, () => reported()));
      expect(await receipts.retry({ action: 'freeze_agent' })).to.deep.equal({ retried: 0, remaining: 0 });
      targets = PUSH;
      expect(await receipts.retry({ action: 'freeze_agent' })).to.deep.equal({ retried: 500, remaining: 10 });
      expect(await receipts.retry({ action: 'freeze_agent' })).to.deep.equal({ retried: 10, remaining: 0 });
      expect(ids.map((id) => delivery(id)?.status)).to.deep.equal(ids.map(() => 'pending'));
    });

    it('given that the target was taken away, then it is recorded, to be fetched', async () => {
      const id = await broken();
      await receipts.retry({ action: 'freeze_agent', incident_id: id });
      expect(delivery(id)).to.include({ status: 'recorded', via: 'poll' });
    });

    it('given the release of the last holder, then that is sent again', async () => {
      const id = await reported();
      await resolve(id);
      await receipts.confirm(RELEASE);
      await receipts.confirm({ ...RELEASE, observed: 'engaged' });
      targets = PUSH;
      expect(await receipts.retry({ action: 'freeze_agent', incident_id: id })).to.include({ retried: 1 });
      expect(recording.projections.posture.of('freeze_agent').release?.delivery).to.include({ status: 'pending' });
    });

    it('given an incident with nothing to try again, then refused; an unknown one is not found', async () => {
      const id = await reported();
      const retry = (incident_id: string) => codeOf(receipts.retry({ action: 'freeze_agent', incident_id }));
      const before = incident(id).version;
      expect(await retry(id), 'recorded, and nowhere to send it').to.equal('illegal_transition');
      expect(incident(id).version).to.equal(before);
      await receipts.confirm(ENGAGE);
      expect(await retry(id), 'confirmed').to.equal('illegal_transition');
      await resolve(id);
      expect(await retry(id), 'resolved').to.equal('illegal_transition');
      expect(await retry('INC-1')).to.equal('not_found');
    });
  });
});
