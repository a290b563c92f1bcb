import { mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import pino from 'pino';
import { BackgroundVerification } from '../../src/audit/background-verification.ts';
import type { MissingEntries } from '../../src/audit/verify-chain.ts';
import { systemClock } from '../../src/clock.ts';
import { verifyRest } from '../../src/process-log.ts';
import { eventually } from '../support/eventually.ts';
import { draft, HASH, openLog } from '../support/audit-log.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('BackgroundVerification', () => {
  const directory = temporaryDirectories();

  const running = async (segmentBytes = Infinity, betweenRuns = 1) => {
    const path = join(directory(), 'audit.jsonl');
    const { log, recovered } = await openLog(path, HASH, segmentBytes);
    for (let n = 1; n <= 40; n++) await log.append([draft(`entry ${n}`)]);
    const missing: MissingEntries[] = [];
    const onMissing = (more: readonly MissingEntries[]): void => void missing.push(...more);
    const options = { path, hash: HASH, clock: systemClock, log, recovered, onMissing, betweenRuns };
    return { path, log, missing, verification: new BackgroundVerification(options) };
  };

  it('verifies all that was written, and says when', async () => {
    const { log, verification } = await running();
    expect(await verification.runAgain()).to.equal(undefined);
    expect(verification.verified).to.equal(log.status.entries);
    expect(verification.verifiedAt).to.be.closeTo(Date.now(), 10_000);
    await log.close();
  });

  it('finds a line that was edited in place, in the file that grows and in a sealed one', async () => {
    for (const segmentBytes of [Infinity, 2000]) {
      const { path, log, verification } = await running(segmentBytes);
      const edited = log.sealed[0]?.path ?? path;
      writeFileSync(edited, readFileSync(edited, 'utf8').replace('entry 3', 'entry X'));
      expect(await verification.runAgain()).to.include({ line: 3, finding: 'entry_altered' });
      await log.close();
    }
  });

  it('finds no damage in a log that is written and sealed meanwhile', async () => {
    const { log, missing, verification } = await running(2000);
    const written = (async () => {
      for (let n = 0; n < 300; n++) await log.append([draft(`more ${n}`)]);
    })();
    while (log.status.entries < 340) expect(await verification.runAgain()).to.equal(undefined);
    await written;
    expect(await verification.runAgain()).to.equal(undefined);
    expect(verification.verified).to.equal(log.status.entries);
    expect(missing).to.deep.equal([]);
    await log.close();
  });

  it('says which segment was taken away, and takes no file that is put back for damage', async () => {
    const { path, log, missing, verification } = await running(2000);
    const [, second, third] = log.sealed;
    rmSync(second!.path);
    rmSync(path);
    expect(await verification.runAgain()).to.equal(undefined);
    await log.probe();
    expect(await verification.runAgain()).to.equal(undefined);
    expect(missing.map(({ after, before }) => [after.entries + 1, before.entries])).to.deep.equal([
      [second!.first, third!.first - 1],
    ]);
    await log.close();
  });

  it('rests between two runs, until somebody touches the log or it stops', async () => {
    const { log, verification } = await running(Infinity, 1e9);
    const run = verification.runAgain();
    verification.hurry();
    expect(await run).to.equal(undefined);
    const stopped = verification.runAgain().catch((error: unknown) => error);
    verification.stop();
    expect(await stopped).to.have.property('name', 'AbortError');
    await log.close();
  });

  it("tries again when a file can't be read, and says so meanwhile", async () => {
    const { path, log } = await running(2000);
    await log.close();
    const [, second] = log.sealed;
    const { entries } = log.status;
    const opened = await openLog(path, HASH, 2000);
    const recovered = { ...opened.recovered, unread: entries };
    const options = { path, hash: HASH, clock: systemClock, log: opened.log, recovered, onMissing: () => {} };
    const verification = new BackgroundVerification(options);
    renameSync(second!.path, `${second!.path}.away`);
    mkdirSync(second!.path);
    const lines: string[] = [];
    const verified = verifyRest(verification, opened.log, pino({}, { write: (line) => void lines.push(line) }));
    await eventually(() => lines.length > 0);
    expect(lines[0]).to.include('which is tried again');
    expect(verification.fault).to.match(/^EISDIR/);
    expect(verification.verified).to.equal(undefined);
    rmdirSync(second!.path);
    renameSync(`${second!.path}.away`, second!.path);
    await eventually(() => verification.verified !== undefined);
    expect(verification.fault).to.equal(undefined);
    expect(verification.verified).to.equal(entries);
    verification.stop();
    await verified;
    await opened.log.close();
  });
});
