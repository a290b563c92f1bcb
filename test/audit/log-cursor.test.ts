import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { moveToArchive } from '../../src/audit/archive.ts';
import type { EntryLine } from '../../src/audit/entry-line.ts';
import { LogCursor } from '../../src/audit/log-cursor.ts';
import { readLinesAt } from '../../src/audit/log-reader.ts';
import type { AuditLog } from '../../src/audit/log.ts';
import type { Damage } from '../../src/audit/verify-chain.ts';
import { verifyLog } from '../../src/audit/verify.ts';
import { RecorderError } from '../../src/errors.ts';
import { draft, HASH, openLog } from '../support/audit-log.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('LogCursor', () => {
  const directory = temporaryDirectories();

  /** Opens a log with an entry for each of these lengths. */
  const logOf = async (lengths: readonly number[], segmentBytes = Infinity) => {
    const path = join(directory(), 'audit.jsonl');
    const { log } = await openLog(path, HASH, segmentBytes);
    for (const length of lengths) await log.append([draft('x'.repeat(length))]);
    return { path, log };
  };

  /** Everything from the entry after `after` to the end of the log. */
  const follow = async (log: AuditLog, after: number): Promise<EntryLine[]> => {
    const cursor = new LogCursor(log, after);
    const lines: EntryLine[] = [];
    while (!cursor.atEnd) lines.push(...(await cursor.next()));
    expect(await cursor.next()).to.deep.equal([]);
    return lines;
  };

  const linesIn = async (paths: readonly string[]): Promise<string[]> => {
    const texts = await Promise.all(paths.map((path) => readFile(path, 'utf8')));
    return texts.join('').split('\n').slice(0, -1);
  };

  const fault = async (work: Promise<unknown>): Promise<RecorderError> => {
    try {
      await work;
    } catch (error) {
      return error as RecorderError;
    }
    throw new Error('nothing was thrown');
  };

  it('reads every entry after any given one, as it is in the log, whatever the lengths and files', async () => {
    const length = fc.oneof({ weight: 6, arbitrary: fc.nat(2000) }, { weight: 1, arbitrary: fc.nat(250_000) });
    const property = fc.asyncProperty(
      fc.array(length, { minLength: 1, maxLength: 40, size: 'max' }),
      fc.constantFrom(Infinity, 400_000, 20_000),
      fc.nat(),
      async (lengths, segmentBytes, after) => {
        const { path, log } = await logOf(lengths, segmentBytes);
        try {
          const all = await linesIn([...log.sealed.map((segment) => segment.path), path]);
          const from = after % (all.length + 1);
          const given = await follow(log, from);
          expect(given.map(({ bytes }) => bytes.toString())).to.deep.equal(all.slice(from));
          expect(given.map(({ seq }) => seq)).to.deep.equal(all.slice(from).map((_, index) => from + index + 1));
          for (const { seq, event, entry } of given.slice(0, 3)) {
            expect([event, entry().data.seq]).to.deep.equal(['service.stopped', seq]);
          }
        } finally {
          await log.close();
        }
      },
    );
    await fc.assert(property, { numRuns: 25 });
  });

  it('follows a log while it is written and sealed, and never reads beyond what is durable', async () => {
    const { log } = await logOf([10], 3000);
    const cursor = new LogCursor(log, 0);
    const seen: number[] = [];
    const writing = (async () => {
      for (let n = 0; n < 200; n++) await log.append([draft(`entry ${n}`)]);
    })();
    while (seen.length < 201) {
      const lines = await cursor.next();
      if (lines.length === 0) await new Promise(setImmediate);
      seen.push(...lines.map(({ seq }) => seq));
      expect(cursor.position).to.be.at.most(log.status.entries);
    }
    await writing;
    expect(seen).to.deep.equal(Array.from({ length: 201 }, (_, index) => index + 1));
    expect(log.sealed.length).to.be.greaterThan(5);
    await log.close();
  });

  it('says where the log continues when the next entry was archived, also in the middle of the log', async () => {
    const { log } = await logOf(
      Array.from({ length: 30 }, () => 500),
      5000,
    );
    const [first, second, third] = log.sealed;
    for (const [archived, after] of [
      [second!, second!.first - 1],
      [first!, 0],
    ] as const) {
      const cursor = new LogCursor(log, after);
      await moveToArchive(archived);
      log.forget([archived]);
      const error = await fault(cursor.next());
      expect([error.code, error.fields.first_seq]).to.deep.equal(['gone', third!.first]);
      expect(error.message).to.include(`entry ${after + 1} was archived`);
    }
    expect((await follow(log, third!.first - 1)).length).to.equal(30 - third!.first + 1);
    await log.close();
  });

  it('reports a log that does not hold what it should', async () => {
    const { path, log } = await logOf([10, 10, 10]);
    const suspected: number[] = [];
    const suspect = ({ line }: Damage): void => void suspected.push(line);
    const fileOf = () => ({ path, first: 1 });
    const spoilt = { status: { ...log.status, entries: 5 }, sealed: [], fileOf, hash: HASH, suspect };
    expect((await fault(new LogCursor(spoilt, 3).next())).code).to.equal('damaged_log');
    expect(suspected).to.deep.equal([4]);
    await log.close();
  });

  for (const [what, spoil] of [
    ['edited', (text: string) => text.replace('bbb', 'bXb')],
    ['edited and spelt otherwise', (text: string) => text.replace('"reason":"bbb', '"reason":"\\u0062bb')],
    [
      'swapped with another',
      (text: string) => {
        const [first, second, third] = text.split('\n');
        return [first, third, second, ''].join('\n');
      },
    ],
  ] as const) {
    it(`never returns an entry that was ${what}, and tells the log`, async () => {
      const path = join(directory(), 'audit.jsonl');
      const { log } = await openLog(path);
      for (const note of ['aaa', 'bbb', 'ccc']) await log.append([draft(note)]);
      const place = { seq: 2, offset: (await readFile(path, 'utf8')).indexOf('\n') + 1, length: 0 };
      const length = (await readFile(path, 'utf8')).split('\n')[1]!.length + 1;
      await writeFile(path, spoil(await readFile(path, 'utf8')));
      const cursor = new LogCursor(log, 0);
      expect((await cursor.next()).map(({ seq }) => seq)).to.deep.equal([1]);
      expect((await fault(cursor.next())).code).to.equal('damaged_log');
      expect((await fault(readLinesAt(log, [{ ...place, length }]))).code).to.equal('damaged_log');
      await log.close();
      const { damage } = await verifyLog(path, HASH);
      expect(damage).to.include({ line: 2 });
    });
  }
});
