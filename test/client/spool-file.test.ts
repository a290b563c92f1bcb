import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { SpoolFile } from '../../src/client/spool-file.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const MAX_BYTES = 4096;

describe('SpoolFile', () => {
  const directory = temporaryDirectories();
  const open = (path: string): Promise<SpoolFile> => SpoolFile.open(path, MAX_BYTES);

  /** Removes all records, in order. */
  const empty = async (spool: SpoolFile): Promise<unknown[]> => {
    const records: unknown[] = [];
    for (let text = await spool.first(); text !== undefined; text = await spool.first()) {
      records.push(JSON.parse(text));
      await spool.shift();
    }
    return records;
  };

  it('returns records in the order in which they were appended, also after it was opened again', async () => {
    const path = join(directory(), 'spool');
    const first = await open(path);
    expect(first.isEmpty).to.equal(true);
    for (const number of [1, 2, 3]) await first.append(JSON.stringify({ number, text: '\u2028 ünï\n' }));
    await first.shift();
    await first.close();
    const second = await open(path);
    expect(await empty(second)).to.deep.equal([2, 3].map((number) => ({ number, text: '\u2028 ünï\n' })));
    expect(second.isEmpty).to.equal(true);
    await second.close();
    expect(statSync(path).mode & 0o777).to.equal(0o600);
  });

  it('is a queue, after any sequence of operations', async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant('append'), length: fc.nat(300) }) },
      { weight: 4, arbitrary: fc.constant({ do: 'shift', length: 0 }) },
      { weight: 1, arbitrary: fc.constant({ do: 'reopen', length: 0 }) },
    );
    const path = join(directory(), 'spool');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 100 }), async (steps) => {
        let spool = await open(path);
        let queue = await empty(spool).then(() => [] as object[]);
        for (const [index, { do: name, length }] of steps.entries()) {
          const record = { index, text: 'x'.repeat(length) };
          if (name === 'append') {
            const added = await spool.append(JSON.stringify(record)).then(
              () => true,
              (error: Error) => expect(error).to.have.property('fault', 'full') && false,
            );
            if (added) queue.push(record);
            // Waiting records can use at least three quarters of the file.
            else expect(spool.bytes + 400).to.be.greaterThan(MAX_BYTES * 0.7);
          } else if (name === 'shift' && queue.length > 0) {
            await spool.shift();
            queue = queue.slice(1);
          } else if (name === 'reopen') {
            await spool.close();
            spool = await open(path);
          }
          const first = await spool.first();
          expect(first === undefined ? undefined : JSON.parse(first)).to.deep.equal(queue[0]);
          expect(statSync(path).size).to.be.at.most(MAX_BYTES);
        }
        expect(await empty(spool)).to.deep.equal(queue);
        await spool.close();
      }),
      { numRuns: 60 },
    );
  });

  it('keeps every whole record and no other, when its end is cut off anywhere', async () => {
    const path = join(directory(), 'spool');
    const spool = await open(path);
    const ends = [statSync(path).size];
    for (const number of [1, 2, 3]) {
      await spool.append(JSON.stringify({ number }));
      ends.push(statSync(path).size);
    }
    await spool.close();
    const whole = readFileSync(path);
    for (let length = 0; length <= whole.length; length++) {
      writeFileSync(path, whole);
      truncateSync(path, length);
      const cut = await open(path);
      const left = ends.filter((end) => end <= length).length - 1;
      expect(await empty(cut)).to.deep.equal([{ number: 1 }, { number: 2 }, { number: 3 }].slice(0, Math.max(0, left)));
      await cut.append('{"number":4}');
      expect(await empty(cut)).to.deep.equal([{ number: 4 }]);
      await cut.close();
    }
  });

  it('delivers a record again when its removal is lost, and skips none', async () => {
    const path = join(directory(), 'spool');
    const spool = await open(path);
    for (const number of [1, 2]) await spool.append(JSON.stringify({ number }));
    const before = readFileSync(path);
    await spool.shift();
    await spool.close();
    for (const header of [before.subarray(0, 35), Buffer.from('{"spool":1,"from":             43}')]) {
      const bytes = readFileSync(path);
      header.copy(bytes);
      writeFileSync(path, bytes);
      const again = await open(path);
      expect(await again.first()).to.equal('{"number":1}');
      await again.close();
    }
  });

  it('refuses a file that is not a spool', async () => {
    const path = join(directory(), 'notes');
    appendFileSync(path, 'a line\nanother\n');
    const error = await open(path).catch((thrown: unknown) => thrown);
    expect(error).to.include({ fault: 'is_another' });
    expect(readFileSync(path, 'utf8')).to.equal('a line\nanother\n');
  });

  it('refuses a record that is too long for the recorder', async () => {
    const spool = await SpoolFile.open(join(directory(), 'spool'), 1024 * 1024);
    const error = await spool.append(`"${'x'.repeat(258 * 1024)}"`).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(RangeError);
    expect(spool.isEmpty).to.equal(true);
    await spool.close();
  });
});
