import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { writeCheckpoint } from '../../src/audit/checkpoint.ts';
import { verifyLog } from '../../src/audit/verify.ts';
import { draft, HASH, noteOf, openLog, writeLog } from '../support/audit-log.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('recoverLog', () => {
  const directory = temporaryDirectories();

  /** A log of ten entries whose checkpoint counts `checkpoint` of them. */
  const tenEntries = async (checkpoint = 10): Promise<{ path: string; lines: string[] }> => {
    const path = join(directory(), 'audit.jsonl');
    await writeLog(path, 10);
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    const hash = checkpoint === 0 ? '' : JSON.parse(lines[checkpoint - 1]!).entry_hash;
    await writeCheckpoint(path, { entries: checkpoint, hash }, HASH);
    return { path, lines };
  };

  const reopen = async (path: string) => {
    const opened = await openLog(path);
    await opened.log.close();
    return opened;
  };

  it('given neither log nor checkpoint, begins both', async () => {
    const path = join(directory(), 'audit.jsonl');
    const { recovered } = await reopen(path);
    expect(recovered).to.deep.equal({
      head: { entries: 0, hash: '' },
      first: 1,
      size: 0,
      sealed: [],
      missing: [],
      checkpoint: 'new',
      unread: 0,
    });
    expect(existsSync(path) && existsSync(`${path}.checkpoint`)).to.equal(true);
  });

  it('given a log that was closed, continues where it ended', async () => {
    const { path, lines } = await tenEntries();
    const { log, found, recovered } = await openLog(path);
    const [entry] = await log.append([draft('next')]);
    await log.close();
    expect(found.map(noteOf)).to.deep.equal(lines.map((line) => JSON.parse(line).data.reason));
    expect(recovered).to.not.have.property('repair');
    expect(entry).to.deep.include({ prev_hash: found.at(-1)?.entry_hash });
    expect(await verifyLog(path, HASH)).to.include({ entries: 11 });
  });

  it('given a tail cut off at any byte after the checkpoint, keeps the whole entries and puts the rest aside', async () => {
    const { path, lines } = await tenEntries(9);
    const whole = Buffer.byteLength(`${lines.slice(0, 9).join('\n')}\n`);
    const last = Buffer.byteLength(lines[9]!);
    for (const kept of [1, 2, 17, last - 1, last]) {
      writeFileSync(path, `${lines.join('\n')}\n`);
      truncateSync(path, whole + kept);
      const { recovered } = await openAndClose(path);
      expect(recovered.head.entries, `${kept} bytes`).to.equal(9);
      expect(recovered.repair?.bytes).to.equal(kept);
      const aside = readFileSync(join(path, '..', recovered.repair!.keptAs), 'utf8');
      expect(aside).to.equal(`${lines[9]}\n`.slice(0, kept));
      await writeCheckpoint(path, { entries: 9, hash: JSON.parse(lines[8]!).entry_hash }, HASH);
    }
  });

  const openAndClose = async (path: string) => {
    const opened = await openLog(path);
    await opened.log.close();
    return opened;
  };

  it('given garbage after the last entry, puts it aside', async () => {
    const { path } = await tenEntries();
    appendFileSync(path, Buffer.alloc(4096));
    const { recovered } = await reopen(path);
    expect(recovered.repair?.bytes).to.equal(4096);
    expect(readdirSync(join(path, '..')).filter((name) => name.includes('.torn-'))).to.have.length(1);
    expect(await verifyLog(path, HASH))
      .to.include({ entries: 10 })
      .and.not.have.property('damage');
  });

  it('given more garbage than one batch can leave, repairs nothing', async () => {
    const { path } = await tenEntries();
    appendFileSync(path, Buffer.alloc(1024 * 1024 + 1));
    const before = readFileSync(path);
    const { recovered } = await reopen(path);
    expect(recovered.damage?.line).to.equal(11);
    expect(readFileSync(path).equals(before)).to.equal(true);
  });

  describe('given damage, then the log is read, not written, and left as it is', () => {
    const cases: [string, number, (path: string, lines: string[]) => void, RegExp, number][] = [
      [
        'an edited entry before the checkpoint',
        10,
        (path, lines) => rewrite(path, lines.with(4, lines[4]!.replace('entry 5', 'entry X'))),
        /entry_hash does not match/,
        5,
      ],
      ['a deleted entry', 10, (path, lines) => rewrite(path, lines.toSpliced(4, 1)), /entries are missing/, 5],
      ['a log shorter than its checkpoint', 10, (path, lines) => rewrite(path, lines.slice(0, 9)), /cut off/, 10],
      ['an empty log', 10, (path) => rewrite(path, []), /cut off/, 1],
      ['no log', 10, (path) => rmSync(path), /the log is gone/, 1],
      [
        'an edited checkpoint',
        10,
        (path) =>
          writeFileSync(`${path}.checkpoint`, readFileSync(`${path}.checkpoint`, 'utf8').replace(':10,', ':9,')),
        /wrong hmac/,
        11,
      ],
      ['something that is no checkpoint', 10, (path) => writeFileSync(`${path}.checkpoint`, '{}'), /not spelt/, 11],
    ];
    const rewrite = (path: string, lines: readonly string[]): void =>
      writeFileSync(path, lines.map((line) => `${line}\n`).join(''));

    for (const [what, checkpoint, damage, reason, line] of cases) {
      it(what, async () => {
        const { path, lines } = await tenEntries(checkpoint);
        damage(path, lines);
        const before = existsSync(path) ? readFileSync(path) : undefined;
        const { log, recovered } = await openLog(path);
        const refused = await log.append([draft('more')]).catch((error: unknown) => error);
        await log.close();
        expect(recovered.damage?.reason).to.match(reason);
        expect(recovered.damage?.line).to.equal(line);
        expect(refused).to.have.property('code', 'log_unavailable');
        expect(log.status).to.include({ state: 'damaged', writable: false });
        if (before === undefined) expect(existsSync(path)).to.equal(false);
        else expect(readFileSync(path).equals(before)).to.equal(true);
      });
    }

    it('another key', async () => {
      const { path } = await tenEntries();
      const { log, recovered } = await openLog(path, chainHash(Buffer.alloc(32, 7)));
      await log.close();
      expect(recovered.damage?.reason).to.match(/another key/);
    });

    it('a log begun without a key', async () => {
      const path = join(directory(), 'audit.jsonl');
      await writeLog(path, 2, chainHash(undefined));
      rmSync(`${path}.checkpoint`);
      const { log, recovered } = await openLog(path);
      await log.close();
      expect(recovered.damage?.reason).to.match(/chained with sha256, expected hmac-sha256/);
    });
  });

  it('says when a log stands without a checkpoint', async () => {
    const { path } = await tenEntries();
    rmSync(`${path}.checkpoint`);
    const { recovered } = await reopen(path);
    expect(recovered).to.include({ checkpoint: 'absent' }).and.not.have.property('damage');
  });

  it('finds invalid UTF-8 that reads like the character it replaces', async () => {
    const path = join(directory(), 'audit.jsonl');
    const { log } = await openLog(path);
    await log.append([draft('\ufffd')]);
    await log.close();
    const bytes = readFileSync(path);
    const at = bytes.indexOf(Buffer.from('\ufffd'));
    writeFileSync(path, Buffer.concat([bytes.subarray(0, at), Buffer.from([0xff]), bytes.subarray(at + 3)]));
    expect((await verifyLog(path, HASH)).damage).to.deep.include({ line: 1, reason: 'not UTF-8' });
  });
});
