import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { MAX_ENTRY_BYTES } from '../../src/audit/entry.ts';
import { verifyLog } from '../../src/audit/verify.ts';
import { RecorderError } from '../../src/errors.ts';
import { draft, HASH, noteOf, openLog } from '../support/audit-log.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('AuditLog', () => {
  const directory = temporaryDirectories();

  it('numbers entries in the order in which they were appended', async () => {
    const path = join(directory(), 'audit.jsonl');
    const { log, durable } = await openLog(path);
    const appended = await Promise.all(Array.from({ length: 500 }, (_, n) => log.append([draft(`${n}`)])));
    await log.close();

    const entries = appended.flat();
    expect(entries.map(({ data }) => data.seq)).to.deep.equal(Array.from({ length: 500 }, (_, n) => n + 1));
    expect(entries.map(noteOf)).to.deep.equal(Array.from({ length: 500 }, (_, n) => `${n}`));
    expect(durable).to.deep.equal(entries);
    const bytes = readFileSync(path);
    for (const { offset, length, data } of entries) {
      const line = bytes.toString('utf8', offset, offset + length);
      expect(JSON.parse(line).data).to.deep.equal(data);
      expect(line.endsWith('}\n')).to.equal(true);
    }
    expect(await verifyLog(path, HASH)).to.include({ entries: 500, checkpoint: 500 });
  });

  it('calls onDurable before the append resolves', async () => {
    const { log, durable } = await openLog(join(directory(), 'audit.jsonl'));
    const seen: number[] = [];
    await Promise.all([1, 2, 3].map((n) => log.append([draft(`${n}`)]).then(() => seen.push(durable.length))));
    await log.close();
    expect(seen).to.deep.equal([3, 3, 3]);
  });

  it('appends the entries of one change together', async () => {
    const { log } = await openLog(join(directory(), 'audit.jsonl'));
    const [one, both] = await Promise.all([log.append([draft('a')]), log.append([draft('b'), draft('c')])]);
    await log.close();
    expect(one.map(({ data }) => data.seq)).to.deep.equal([1]);
    expect(both.map(({ data }) => data.seq)).to.deep.equal([2, 3]);
  });

  it('refuses an entry that is too long, and takes the entries around it', async () => {
    const path = join(directory(), 'audit.jsonl');
    const { log } = await openLog(path);
    const results = await Promise.allSettled([
      log.append([draft('before')]),
      log.append([draft('x'.repeat(MAX_ENTRY_BYTES))]),
      log.append([draft('after')]),
    ]);
    await log.close();
    expect(results.map(({ status }) => status)).to.deep.equal(['fulfilled', 'rejected', 'fulfilled']);
    expect((results[1] as PromiseRejectedResult).reason).to.include({ code: 'too_large' });
    expect(await verifyLog(path, HASH)).to.include({ entries: 2 });
  });

  it('refuses at once more than may wait, and keeps all that it took', async () => {
    const path = join(directory(), 'audit.jsonl');
    const { log } = await openLog(path);
    const results = await Promise.allSettled(Array.from({ length: 3000 }, (_, n) => log.append([draft(`${n}`)])));
    await log.close();
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused.length).to.be.greaterThan(0);
    for (const { reason } of refused) expect(reason.code).to.equal('overloaded');
    expect(await verifyLog(path, HASH)).to.include({ entries: 3000 - refused.length });
  });

  it('when closed, writes what waits and refuses what comes later', async () => {
    const path = join(directory(), 'audit.jsonl');
    const { log } = await openLog(path);
    const appended = log.append([draft('in time')]);
    const closed = log.close();
    const late = log.append([draft('late')]).catch((error: unknown) => error);
    await closed;
    expect((await appended)[0]?.data.seq).to.equal(1);
    expect(await late)
      .to.be.instanceOf(RecorderError)
      .with.property('code', 'stopping');
    expect(await verifyLog(path, HASH)).to.include({ entries: 1, checkpoint: 1 });
  });

  it('makes its files closed to others', async () => {
    const previous = process.umask(0);
    try {
      const path = join(directory(), 'audit.jsonl');
      const { log } = await openLog(path);
      await log.append([draft('x')]);
      await log.close();
      for (const file of [path, `${path}.checkpoint`]) expect(statSync(file).mode & 0o777).to.equal(0o640);
    } finally {
      process.umask(previous);
    }
  });
});
