import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'chai';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/clock.ts';
import { Archivist } from '../../src/incidents/archivist.ts';
import { Notifier } from '../../src/containment/notifier.ts';
import { type Entry, isAboutIncident, type ParkedEntry } from '../../src/domain/entries.ts';
import { nameOf } from '../../src/policy/target-url.ts';
import type { Webhook } from '../../src/policy/targets.ts';
import { eventually } from '../support/eventually.ts';
import { Recording } from '../support/recording.ts';
import { answering, type Behaviour, Target } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const report = { class: 'tool_call_burst', source: 'tool-firewall', description: '400 calls in a second' } as const;

describe('a feed of a webhook', () => {
  const directory = temporaryDirectories();
  let home: string;
  let recording: Recording;
  let notifier: Notifier;
  let target: Target;
  let webhook: Webhook;
  /** The entries that the receiver can't take. */
  let poison: Set<number>;
  let isAway: boolean;

  /** What it has taken, in that order. */
  let taken: number[];

  const digest: Behaviour = (response, received) => {
    const { seq } = received.body.data;
    if (!isAway && !poison.has(seq)) taken.push(seq);
    answering(isAway ? 503 : poison.has(seq) ? 500 : 200)(response, received);
  };

  const open = async (segmentBytes = 1e15): Promise<void> => {
    recording = await Recording.open(home, { segmentBytes });
    const { log, projections, clock } = recording;
    notifier = new Notifier({
      log,
      current: () => projections.current(),
      shown: projections.webhooks,
      notify: () => [webhook],
      clock,
      onFault: (error) => expect.fail(String(error)),
    });
    await notifier.follow();
    await eventually(() => projections.current().takenBy(nameOf(webhook.url)) !== undefined);
  };

  const close = async (): Promise<void> => {
    await notifier.stop();
    await recording.close();
  };

  beforeEach(async () => {
    home = directory();
    target = await Target.listen(0, digest);
    const text = target.url('/hook');
    const url = { kind: 'tcp', host: '127.0.0.1', port: target.port, path: '/hook', text } as const;
    webhook = { url, events: ['incident.reported'] };
    [poison, isAway, taken] = [new Set(), false, []];
    await open();
  });
  afterEach(async () => {
    await close();
    await target.close();
  });

  /** Reports so many incidents, some of which the receiver can't take, and gives the `seq` of their entries. */
  const reportedWithPoison = async (count: number, ...indices: readonly number[]): Promise<readonly number[]> => {
    isAway = true;
    const seqs = await reported(count);
    poison = new Set(indices.map((index) => seqs[index]!));
    isAway = false;
    return seqs;
  };

  /** Reports so many incidents, and gives the `seq` of their entries. */
  const reported = async (count: number): Promise<readonly number[]> => {
    const seqs: number[] = [];
    for (let n = 0; n < count; n++) {
      const { id } = (await recording.recorder.report(report)).incident;
      seqs.push(entryOf(id));
    }
    notifier.wake();
    return seqs;
  };

  const sent = (): readonly number[] => target.received.map(({ body }) => body.data.seq as number);
  const status = () => notifier.status[0]!;
  const entries = (): readonly Entry[] =>
    [...recording.log.sealed.map(({ path }) => path), Recording.logIn(home)]
      // The last line may be half written.
      .flatMap((path) => readFileSync(path, 'utf8').split('\n').slice(0, -1))
      .map((line) => JSON.parse(line) as Entry);
  const parkedOnRecord = (): readonly ParkedEntry[] =>
    recording.projections.current().takenBy(nameOf(webhook.url))?.parked ?? [];
  const skips = () => entries().flatMap((entry) => (entry.event === 'webhook.skipped' ? [entry.data] : []));

  /** The newest entry about an incident: the feed may have written one of its own behind it. */
  const entryOf = (id: string): number =>
    entries().findLast((entry) => isAboutIncident(entry) && entry.data.incident === id)!.data.seq;

  /** Looks until it is so, and wakes the feeds meanwhile, as the service does every second. */
  const soon = (isSo: () => boolean): Promise<void> =>
    eventually(() => {
      notifier.wake();
      return isSo();
    });
  /** Lets time pass until it is so; not so fast that a day is over while a disk that is busy writes. */
  const pass = async (isSo: () => boolean, step = 10 * SECOND): Promise<void> => {
    while (!isSo()) {
      recording.clock.milliseconds += step;
      notifier.wake();
      await setTimeout(2);
    }
  };

  for (const answer of [401, 403, 404, 302, 400, 410, 413, 422, 429, 500]) {
    it(`given a receiver that answers ${answer} for a moment, then it gets each entry, in order`, async () => {
      target.behaviours = [answering(answer), answering(answer), answering(answer), digest];
      const seqs = await reported(4);
      await pass(() => taken.length === 4, SECOND);
      expect(sent()).to.deep.equal([seqs[0], seqs[0], seqs[0], ...seqs]);
      expect(status()).to.include({ status: 'ok', parked: 0, skipped: 0, refused: 0 });
    });
  }

  it('given an entry that is never taken, then it is sent alone for five minutes, parked, and the others go on', async () => {
    const [first, bad, ...others] = (await reportedWithPoison(5, 1)) as [number, number, ...number[]];
    const before = recording.clock.milliseconds;
    await pass(() => taken.length > 1, SECOND);
    expect(recording.clock.milliseconds - before).to.be.at.least(5 * MINUTE);
    await pass(() => taken.length === 4, SECOND);
    expect(taken).to.deep.equal([first, ...others]);
    await soon(() => parkedOnRecord().length === 1);
    expect(parkedOnRecord()[0]).to.include({ seq: bad, event: 'incident.reported' });
    await pass(() => status().behind === 0, SECOND);
    expect(status()).to.include({ status: 'ok', parked: 1, behind: 0, last_error: 'answered 500' });
    const [later] = await reported(1);
    await soon(() => taken.includes(later!));
    poison.clear();
    await pass(() => taken.includes(bad), MINUTE);
    await soon(() => parkedOnRecord().length === 0);
    expect(status()).to.include({ parked: 0 });
    expect(status()).to.not.have.property('last_error');
  });

  it('given several in a row that are never taken, then all others are taken once, and those are parked', async () => {
    const all = await reportedWithPoison(8, 1, 2, 3, 6, 7);
    await pass(() => status().behind === 0);
    // With nothing behind them, one that was taken is sent again: that the receiver is up is known by that.
    expect([...new Set(taken)].toSorted((one, other) => one - other)).to.deep.equal(
      all.filter((seq) => !poison.has(seq)),
    );
    await pass(() => parkedOnRecord().length === 5);
    expect(parkedOnRecord().map(({ seq }) => seq)).to.deep.equal([...poison]);
  });

  it('given a receiver that is away for hours, then nothing is parked, and it gets all of it', async () => {
    isAway = true;
    const seqs = await reported(6);
    const before = recording.clock.milliseconds;
    await pass(() => recording.clock.milliseconds - before > 5 * HOUR, 30 * SECOND);
    expect(status()).to.include({ status: 'failing', parked: 0, skipped: 0 });
    const asked = target.received.length;
    isAway = false;
    await pass(() => status().behind === 0, SECOND);
    await soon(() => status().behind === 0);
    const got = sent().slice(asked);
    expect(got.toSorted((one, other) => one - other)).to.deep.equal(seqs);
    // One of them may be what was tried before its turn.
    expect(got.slice(1)).to.deep.equal(got.slice(1).toSorted((one, other) => one - other));
    expect(entries().some(({ data }) => 'parked' in data)).to.equal(false);
  });

  it('given nobody behind the address, then nothing is parked either', async () => {
    const { port } = target;
    await target.close();
    const seqs = await reported(3);
    await soon(() => status().status === 'failing');
    const before = recording.clock.milliseconds;
    await pass(() => recording.clock.milliseconds - before > HOUR, 30 * SECOND);
    expect(status()).to.include({ status: 'failing', parked: 0, behind: 3 });
    target = await Target.listen(port, digest);
    await pass(() => status().behind === 0, SECOND);
    expect(taken.toSorted((one, other) => one - other)).to.deep.equal(seqs);
  });

  it('given a receiver that an entry makes crash, then that is parked, and the others go on', async () => {
    let refusals = 0;
    const all = await reportedWithPoison(4, 0);
    target.behaviours = [
      (response, received) => {
        if (refusals-- > 0) return void response.socket?.destroy();
        if (poison.has(received.body.data.seq)) {
          refusals = 1;
          return void response.socket?.destroy();
        }
        return digest(response, received);
      },
    ];
    await pass(() => parkedOnRecord().length === 1);
    await pass(() => new Set(taken).size === 3);
    expect([...new Set(taken)].toSorted((one, other) => one - other)).to.deep.equal(all.slice(1));
  });

  it('given a crash of the service, then position and parked entries are as they were', async () => {
    const all = await reportedWithPoison(4, 1);
    await pass(() => status().behind === 0);
    await soon(() => parkedOnRecord().length === 1);
    const before = parkedOnRecord().map(({ seq, since }) => [seq, since]);
    const asked = target.received.length;
    // What a crash leaves is on disk; a feed that stops would write more.
    const written = readFileSync(Recording.logIn(home));
    await close();
    home = directory();
    writeFileSync(Recording.logIn(home), written);
    await open();
    // It is tried at once after a start, which counts.
    expect(parkedOnRecord().map(({ seq, since }) => [seq, since])).to.deep.equal(before);
    await pass(() => sent().includes(all[1]!, asked), SECOND);
    const [later] = await reported(1);
    await soon(() => taken.includes(later!));
    expect(
      sent()
        .slice(asked)
        .filter((seq) => seq !== all[1]),
    ).to.deep.equal([...all.slice(2).filter((seq) => sent().slice(asked).includes(seq)), later]);
  });

  it('given an entry that is not taken for a day, then it is skipped, visibly, and an operator has it sent again', async () => {
    const [bad] = (await reportedWithPoison(3, 0)) as [number];
    await pass(() => parkedOnRecord().length === 1);
    const since = recording.clock.milliseconds;
    await pass(() => status().skipped === 1, MINUTE);
    expect(recording.clock.milliseconds - since).to.be.at.least(DAY - 30 * MINUTE);
    const name = nameOf(webhook.url);
    expect(skips()).to.have.length(1);
    expect(skips()[0]).to.include({
      url: name,
      skipped_seq: bad,
      skipped_event: 'incident.reported',
      error: 'answered 500',
    });
    expect(skips()[0]?.attempts).to.be.above(20);
    expect(recording.projections.webhooks.skipped()[0]).to.include({ webhook: name, seq: bad, error: 'answered 500' });
    expect(parkedOnRecord()).to.deep.equal([]);
    expect(status()).to.include({ status: 'ok', parked: 0, skipped: 1, refused: 1 });
    const tries = sent().filter((seq) => seq === bad).length;
    await pass(() => recording.clock.milliseconds - since > 2 * DAY, HOUR);
    expect(sent().filter((seq) => seq === bad)).to.have.length(tries);

    poison.clear();
    expect(await notifier.retry({ webhook: webhook.url.text, seq: bad, by: 'ada' })).to.deep.equal({
      webhook: name,
      seq: bad,
    });
    await soon(() => sent().filter((seq) => seq === bad).length === tries + 1);
    await soon(() => status().parked === 0);
    expect(status()).to.include({ skipped: 0 });
    expect(entries().find(({ event }) => event === 'webhook.retried')?.data).to.include({
      retried_seq: bad,
      by: 'ada',
    });
  });

  it('given a receiver that goes away after an entry was parked, then that is not skipped for it', async () => {
    const all = await reportedWithPoison(2, 0);
    await pass(() => parkedOnRecord().length === 1);
    const { port } = target;
    await target.close();
    const before = recording.clock.milliseconds;
    await pass(() => recording.clock.milliseconds - before > 3 * DAY, 10 * MINUTE);
    expect(skips()).to.deep.equal([]);
    poison.clear();
    target = await Target.listen(port, digest);
    await pass(() => taken.includes(all[0]!), MINUTE);
    await soon(() => status().parked === 0);
  });

  it('given entries that are archived before they are taken, then that is on record, and the feed goes on', async () => {
    await close();
    await open(64 * 1024);
    const { log, incidents, projections, recorder, clock } = recording;
    isAway = true;
    const evidence = { text: 'x'.repeat(20_000) };
    let last = 0;
    while (log.sealed.length < 2) {
      const { id } = (await recorder.report({ ...report, evidence })).incident;
      last = entryOf(id);
      await recorder.perform('resolve', { id });
    }
    notifier.wake();
    await soon(() => status().status === 'failing');
    clock.milliseconds += 48 * HOUR;
    const archivist = new Archivist({ log, incidents, projections, clock, isVerified: () => true });
    const { archived } = await archivist.archive(clock.now() - 24 * HOUR);
    const through = archived.at(-1)!.last_seq;
    isAway = false;
    await pass(() => status().behind === 0);
    expect(skips()).to.have.length(1);
    expect(skips()[0]?.error).to.match(new RegExp(`^entries \\d+ to ${through} have left the log for the archive$`));
    expect(status()).to.include({ skipped: 1, parked: 0 });
    if (last > through) expect(taken).to.include(last);
    // It can't be sent again either.
    await notifier.retry({ webhook: webhook.url.text, seq: through });
    await soon(() => skips().length === 2);
    expect(skips()[1]?.error).to.equal('it has left the log for the archive');
  });

  it('given a pause that the receiver asked for, then it is five minutes at most, and ends when the policy is loaded again', async () => {
    target.behaviours = [answering(503, '', { 'retry-after': '3600' }), digest];
    const [first] = await reported(1);
    await soon(() => status().status === 'failing');
    const before = recording.clock.milliseconds;
    await pass(() => taken.length === 1);
    expect(recording.clock.milliseconds - before).to.be.within(5 * MINUTE, 7 * MINUTE);
    target.behaviours = [answering(503, '', { 'retry-after': '3600' }), digest];
    const [second] = await reported(1);
    await soon(() => status().status === 'failing');
    await notifier.follow();
    await soon(() => sent().length === 4);
    expect(sent()).to.deep.equal([first, first, second, second]);
  });

  it('given a pause, then the command that has its entry sent again ends it', async () => {
    target.behaviours = [answering(503, '', { 'retry-after': '3600' }), digest];
    const [first] = await reported(1);
    await soon(() => status().status === 'failing');
    await notifier.retry({ webhook: webhook.url.text, seq: first! });
    await soon(() => status().status === 'ok');
    expect(sent()).to.deep.equal([first, first]);
  });

  it('refuses to send again what was taken, what there is not, and for a webhook that there is not', async () => {
    const [first] = await reported(1);
    await pass(() => taken.length === 1 && status().behind === 0);
    const codeOf = (request: Parameters<Notifier['retry']>[0]): Promise<unknown> =>
      notifier.retry(request).then(
        () => 'done',
        (error: { readonly code: string }) => error.code,
      );
    expect(await codeOf({ webhook: webhook.url.text, seq: first! })).to.equal('not_found');
    expect(await codeOf({ webhook: webhook.url.text, seq: 999 })).to.equal('not_found');
    expect(await codeOf({ webhook: 'http://127.0.0.1:1', seq: first! })).to.equal('not_found');
  });

  it('given more entries that are never taken than can be parked, then the oldest is skipped', async () => {
    const all = await reportedWithPoison(120, ...Array.from({ length: 52 }, (_, index) => index));
    await pass(() => recording.projections.webhooks.skipped().length === 2, 30 * SECOND);
    expect(skips().map(({ skipped_seq }) => skipped_seq)).to.deep.equal(all.slice(0, 2));
    await soon(() => parkedOnRecord().length === 50);
    expect(skips()[0]?.error).to.match(/50 others/);
    // An operator has both sent again; then there are two too many, until another is parked.
    for (const seq of all.slice(0, 2)) await notifier.retry({ webhook: webhook.url.text, seq });
    expect(status().parked).to.equal(52);
    const [another] = await reportedWithPoison(2, 0);
    for (const seq of all.slice(0, 52)) poison.add(seq);
    await pass(() => parkedOnRecord().some(({ seq }) => seq === another), 30 * SECOND);
    expect(parkedOnRecord()).to.have.length(50);
  });
});
