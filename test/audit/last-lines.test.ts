import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { moveToArchive } from '../../src/audit/archive.ts';
import { LastLines } from '../../src/audit/last-lines.ts';
import type { AuditLog } from '../../src/audit/log.ts';
import { draft, HASH, openLog } from '../support/audit-log.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('the last lines of the log', () => {
  const directory = temporaryDirectories();

  const logOf = async (lengths: readonly number[], segmentBytes = Infinity) => {
    const path = join(directory(), 'audit.jsonl');
    const ends: number[] = [];
    const opened = await openLog(path, HASH, segmentBytes, ({ entries }) => {
      for (const { offset, length } of entries) ends.push(offset + length);
    });
    for (const length of lengths) await opened.log.append([draft('ü"\\'.repeat(length))]);
    return { path, ends, log: opened.log };
  };

  const linesOf = async (log: AuditLog, path: string): Promise<string[]> => {
    const texts = await Promise.all([...log.sealed.map((one) => one.path), path].map((one) => readFile(one, 'utf8')));
    return texts.join('').split('\n').slice(0, -1);
  };

  const readAll = async (found: LastLines): Promise<string[]> => {
    const all: string[] = [];
    for await (const some of found.read(() => Promise.resolve())) all.push(...some);
    return all;
  };

  it('are as many as fit, up to any entry, across files', async () => {
    const property = fc.asyncProperty(
      fc.array(fc.oneof(fc.nat(300), fc.constant(40_000)), { minLength: 1, maxLength: 16, size: 'max' }),
      fc.constantFrom(Infinity, 300_000, 20_000, 1000),
      fc.nat(),
      fc.nat(40),
      fc.constantFrom(Infinity, 1_000_000, 5000, 100),
      async (lengths, segmentBytes, which, most, bytes) => {
        const { path, ends, log } = await logOf(lengths, segmentBytes);
        try {
          const seq = (which % lengths.length) + 1;
          const all = (await linesOf(log, path)).slice(0, seq);
          const expected: string[] = [];
          let sum = 0;
          for (const line of all.toReversed()) {
            const text = JSON.stringify(line);
            if (expected.length === most || sum + Buffer.byteLength(text) + 1 > bytes) break;
            sum += Buffer.byteLength(text) + 1;
            expected.unshift(text);
          }
          const through = { seq, end: ends[seq - 1]! };
          await using found = await LastLines.find(log, { through, most, bytes });
          expect([found.count, found.bytes]).to.deep.equal([expected.length, sum]);
          expect(await readAll(found)).to.deep.equal(expected);
          expect(found.altered).to.equal(0);
        } finally {
          await log.close();
        }
      },
    );
    await fc.assert(property, { numRuns: 25 });
  }).timeout(60_000);

  it('are read although their files are sealed and archived meanwhile, and end where others were archived', async () => {
    const { log, path, ends } = await logOf([1, 1, 1, 1, 1], 500);
    try {
      const options = { through: { seq: 5, end: ends[4]! }, most: 1000, bytes: Infinity };
      const all = (await linesOf(log, path)).map((line) => JSON.stringify(line));
      await using found = await LastLines.find(log, options);
      for (const segment of log.sealed.slice(0, 1)) {
        await moveToArchive(segment);
        log.forget([segment]);
      }
      expect(await readAll(found)).to.deep.equal(all);
      await using later = await LastLines.find(log, options);
      expect(later.count).to.be.within(1, 4);
      expect(await readAll(later)).to.deep.equal(all.slice(-later.count));
    } finally {
      await log.close();
    }
  });

  it('hold a line that is not as it was written as it stands, count it, and mark the log damaged', async () => {
    const { log, path, ends } = await logOf([1, 2, 3]);
    try {
      const text = (await readFile(path, 'utf8')).replace('ü"'.slice(0, 1), 'u');
      await writeFile(path, text);
      const end = ends[2]! - 1;
      await using found = await LastLines.find(log, { through: { seq: 3, end }, most: 1000, bytes: Infinity });
      expect(await readAll(found)).to.deep.equal(
        text
          .trimEnd()
          .split('\n')
          .map((line) => JSON.stringify(line)),
      );
      expect(found.altered).to.equal(1);
    } finally {
      await log.close();
    }
  });
});
