import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { readLinesAt } from '../../src/audit/log-reader.ts';
import { findSealed, sealedPath } from '../../src/audit/segments.ts';
import { verifyChain } from '../../src/audit/verify-chain.ts';
import { verifyLog } from '../../src/audit/verify.ts';
import { draft, HASH, noteOf, openLog, writeLog } from '../support/audit-log.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const SEGMENT_BYTES = 2000;

describe('a log in segments', () => {
  const directory = temporaryDirectories();

  /** A log of `count` entries, in files of little more than SEGMENT_BYTES. */
  const segmented = async (count = 40): Promise<string> => {
    const path = join(directory(), 'audit.jsonl');
    const { log } = await openLog(path, HASH, SEGMENT_BYTES);
    for (let n = 1; n <= count; n++) await log.append([draft(`entry ${n}`)]);
    await log.close();
    return path;
  };

  it('has names that sort in the order of its entries', async () => {
    const path = await segmented();
    const sealed = await findSealed(path);
    expect(sealed.length).to.be.greaterThan(3);
    expect(sealed[0]?.first).to.equal(1);
    expect(sealed.map((segment) => segment.path)).to.deep.equal(
      readdirSync(join(path, '..'))
        .filter((name) => /^audit\.\d+\.jsonl$/.test(name))
        .toSorted()
        .map((name) => join(path, '..', name)),
    );
    for (const segment of sealed) {
      expect(segment.path).to.equal(sealedPath(path, segment.first));
      expect(JSON.parse(readFileSync(segment.path, 'utf8').split('\n')[0]!).data.seq).to.equal(segment.first);
      expect(statSync(segment.path).size).to.be.within(SEGMENT_BYTES, SEGMENT_BYTES + 500);
      expect(statSync(segment.path).mode & 0o777).to.equal(0o640);
    }
  });

  it('is one chain, which recovery continues and the verifier accepts', async () => {
    const path = await segmented();
    const { log, found } = await openLog(path, HASH, SEGMENT_BYTES);
    await log.append([draft('next')]);
    await log.close();
    expect(found.map(({ data }) => data.seq)).to.deep.equal(Array.from({ length: 40 }, (_, n) => n + 1));
    expect(await verifyLog(path, HASH))
      .to.include({ entries: 41, checkpoint: 41 })
      .and.not.have.property('damage');
  });

  it('reads lines by their place, whichever file they are in', async () => {
    const path = join(directory(), 'audit.jsonl');
    const { log, durable } = await openLog(path, HASH, SEGMENT_BYTES);
    for (let n = 1; n <= 20; n++) await log.append([draft(`entry ${n}`)]);
    const lines = await readLinesAt(
      log,
      durable.map(({ data, offset, length }) => ({ seq: data.seq, offset, length })),
    );
    await log.close();
    expect(lines.map((line) => JSON.parse(line.toString()).data.reason)).to.deep.equal(durable.map(noteOf));
  });

  it('keeps appends that arrive while a file is sealed', async () => {
    const path = join(directory(), 'audit.jsonl');
    const { log } = await openLog(path, HASH, SEGMENT_BYTES);
    const appended = await Promise.all(
      Array.from({ length: 300 }, async (_, n) => {
        for (let turn = 0; turn < n % 7; turn++) await new Promise(setImmediate);
        return log.append([draft(`${n}`)]);
      }),
    );
    await log.close();
    expect(new Set(appended.flat().map(({ data }) => data.seq)).size).to.equal(300);
    expect(await verifyLog(path, HASH))
      .to.include({ entries: 300 })
      .and.not.have.property('damage');
  });

  it('given a crash between the two renames of sealing, continues in a new file', async () => {
    const path = await segmented();
    const sealed = await findSealed(path);
    const last = sealed.at(-1)!;
    rmSync(path);
    writeFileSync(`${path}.next`, '');
    const entries = readFileSync(last.path, 'utf8').trimEnd().split('\n').length + last.first - 1;
    const { writeCheckpoint } = await import('../../src/audit/checkpoint.ts');
    const head = JSON.parse(readFileSync(last.path, 'utf8').trimEnd().split('\n').at(-1)!).entry_hash as string;
    await writeCheckpoint(path, { entries, hash: head }, HASH);

    const { log, recovered } = await openLog(path, HASH, SEGMENT_BYTES);
    const [entry] = await log.append([draft('next')]);
    await log.close();
    expect(recovered).to.not.have.property('damage');
    expect(entry?.data.seq).to.equal(entries + 1);
    expect(existsSync(`${path}.next`)).to.equal(false);
    expect(await verifyLog(path, HASH)).to.not.have.property('damage');
  });

  it('continues in the same file when a new one can not be made', async () => {
    const path = join(directory(), 'audit.jsonl');
    const { log } = await openLog(path, HASH, SEGMENT_BYTES);
    // A directory that is not empty takes the name of the new file.
    const { mkdirSync } = await import('node:fs');
    mkdirSync(join(`${path}.next`, 'in the way'), { recursive: true });
    for (let n = 1; n <= 20; n++) await log.append([draft(`entry ${n}`)]);
    expect(await findSealed(path)).to.deep.equal([]);
    rmSync(`${path}.next`, { recursive: true });
    await log.append([draft('entry 21')]);
    await log.close();
    expect((await findSealed(path)).map(({ first }) => first)).to.deep.equal([1]);
    expect(await verifyLog(path, HASH))
      .to.include({ entries: 21 })
      .and.not.have.property('damage');
  });

  describe('is not valid', () => {
    const damageOf = async (path: string) => (await verifyLog(path, HASH)).damage;

    it('without one of its segments', async () => {
      const path = await segmented();
      const [first, second, third] = await findSealed(path);
      renameSync(second!.path, `${second!.path}.away`);
      const entries = `entries ${second!.first} to ${third!.first - 1} are`;
      expect(await damageOf(path)).to.deep.include({ file: basename(third!.path), line: 1 });
      expect((await damageOf(path))?.reason).to.include(`${entries} missing before it`);
      renameSync(`${second!.path}.away`, second!.path);
      rmSync(first!.path);
      expect((await damageOf(path))?.reason).to.include(`entries 1 to ${second!.first - 1} are missing`);
    });

    it('with an edited entry in a sealed segment, which is named with its file and line', async () => {
      const path = await segmented();
      const [, second] = await findSealed(path);
      const edited = `entry ${second!.first + 1}`;
      writeFileSync(second!.path, readFileSync(second!.path, 'utf8').replace(edited, 'entry X'));
      expect(await damageOf(path)).to.deep.include({ file: basename(second!.path), line: 2 });
    });

    it('with a segment cut short', async () => {
      const path = await segmented();
      const [, second, third] = await findSealed(path);
      const lines = readFileSync(second!.path, 'utf8').trimEnd().split('\n');
      writeFileSync(second!.path, `${lines.slice(0, -1).join('\n')}\n`);
      expect((await damageOf(path))?.reason).to.include(`entry ${third!.first - 1} is missing before it`);
    });
  });

  it('is verified as it was, when a file is sealed between its look-up and its opening', async () => {
    for (const isBegun of [true, false]) {
      const path = join(directory(), 'audit.jsonl');
      await writeLog(path, 10);
      const sealed = sealedPath(path, 1);
      const growing = {
        get path() {
          if (existsSync(sealed)) return sealed;
          renameSync(path, sealed);
          // The log goes on in another file, or that has not taken its place yet.
          if (isBegun) writeFileSync(path, '');
          return path;
        },
      };
      expect((await verifyChain([growing], HASH, () => {})).head.entries).to.equal(10);
    }
  });
});
