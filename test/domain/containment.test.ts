import { expect } from 'chai';
import fc from 'fast-check';
import { containmentStatus } from '../../machines/incident.ts';
import { CLASSES, type ContainmentAction, type Rule } from '../../machines/vocabulary.ts';
import { MINUTE } from '../../src/clock.ts';
import { decide, decideReport, type Message } from '../../src/domain/decide-incident.ts';
import { isSettled } from '../../src/domain/containment-results.ts';
import { type DeliveryNews, type DeliveryRecord, newDelivery, standingOf, waitOf } from '../../src/domain/delivery.ts';
import type { IncidentDraft, IncidentEntry } from '../../src/domain/entries.ts';
import { decidedEffect, effectOf, fold, type IncidentRecord } from '../../src/domain/incident.ts';

const ACTIONS: readonly ContainmentAction[] = ['freeze_agent', 'quarantine_model', 'log_alert'];
/** An alert is carried out by its entry. */
const DELIVERED = ACTIONS.filter((action) => action !== 'log_alert');
const rule: Rule = { auto_contain: false, actions: ACTIONS, default_severity: 'high' };
const channelOf = (action: ContainmentAction) =>
  action === 'log_alert' ? 'log' : action === 'freeze_agent' ? 'push' : 'poll';

/** An incident as a replay of its entries makes it. */
class Replayed {
  record: IncidentRecord | undefined;
  readonly entries: IncidentEntry[] = [];
  #time = Date.parse('2026-11-22T07:12:00.000Z');

  get now(): string {
    return new Date(this.#time).toISOString();
  }

  append(drafts: readonly IncidentDraft[]): void {
    for (const draft of drafts) {
      const seq = this.entries.length + 1;
      const entry = { ...draft, data: { ...draft.data, seq }, prev_hash: '', entry_hash: `${seq}`, algorithm: 'test' };
      this.record = fold(this.record, entry as IncidentEntry);
      this.entries.push(entry as IncidentEntry);
    }
  }

  /** Sends a message as its actor takes it. */
  send(message: Message): void {
    this.#time += MINUTE;
    const record = this.record!;
    const delivery =
      message.type === 'deliver' && record.incident.state !== 'resolved' ? this.#delivery(message.action) : undefined;
    const decision = decide(record, message, { timestamp: this.now, channelOf }, delivery);
    if (decision.kind !== 'accepted') return;
    const seq = this.entries.length + 1;
    const [first] = decision.drafts;
    const entry = { ...first!, data: { ...first!.data, seq } } as IncidentEntry;
    if (decision.delivery !== undefined && message.type === 'deliver') {
      expect(decidedEffect(decision.delivery, entry)).to.deep.equal(effectOf(record, entry));
    }
    this.append(decision.drafts);
  }

  #delivery(action: ContainmentAction): DeliveryRecord | undefined {
    return this.record?.incident.containment?.actions.find((one) => one.action === action);
  }
}

const news: fc.Arbitrary<DeliveryNews> = fc.constantFrom<DeliveryNews>(
  { type: 'missed', error: 'no answer', wait: 1000 },
  { type: 'missed', error: 'no answer', wait: Infinity },
  { type: 'refused', error: 'answered 400' },
  { type: 'refused', error: 'nothing to send', unsent: true },
  { type: 'overdue', waited: 61_000, after: 60_000, first: true },
  { type: 'confirmed', attempted: true, receipt: { by: 'answer', status: 200 } },
  { type: 'confirmed', attempted: false, receipt: { by: 'confirmation' } },
  { type: 'lost', reason: 'silent' },
  { type: 'retried', via: 'push' },
);
const evidence = fc.option(fc.constantFrom({ model_name: 'a' }, { other: 1 }, { model_path: '../../etc' }), {
  nil: undefined,
});
const report = evidence.map((given) => ({
  class: CLASSES[0],
  source: 's',
  description: 'd',
  ...(given === undefined ? {} : { evidence: given }),
}));
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.constantFrom<Message>({ type: 'contain' }, { type: 'acknowledge' }),
  { weight: 1, arbitrary: fc.constant<Message>({ type: 'resolve' }) },
  {
    weight: 3,
    arbitrary: report.map((further): Message => ({ type: 'recur', report: further, rule, attentionAfter: 5 * MINUTE })),
  },
  {
    weight: 12,
    arbitrary: fc
      .tuple(fc.constantFrom(...DELIVERED), news)
      .map(([action, one]): Message => ({ type: 'deliver', action, directive: 'engage', news: one })),
  },
);

const opened = (first: Parameters<typeof decideReport>[1], under = rule): Replayed => {
  const replayed = new Replayed();
  replayed.append(decideReport('INC-1', first, under, { timestamp: replayed.now, channelOf }));
  return replayed;
};

describe('the containment of an incident, whatever happens to it', () => {
  const always = (check: (replayed: Replayed) => void): void =>
    fc.assert(
      fc.property(report, fc.boolean(), fc.array(message, { maxLength: 25 }), (first, auto_contain, messages) => {
        const replayed = opened(first, { ...rule, auto_contain });
        check(replayed);
        for (const one of messages) {
          replayed.send(one);
          check(replayed);
        }
      }),
    );

  it('is summed up by its deliveries: degraded before overdue before delivering before confirmed', () => {
    always(({ record }) => {
      const { containment, state } = record!.incident;
      if (containment === undefined || state === 'resolved') return;
      const standings = Object.fromEntries(
        containment.actions.map((one) => [one.action, one.action === 'log_alert' ? 'confirmed' : standingOf(one)]),
      );
      expect(containment.status).to.equal(containmentStatus(standings));
      expect(record!.snapshot.context.standings).to.deep.equal(standings);
    });
  });

  it('has a result for each action whose outcome is known, and for no other', () => {
    always(({ record, entries }) => {
      const { containment, containment_results: results = [], state } = record!.incident;
      const actions = containment?.actions ?? [];
      if (state !== 'resolved') {
        const known = actions.filter((one) => isSettled(one)).map(({ action }) => action);
        expect(results.map(({ action }) => action)).to.deep.equal(known);
      }
      for (const { action, success, error, completed_at } of results) {
        const { status, confirmed_at } = actions.find((one) => one.action === action)!;
        if (status !== 'superseded') expect(success, status).to.equal(status === 'confirmed');
        expect(error === undefined).to.equal(success);
        if (success) expect(completed_at).to.equal(confirmed_at);
        expect(entries.map(({ timestamp }) => timestamp)).to.include(completed_at);
      }
      expect('containment_results' in record!.incident).to.equal(results.length > 0);
    });
  });

  it('is overdue only while it waits, and each delivery says which entry asked for it, and when', () => {
    always(({ record, entries }) => {
      for (const { status, overdue_at, asked_at, asked_seq } of record!.incident.containment?.actions ?? []) {
        const isWaiting = ['pending', 'delivering', 'recorded', 'superseded'].includes(status);
        if (overdue_at !== undefined) expect(isWaiting, status).to.equal(true);
        expect(entries[asked_seq - 1]?.timestamp).to.equal(asked_at);
      }
    });
  });

  it('never loses an action that was asked for', () => {
    let known = 0;
    always(({ record, entries }) => {
      if (entries.length === 1) known = 0;
      const { containment, containment_actions } = record!.incident;
      const now = containment?.actions.length ?? 0;
      expect(now).to.be.at.least(known);
      expect(containment?.actions.map(({ action }) => action)).to.deep.equal(containment_actions);
      known = now;
    });
  });
});

describe('the results of containment', () => {
  const frozen = { ...rule, auto_contain: true, actions: ['freeze_agent'] } as const;
  const start = (): Replayed => opened({ class: CLASSES[0], source: 's', description: 'd' }, frozen);
  const sendNews = (replayed: Replayed, one: DeliveryNews): void =>
    replayed.send({ type: 'deliver', action: 'freeze_agent', directive: 'engage', news: one });
  const results = ({ record }: Replayed) => record?.incident.containment_results;
  const confirmed = { type: 'confirmed', attempted: true, receipt: { by: 'answer', status: 200 } } as const;

  it('are not there while nothing is known, also after attempts without success', () => {
    const replayed = start();
    expect(results(replayed)).to.equal(undefined);
    sendNews(replayed, { type: 'missed', error: 'no answer', wait: 1000 });
    expect(results(replayed)).to.equal(undefined);
  });

  it('say success and when, once it is confirmed', () => {
    const replayed = start();
    sendNews(replayed, confirmed);
    const success = [{ action: 'freeze_agent', success: true, completed_at: replayed.now }];
    expect(results(replayed)).to.deep.equal(success);
    for (const type of ['acknowledge', 'resolve'] as const) replayed.send({ type });
    expect(results(replayed)).to.deep.equal(success);
  });

  it('say why it failed, and nothing once it is tried again', () => {
    const replayed = start();
    sendNews(replayed, { type: 'refused', error: 'answered 400' });
    const failure = { action: 'freeze_agent', success: false, error: 'answered 400', completed_at: replayed.now };
    expect(results(replayed)).to.deep.equal([failure]);
    sendNews(replayed, { type: 'retried', via: 'push' });
    expect(replayed.record?.incident).to.not.have.property('containment_results');
  });

  it('are no success any more once it is lost', () => {
    const replayed = start();
    sendNews(replayed, confirmed);
    sendNews(replayed, { type: 'lost', reason: 'silent' });
    const [result] = results(replayed) ?? [];
    expect(result).to.deep.equal({
      action: 'freeze_agent',
      success: false,
      error: 'lost: silent',
      completed_at: replayed.now,
    });
  });

  it('keep a failure when the incident is resolved', () => {
    const replayed = start();
    sendNews(replayed, { type: 'refused', error: 'answered 400' });
    const before = results(replayed);
    replayed.send({ type: 'resolve' });
    expect(results(replayed)).to.deep.equal(before);
  });
});

describe('what needs a person', () => {
  const events = ({ entries }: Replayed) => entries.map(({ event }) => event);
  const contained = { ...rule, auto_contain: true, actions: ['quarantine_model'] } as const;
  const quarantine = ({ record }: Replayed) => record?.incident.containment?.actions[0];
  const plain = { class: CLASSES[0], source: 's', description: 'd' } as const;
  const recur = (further: Parameters<typeof decideReport>[1]): Message => ({
    type: 'recur',
    report: further,
    rule: contained,
    attentionAfter: MINUTE,
  });

  it('is known in the write of the report, with its alert', () => {
    const replayed = opened(plain, contained);
    expect(events(replayed)).to.deep.equal(['incident.reported', 'containment.failed', 'alert.raised']);
    expect(quarantine(replayed)).to.include({ status: 'needs_person', attempts: 0 });
    expect(replayed.record?.incident.containment?.status).to.equal('degraded');
  });

  it('is known in the write of the command that contains it', () => {
    const replayed = opened(plain, { ...contained, auto_contain: false });
    replayed.send({ type: 'contain' });
    expect(events(replayed).slice(1)).to.deep.equal(['incident.contained', 'containment.failed', 'alert.raised']);
  });

  it('is not asked for again before a report says what to act on', () => {
    const replayed = opened(plain, contained);
    replayed.send(recur(plain));
    expect(events(replayed).at(-1)).to.equal('incident.recurred');
    expect(quarantine(replayed)?.status).to.equal('needs_person');
    replayed.send(recur({ ...plain, evidence: { model_name: 'a' } }));
    expect(quarantine(replayed)).to.include({ status: 'recorded', asked_seq: replayed.entries.length });
  });

  it('is left to a service that fetches it where the evidence names a model, however it is written', () => {
    expect(quarantine(opened({ ...plain, evidence: { model_path: '/abs' } }, contained))?.status).to.equal('recorded');
  });
});

describe('an alert in a log of a version that wrote no entry for it', () => {
  it('waits for nobody', () => {
    const asking = { timestamp: '2026-11-22T07:12:00.000Z', data: { seq: 1 } };
    expect(waitOf(newDelivery('log_alert', 'log', asking))).to.equal(undefined);
    expect(waitOf(newDelivery('freeze_agent', 'poll', asking))).to.equal('waiting');
  });
});

describe('an acknowledged incident that is contained', () => {
  it('keeps the deliveries that it has, and asks for the others', () => {
    const replayed = opened({ class: CLASSES[0], source: 's', description: 'd' });
    for (const type of ['contain', 'acknowledge'] as const) replayed.send({ type });
    const receipt = { by: 'answer', status: 200 } as const;
    const confirmed = { type: 'confirmed', attempted: true, receipt } as const;
    replayed.send({ type: 'deliver', action: 'freeze_agent', directive: 'engage', news: confirmed });
    const before = replayed.record?.incident.containment;
    replayed.send({ type: 'contain' });
    expect(replayed.record?.incident.state).to.equal('contained');
    expect(replayed.record?.incident.containment).to.deep.equal(before);
    expect(replayed.entries.at(-1)?.data).to.deep.include({ intents: [] });
  });
});
