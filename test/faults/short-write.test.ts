import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { expect } from 'chai';
import { type RunningService, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Ledger } from './support/ledger.ts';
import { needs } from './support/needs.ts';
import { until } from './support/until.ts';

/** The limit on the size of a file, in bytes; no multiple of anything, so that the write that meets it is cut short. */
const LIMIT = 300_001;

describe('given a limit on the size of files', () => {
  const start = runningServices();
  const directory = temporaryDirectories();
  needs('prlimit');

  const liftLimit = ({ process }: RunningService): void => {
    execFileSync('prlimit', ['--pid', String(process.pid), '--fsize=unlimited:unlimited']);
  };
  const recovered = (service: RunningService): Promise<void> =>
    until(async () => (await service.get('/health')).status === 200);
  const limited = { under: ['prlimit', `--fsize=${LIMIT}:unlimited`] };

  it('when a write to the log is cut short, then the log is cut back to its last whole entry, and goes on later', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home, limited);
    // Recurrences of one incident lengthen the log and hardly the database.
    expect((await service.report({ dedup_key: 'one' })).status).to.equal(201);
    const recur = () => service.report({ dedup_key: 'one', evidence: { filler: 'x'.repeat(50_000) } });
    let taken = 1;
    let answer = await recur();
    for (; answer.status !== 503; answer = await recur()) taken++;
    expect(taken).to.be.greaterThan(3);
    expect(answer.headers['retry-after']).to.match(/^\d+$/);
    expect((await service.get('/health')).json.reasons.join()).to.include('EFBIG');
    expect(statSync(home.log).size).to.be.lessThan(LIMIT);
    expect(readFileSync(home.log, 'utf8').endsWith('}\n')).to.equal(true);
    await home.expectSound();
    expect((await service.get('/api/v1/incidents')).json)
      .to.have.length(1)
      .and.have.nested.property('0.occurrences', taken);

    liftLimit(service);
    await recovered(service);
    expect((await recur()).json.occurrences).to.equal(taken + 1);
    expect(readFileSync(home.log, 'utf8')).to.include('"event":"log.resumed"');
    expect(await service.end()).to.equal(0);
    await home.expectSound();
  });

  it('when a write to the database is cut short, then it refuses, and catches up later', async () => {
    const home = new ServiceHome(directory());
    // The log stays short, in many files.
    const service = await start(home, { ...limited, env: { AUDIT_SEGMENT_BYTES: '65536' } });
    const ledger = new Ledger();
    let reasons: string[] = [];
    await ledger.load(service, () => ledger.counts.refused < 20);
    expect(ledger.counts.acknowledged).to.be.greaterThan(10);
    // It tries to catch up once a second, and may just have managed to.
    while (!/reads are behind the audit log/.test(reasons.join())) {
      await ledger.load(service, () => ledger.counts.refused % 20 < 19, 1);
      reasons = (await service.get('/health')).json.reasons ?? [];
    }

    liftLimit(service);
    await recovered(service);
    await ledger.check(service);
    expect(await service.end()).to.equal(0);
    await ledger.expectNothingLost(home);
  });
});
