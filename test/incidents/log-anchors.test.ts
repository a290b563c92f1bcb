import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import type { FleetTrust } from '../../src/access/principal.ts';
import type { Anchor } from '../../src/anchor.ts';
import { moveToArchive } from '../../src/audit/archive.ts';
import { HOUR, SECOND, timestamp } from '../../src/clock.ts';
import type { Caller } from '../../src/domain/caller.ts';
import { RecorderError } from '../../src/errors.ts';
import { LogAnchors } from '../../src/incidents/log-anchors.ts';
import { newSigner, signNote } from '../../src/signed-note.ts';
import { draft } from '../support/audit-log.ts';
import { MACHINE, Notary } from '../support/notary.ts';
import { Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const SHIPPER: Caller = { principal: 'shipper', role: 'anchor', by: 'shipper' };
const AT_ONCE = (): Promise<void> => Promise.resolve();

describe('the anchors of the log', () => {
  const directory = temporaryDirectories();
  let recording: Recording;
  let notary: Notary;
  let anchors: LogAnchors;
  let trust: FleetTrust | undefined;
  let place: string;

  const open = async (options?: Parameters<typeof Recording.open>[1]): Promise<void> => {
    recording = await Recording.open(place, options);
    const { log, projections, record, clock } = recording;
    anchors = new LogAnchors({
      log,
      logId: () => record.identity.id,
      projections,
      findings: record.findings,
      fleet: () => trust,
      clock,
    });
    if (log.status.entries > 0) await record.identity.establish();
  };

  const write = async (count: number): Promise<void> => {
    for (let n = 1; n <= count; n++) await recording.log.append([draft(`entry ${n}`)]);
    await recording.record.identity.establish();
    await notary.fetch(Recording.logIn(place));
  };

  const record = (note: string) => anchors.record(note, SHIPPER, AT_ONCE);
  const refusal = (note: string): Promise<RecorderError> =>
    record(note).then(
      (outcome) => expect.fail(`recorded: ${JSON.stringify(outcome)}`),
      (error: unknown) => error as RecorderError,
    );
  const now = (): string => timestamp(recording.clock.now());

  beforeEach(async () => {
    place = directory();
    notary = new Notary();
    trust = { verifier: notary.signer, machine: MACHINE, roles: [] };
    await open();
    await write(7);
  });

  afterEach(() => recording.close());

  it('are recorded when the fleet has signed what the log has', async () => {
    const note = notary.note();
    const outcome = await record(note);
    expect(outcome).to.deep.equal({ recorded: true, seq: 8, at: now() });
    const last = recording.projections.anchors.last();
    const { hash, root, log } = notary.anchor();
    expect(last).to.deep.include({
      seq: 8,
      at: now(),
      log_id: log,
      machine: MACHINE,
      anchored_seq: 7,
      hash,
      root,
      time: '2026-11-22T07:12:00.000Z',
      anchor: note,
      principal: 'shipper',
      role: 'anchor',
    });
    expect(last?.range).to.have.length(3);
  });

  it('are recorded once an hour, and once in 10,000 entries', async () => {
    await record(notary.note());
    await write(3);
    expect(await record(notary.note({ time: '2026-11-22T07:13:00.000Z' }))).to.include({ recorded: false });
    recording.clock.milliseconds += HOUR - SECOND;
    expect(await record(notary.note({ time: '2026-11-22T07:13:00.000Z' }))).to.deep.equal({
      recorded: false,
      why: 'the last anchor was recorded 3599 s and 3 entries ago',
    });
    recording.clock.milliseconds += SECOND;
    expect(await record(notary.note({ time: '2026-11-22T07:13:00.000Z' }))).to.include({ recorded: true, seq: 12 });
    for (let left = 9_999; left > 0; left -= 1111)
      await recording.log.append(Array.from({ length: 1111 }, () => draft('many')));
    await notary.fetch(Recording.logIn(place));
    expect(await record(notary.note({ time: '2026-11-22T07:14:00.000Z' }))).to.include({ recorded: false });
    await recording.log.append([draft('one more')]);
    expect(await record(notary.note({ time: '2026-11-22T07:14:00.000Z' }))).to.include({ recorded: true });
  });

  it('are not recorded twice, and an older one does not follow a newer one', async () => {
    await record(notary.note());
    recording.clock.milliseconds += 2 * HOUR;
    expect(await record(notary.note())).to.deep.equal({ recorded: false, why: 'this anchor is on record' });
    expect(await record(notary.note({ seq: 3 }))).to.deep.equal({
      recorded: false,
      why: 'a later anchor is on record',
    });
    expect(await record(notary.note({ time: '2026-11-22T07:00:00.000Z' }))).to.include({ recorded: false });
  });

  it('are not recorded twice when somebody has added a signature', async () => {
    await record(notary.note());
    recording.clock.milliseconds += 2 * HOUR;
    const added = signNote('a text\n', newSigner('somebody')).split('\n\n')[1]!;
    expect(await record(`${notary.note()}${added}`)).to.deep.equal({
      recorded: false,
      why: 'this anchor is on record',
    });
  });

  it('are recorded after one from a clock that was ahead', async () => {
    await record(notary.note({ time: '2099-01-01T00:00:00.000Z' }));
    recording.clock.milliseconds += HOUR;
    await write(1);
    expect(await record(notary.note())).to.include({ recorded: true });
  });

  it('are recorded after the clock was set back', async () => {
    await record(notary.note());
    recording.clock.off = -3 * HOUR;
    await write(1);
    expect(await record(notary.note({ time: '2026-11-22T07:13:00.000Z' }))).to.include({ recorded: true });
  });

  for (const [what, changes] of [
    ['of an entry that is another here', { hash: 'b2'.repeat(32) }],
    ['of entries before it that are others here', { root: 'c3'.repeat(32) }],
    ['of an entry that the log does not have', { seq: 9, hash: 'b2'.repeat(32) }],
  ] as const satisfies readonly (readonly [string, Partial<Anchor>])[]) {
    it(`are a finding when they are ${what}`, async () => {
      const error = await refusal(notary.note(changes));
      expect(error).to.include({ code: 'anchor_mismatch', status: 409 });
      expect(error.fields).to.deep.include({ code: 'anchor_mismatch' });
      const seq = 'seq' in changes ? changes.seq : 7;
      const { open: found } = recording.record.findings;
      expect(found.map(({ finding }) => finding)).to.deep.equal([`anchor_mismatch:${seq}`]);
      expect(found[0]!.detail).to.equal(error.message);
      expect(recording.projections.anchors.last()).to.equal(undefined);
      const text = readFileSync(Recording.logIn(place), 'utf8');
      expect(text).to.include('"event":"alert.raised"');
      // Not one for each anchor.
      await refusal(notary.note({ seq: 5, hash: 'b2'.repeat(32) }));
      expect(recording.record.findings.open).to.have.length(1);
      await recording.record.findings.acknowledge('anchor_mismatch', {});
      await refusal(notary.note(changes));
      expect(recording.record.findings.open).to.have.length(0);
    });
  }

  it('find a rewritten past also when it is too early to record one', async () => {
    await record(notary.note());
    await write(1);
    const changes = { seq: 8, hash: 'b2'.repeat(32), time: '2026-11-22T07:13:00.000Z' };
    expect(await refusal(notary.note(changes))).to.include({ code: 'anchor_mismatch' });
  });

  it('count only when the fleet of the access file has signed them', async () => {
    expect(await refusal(notary.note({}, newSigner('fleet.example.org')))).to.include({ status: 400 });
    expect(await refusal(notary.note().replace('\n7\n', '\n6\n'))).to.include({ status: 400 });
    expect(await refusal('no note')).to.include({ status: 400 });
    expect(await refusal(notary.note({ machine: 'oven-4' }))).to.include({ status: 422 });
    expect(await refusal(notary.note({ log: 'a1'.repeat(32) }))).to.include({ status: 422 });
    trust = undefined;
    expect(await refusal(notary.note())).to.include({ status: 422 });
    trust = { verifier: notary.signer, roles: [] };
    expect(await record(notary.note({ machine: 'any-name' }))).to.include({ recorded: true });
  });

  it('come one after the other: of two at once one is recorded', async () => {
    const outcomes = await Promise.all([record(notary.note()), record(notary.note({ seq: 6 }))]);
    expect(outcomes.map(({ recorded }) => recorded)).to.deep.equal([true, false]);
  });

  it('survive a start, and go on from where they were', async () => {
    await record(notary.note());
    const before = recording.projections.anchors.last();
    await recording.close();
    await open();
    expect(recording.projections.anchors.last()).to.deep.equal(before);
    recording.clock.milliseconds += HOUR;
    await write(5);
    await record(notary.note({ time: '2026-11-22T08:13:00.000Z' }));
    expect(recording.projections.anchors.last()).to.include({ anchored_seq: 13, root: notary.anchor().root });
  });

  it('are on record after the database is made again', async () => {
    await record(notary.note());
    const before = recording.projections.anchors.last();
    await recording.close();
    for (const end of ['', '-wal', '-shm']) writeFileSync(`${place}/audit.sqlite${end}`, '');
    await open();
    expect(recording.projections.anchors.last()).to.deep.equal(before);
  });

  it('go on where the beginning of the log is archived: with the root of the last one, else with the fleet’s', async () => {
    await recording.close();
    place = directory();
    notary = new Notary();
    trust = { verifier: notary.signer, roles: [] };
    await open({ segmentBytes: 2000 });
    await write(30);
    const { log } = recording;
    const [first] = log.sealed;
    await moveToArchive(first!);
    log.forget([first!]);
    expect(await record(notary.note({ seq: 1 }))).to.deep.equal({ recorded: false, why: 'entry 1 is archived' });
    await record(notary.note());
    const [last] = [recording.projections.anchors.last()];
    expect(last).to.include({ anchored_seq: 30, root: notary.anchor({ seq: 30 }).root });
    expect(last).to.not.have.property('range');
  });
});
