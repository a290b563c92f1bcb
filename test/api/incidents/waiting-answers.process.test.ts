import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { MOST_MEBIBYTES, mostOwned } from '../../faults/support/memory.ts';
import { until } from '../../faults/support/until.ts';
import { type Answer, runningServices, ServiceHome } from '../../support/running-service.ts';
import { SERVICE } from '../../support/programs.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';

/** As the unit starts it. */
const HARDENED = [
  '--jitless',
  '--v8-pool-size=0',
  '--max-old-space-size=64',
  '--max-semi-space-size=4',
  '--expose-gc',
  SERVICE,
];
const MOST = 32;

describe('32 answers that wait, with the longest bodies there are', () => {
  const start = runningServices();
  const directory = temporaryDirectories();

  it('take no more memory than the service has on the hardened host', async () => {
    const home = new ServiceHome(directory());
    const policy = join(home.directory, 'policy.yaml');
    writeFileSync(policy, 'version: 1\nrules: { tool_call_burst: { answer_after: 40s } }\n');
    const env = { CONTAINMENT_POLICY_PATH: policy, UV_THREADPOOL_SIZE: '2', MALLOC_ARENA_MAX: '1' };
    const service = await start(home, { command: HARDENED, env });
    const report = (evidence: object): Promise<Answer> => service.report({ class: 'tool_call_burst', evidence });
    const isRecorded = (count: number) => async (): Promise<boolean> =>
      (await service.get('/api/v1/stats')).json.total_incidents >= count;
    // Parsed, such a body takes twenty times its length.
    const evidence = { o: Array.from({ length: 85_000 }, () => ({})) };
    expect(JSON.stringify(evidence).length).to.be.within(250_000, 256 * 1024 - 200);
    const answers: Promise<Answer>[] = [];
    for (let count = 1; count <= MOST; count++) {
      answers.push(report(evidence));
      await until(isRecorded(count));
    }
    expect(mostOwned(service)).to.be.below(MOST_MEBIBYTES);
    let remaining = 1;
    while (remaining > 0) {
      const confirmation = { action: 'freeze_agent', directive: 'engage' };
      ({ remaining } = (await service.post('/api/v1/containment/confirm', confirmation)).json);
    }
    for (const { status, json } of await Promise.all(answers)) {
      expect(status).to.equal(201);
      expect(json.containment_results).to.have.length(1);
    }
    expect(mostOwned(service)).to.be.below(MOST_MEBIBYTES);
  });
});
