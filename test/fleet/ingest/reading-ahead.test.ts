import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { chainHash } from '../../../src/audit/chain-hash.ts';
import { ReadingAhead } from '../../../src/fleet/ingest/reading-ahead.ts';
import { readReceived } from '../../../src/fleet/ingest/received-lines.ts';
import { generateLog } from '../../bench/generate-log.ts';

describe('lines that are read before their transaction', () => {
  const hash = chainHash(Buffer.alloc(32, 7));
  const keys = () => ({ hashes: [hash], isLost: false });
  let lines: readonly string[];

  before(async () => {
    const directory = mkdtempSync(join(tmpdir(), 'incident-recorder-'));
    const path = join(directory, 'audit.jsonl');
    await generateLog({ incidents: 120, path, hash, segmentBytes: 1e12 });
    lines = readFileSync(path, 'utf8').split('\n').slice(0, 400);
    rmSync(directory, { recursive: true });
  });

  const batchOf = (of: readonly string[], more = '') => ({
    machine: 'm',
    log: 'l',
    from: 1,
    body: Buffer.from(of.map((line) => `${line}\n`).join('') + more),
  });

  it('are what the transaction would read, in whatever parts', async () => {
    const ahead = new ReadingAhead();
    const batch = batchOf(lines);
    expect(batch.body.length).to.be.greaterThan(200 * 1024);
    ahead.note(batch, 'sealed', keys());
    const read = await ahead.read(batch);
    expect(read).to.include({ sealed: 'sealed', wasLost: false });
    expect(read!.lines).to.deep.equal(readReceived(batch.body, 1, keys()));
    expect(read!.lines.every(({ verified }) => verified)).to.equal(true);
  });

  it('are read without a key where none is known', async () => {
    const read = await new ReadingAhead().read(batchOf(lines));
    expect(read).to.include({ sealed: null });
    expect(read!.lines.some(({ verified }) => verified)).to.equal(false);
  });

  it('are left to the transaction where they have a fault', async () => {
    const ahead = new ReadingAhead();
    const without = (at: number): readonly string[] => lines.filter((_, index) => index !== at);
    for (let at = 1; at < lines.length - 1; at += 7) expect(await ahead.read(batchOf(without(at)))).to.equal(undefined);
    expect(await ahead.read(batchOf(lines, '{"cut'))).to.equal(undefined);
    ahead.note(batchOf(lines), 'sealed', { hashes: [chainHash(Buffer.alloc(32, 8))], isLost: false });
    expect(await ahead.read(batchOf(lines))).to.equal(undefined);
  });
});
