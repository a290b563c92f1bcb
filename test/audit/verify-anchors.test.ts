import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { moveToArchive } from '../../src/audit/archive.ts';
import { type Verification, filesOf, verifyLog } from '../../src/audit/verify.ts';
import { AnchorVerification } from '../../src/audit/verify-anchors.ts';
import type { DraftOf } from '../../src/domain/entries.ts';
import { RecorderError } from '../../src/errors.ts';
import { newSigner } from '../../src/signed-note.ts';
import { draft, HASH, openLog } from '../support/audit-log.ts';
import { Notary } from '../support/notary.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const TIME = '2026-11-22T07:12:00.123Z';

describe('a log that has anchors', () => {
  const directory = temporaryDirectories();
  let path: string;
  let notary: Notary;

  beforeEach(() => {
    path = join(directory(), 'audit.jsonl');
    notary = new Notary();
  });

  const recording = (note: string, changes: object = {}): DraftOf<'log.anchored'> => {
    const { log, machine, seq, hash, root, time } = notary.anchor();
    const data = { log_id: log, machine, anchored_seq: seq, hash, root, time, anchor: note, ...changes };
    return { timestamp: TIME, event: 'log.anchored', data };
  };
  /** Writes entries, and every so many an anchor. */
  const write = async (count: number, every: number, say = (n: number) => `entry ${n}`): Promise<void> => {
    const { log } = await openLog(path, HASH, 4000);
    for (let n = 1; n <= count; n++) {
      await log.append([draft(say(n))]);
      if (n % every !== 0) continue;
      await notary.fetch(path);
      await log.append([recording(notary.note())]);
    }
    await log.close();
  };
  const verify = async (
    anchors = new AnchorVerification([notary.signer]),
    isRecorded = true,
  ): Promise<Verification> => {
    if (isRecorded) await anchors.addRecorded(await filesOf(path));
    return verifyLog(path, HASH, { anchors });
  };

  it('agrees with them', async () => {
    await write(60, 20);
    const { damage, anchors } = await verify();
    expect(damage).to.equal(undefined);
    expect(anchors).to.deep.equal({
      agree: 3,
      roots: 3,
      archived: 0,
      signatures: 'verified',
      last: { seq: 62, time: '2026-11-22T07:12:00.000Z' },
    });
    expect((await verify(new AnchorVerification([]))).anchors).to.include({ agree: 3, signatures: 'not checked' });
  });

  it('says so when there are none', async () => {
    await write(3, 20);
    expect((await verify()).anchors).to.deep.equal({ agree: 0, roots: 0, archived: 0, signatures: 'verified' });
  });

  it('is found out when its past was rewritten by somebody who has the key, and who kept the anchors', async () => {
    await write(30, 10);
    const recorded = readFileSync(path, 'utf8').includes('log.anchored');
    expect(recorded || (await filesOf(path)).length > 1).to.equal(true);
    // The same again, with another entry 5.
    const files = await filesOf(path);
    const entries = files
      .flatMap((file) => readFileSync(file, 'utf8').split('\n').slice(0, -1))
      .map((line) => JSON.parse(line));
    path = join(directory(), 'audit.jsonl');
    const { log } = await openLog(path, HASH);
    for (const { timestamp, event, data } of entries) {
      const { seq, ...rest } = data;
      const said = seq === 5 ? { reason: 'nothing happened' } : rest;
      await log.append([{ timestamp, event, data: said }]);
    }
    await log.close();
    expect((await verifyLog(path, HASH)).damage).to.equal(undefined);
    const { damage } = await verify();
    expect(damage).to.include({ finding: 'anchor_mismatch' });
    expect(damage?.reason).to.match(/is about the log|is another than the anchor in entry 11 says/);
  });

  it('is found out by notes that were kept elsewhere when the anchors in it are gone, too', async () => {
    await write(10, 99);
    await notary.fetch(path);
    const kept = `${notary.note({ seq: 4 })}\n${notary.note({ seq: 9 })}`;
    const first = dirname(path);
    const withNotes = (): AnchorVerification => {
      const anchors = new AnchorVerification([notary.signer]);
      expect(anchors.addNotes('notes', kept)).to.equal(2);
      return anchors;
    };
    expect((await verify(withNotes(), false)).anchors).to.include({ agree: 2 });

    // A copy that goes on another way after entry 6.
    const other = directory();
    const lines = readFileSync(path, 'utf8').split('\n');
    path = join(other, 'audit.jsonl');
    writeFileSync(path, `${lines.slice(0, 6).join('\n')}\n`);
    const rolledBack = await verify(withNotes(), false);
    expect(rolledBack.damage?.reason).to.include('the log ends after entry 6: it was rolled back');
    const { log } = await openLog(path);
    for (let n = 7; n <= 12; n++) await log.append([draft(`another ${n}`)]);
    await log.close();
    expect((await verifyLog(path, HASH)).damage).to.equal(undefined);
    const { damage } = await verify(withNotes(), false);
    expect(damage?.reason).to.match(/^entry 9 is another than note 2 of notes says/);
    copyFileSync(path, join(first, 'kept.jsonl'));
  });

  it('is found out by a root that does not fit, and by what was not signed', async () => {
    await write(10, 99);
    await notary.fetch(path);
    const wrongRoot = new AnchorVerification([notary.signer]);
    wrongRoot.addNotes('notes', notary.note({ root: 'c3'.repeat(32) }));
    expect((await verify(wrongRoot, false)).damage?.reason).to.match(/^the entries before \d+ are others/);

    const { log } = await openLog(path);
    await log.append([recording(notary.note({}, newSigner('fleet.example.org')))]);
    await log.close();
    expect((await verify()).damage?.reason).to.match(/^the anchor in entry \d+: the note has no signature/);
    expect((await verify(new AnchorVerification([]))).damage).to.equal(undefined);
  });

  it('is found out by an entry that says something else than was signed', async () => {
    await write(10, 99);
    await notary.fetch(path);
    const { log } = await openLog(path);
    await log.append([recording(notary.note({ seq: 3 }))]);
    await log.close();
    expect((await verify()).damage?.reason).to.match(/: its seq is another than was signed$/);
  });

  it('leaves out no note, also the last one whose end is cut', () => {
    notary = new Notary();
    const hashes = { log: 'a1'.repeat(32), hash: 'b2'.repeat(32), seq: 1 };
    const [first, last] = [notary.note(hashes), notary.note({ ...hashes, time: TIME })];
    const anchors = new AnchorVerification([notary.signer]);
    expect(anchors.addNotes('notes', `${first}\n${last.trimEnd()}`)).to.equal(2);
    expect(() => anchors.addNotes('notes', `${first}\n${last.replace('\n\n', '\n')}`)).to.throw(
      RecorderError,
      'belongs to no note',
    );
  });

  it('refuses notes that are none, or not of the fleet', () => {
    const anchors = new AnchorVerification([notary.signer]);
    expect(anchors.addNotes('notes', 'no note')).to.equal(0);
    const foreign = new Notary();
    expect(() =>
      anchors.addNotes('notes', foreign.note({ seq: 1, log: 'a1'.repeat(32), hash: 'b2'.repeat(32) })),
    ).to.throw(RecorderError, /note 1 of notes: the note has no signature/);
  });

  it('of which the beginning is archived agrees as far as it goes', async () => {
    await write(60, 20);
    const { log } = await openLog(path, HASH, 4000);
    const [oldest] = log.sealed;
    await moveToArchive(oldest!);
    log.forget([oldest!]);
    await log.close();
    const anchors = new AnchorVerification([notary.signer]);
    anchors.addNotes('notes', notary.note({ seq: 1 }));
    await anchors.addRecorded(await filesOf(path));
    const verified = await verifyLog(path, HASH, { anchors });
    expect(verified.anchors).to.include({ archived: 1, roots: 0 });
    expect(verified.anchors?.agree).to.be.greaterThan(1);
  });
});
