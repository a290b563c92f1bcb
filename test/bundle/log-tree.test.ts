import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { moveToArchive } from '../../src/audit/archive.ts';
import { LogTree, type PlacedEntries } from '../../src/bundle/log-tree.ts';
import { leafHash, MerkleTree, rootFrom } from '../../src/bundle/merkle-tree.ts';
import { draft, HASH, openLog } from '../support/audit-log.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const turn = (): Promise<void> => Promise.resolve();

describe('the tree over the log', function () {
  this.timeout(60_000);
  const directory = temporaryDirectories();

  const opened = async (segmentBytes = Infinity) => {
    const path = join(directory(), 'audit.jsonl');
    const { log } = await openLog(path, HASH, segmentBytes);
    const append = async (count: number): Promise<void> => {
      await log.append(Array.from({ length: count }, (_, n) => draft(`entry ${n}`)));
    };
    const hashes = (): string[] =>
      [...log.sealed.map((one) => one.path), path]
        .flatMap((one) => readFileSync(one, 'utf8').split('\n').slice(0, -1))
        .map((line) => (JSON.parse(line) as { entry_hash: string }).entry_hash);
    return { log, append, hashes };
  };

  /** Holds that the tree is the one over these hashes, and that each path leads to its root. */
  const expectTree = ({ tree, entries }: PlacedEntries, hashes: readonly string[]): void => {
    const root = new MerkleTree(hashes.map((one) => leafHash(Buffer.from(one, 'hex')))).root;
    expect(tree.size).to.equal(hashes.length);
    expect(tree.root).to.equal(Buffer.from(root).toString('hex'));
    for (const { seq, entry_hash: hash, path } of entries) {
      expect(hash).to.equal(hashes[seq - tree.first]);
      const bytes = path.map((one) => Buffer.from(one, 'hex'));
      const reached = rootFrom(leafHash(Buffer.from(hash, 'hex')), seq - tree.first, tree.size, bytes);
      expect(Buffer.from(reached!).toString('hex')).to.equal(tree.root);
    }
  };

  it('has any size, and grows with the log', async () => {
    const { log, append, hashes } = await opened();
    const tree = new LogTree(log);
    for (const size of [1, 2, 1023, 1024, 1025, 2048, 2049, 3000]) {
      await append(size - log.status.entries);
      const { entries: last, last_hash: head } = log.status;
      const seqs = [...new Set([1, 512, 1024, 1025, last - 1, last])].filter((seq) => seq >= 1 && seq <= last);
      expectTree(
        await tree.place(
          seqs.toSorted((one, other) => one - other),
          last,
          head,
          turn,
        ),
        hashes(),
      );
    }
    await log.close();
  });

  it('is the same for several that ask at once, also for different heads, and while one of them leaves', async () => {
    const { log, append, hashes } = await opened();
    await append(1500);
    const older = log.status;
    await append(1600);
    const newer = log.status;
    const tree = new LogTree(log);
    const left = async (): Promise<void> => {
      throw new Error('the client has left');
    };
    const [one, gone, other, again] = await Promise.allSettled([
      tree.place([3, 3100], newer.entries, newer.last_hash, turn),
      tree.place([3], newer.entries, newer.last_hash, left),
      tree.place([3, 1500], older.entries, older.last_hash, turn),
      tree.place([3, 3100], newer.entries, newer.last_hash, turn),
    ]);
    expect(gone.status).to.equal('rejected');
    const all = hashes();
    for (const result of [one, other, again]) {
      if (result.status === 'rejected') throw result.reason;
      expectTree(result.value, all.slice(0, result.value.tree.size));
    }
    await log.close();
  });

  it('begins with the oldest entry on this machine', async () => {
    const { log, append, hashes } = await opened(100_000);
    for (let n = 0; n < 30; n++) await append(100);
    const tree = new LogTree(log);
    const { entries: last, last_hash: head } = log.status;
    expectTree(await tree.place([1, 1500, last], last, head, turn), hashes());
    for (const segment of log.sealed.slice(0, 2)) {
      await moveToArchive(segment);
      log.forget([segment]);
    }
    const placed = await tree.place([1500, last], last, head, turn);
    expect(placed.tree.first).to.be.above(1);
    expectTree(placed, hashes());
    const error = await tree.place([1], last, head, turn).catch((one: unknown) => one);
    expect(error).to.have.property('code', 'gone');
    await log.close();
  });
});
