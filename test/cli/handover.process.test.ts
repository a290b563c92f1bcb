import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type LocalService, localServices } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { type Outcome, run } from './support/command-line.ts';

describe('incident-recorder handover', () => {
  const start = localServices();
  const directory = temporaryDirectories();
  let service: LocalService;
  let env: Record<string, string>;

  beforeEach(async () => {
    const home = new ServiceHome(directory());
    service = await start(home);
    env = {
      INCIDENT_RECORDER_URL: `http://127.0.0.1:${service.port}`,
      INCIDENT_RECORDER_TOKEN_PATH: home.token,
      XDG_STATE_HOME: directory(),
    };
  });

  const report = async (): Promise<string> => (await service.report({ class: 'tool_call_burst' })).json.id;
  const handover = (...args: readonly string[]): Promise<Outcome> => run(['handover', ...args], { env });

  it('says what has changed, for people and as JSON', async () => {
    const old = await report();
    const seq = (await service.get('/health')).json.audit.last_seq;
    const fresh = await report();
    await service.post('/api/v1/incidents/acknowledge', { id: old, by: 'ada', note: 'seen' });
    const { status, stdout } = await handover('--after', String(seq));
    expect(status).to.equal(0);
    expect(stdout).to.match(/^2 incidents have changed: entries \d+ to \d+$/m);
    expect(stdout).to.match(new RegExp(`^${fresh}  medium  new, contained  tool_call_burst`, 'm'));
    expect(stdout).to.match(new RegExp(`^${old}  medium  contained → acknowledged`, 'm'));
    expect(stdout).to.match(/ ago  incident acknowledged  by ada \(claimed\) as operator  seen$/m);
    const page = JSON.parse((await handover('--after', String(seq), '--json')).stdout);
    expect(page.changes.map(({ id }: { id: string }) => id)).to.deep.equal([fresh, old]);
    expect((await handover('--since', '1h')).stdout)
      .to.include(old)
      .and.include('The recorder');
  });

  it('goes on where the last one ended, when it is asked to', async () => {
    const one = await report();
    expect((await handover('--last')).stdout).to.include(one);
    const two = await report();
    const { stdout } = await handover('--last');
    expect(stdout).to.include(two).and.not.include(one);
    expect((await handover('--last')).stdout).to.match(/^0 incidents have changed: nothing is behind entry \d+$/m);
    const kept = readFileSync(join(env.XDG_STATE_HOME!, 'incident-recorder/handover'), 'utf8');
    expect(Number(kept)).to.equal((await service.get('/health')).json.audit.last_seq);
    expect((await handover('--last', '--after', '1')).status).to.equal(2);
  });

  it('goes on with what there is when the entries after the last one are not in the log any more', async () => {
    const one = await report();
    await handover('--last');
    const place = join(env.XDG_STATE_HOME!, 'incident-recorder/handover');
    writeFileSync(place, '100000\n');
    const { status, stdout, stderr } = await handover('--last');
    expect([status, stderr]).to.satisfy(
      ([code, said]: [number, string]) => code === 0 && said.startsWith('the log ends before entry 100000'),
    );
    expect(stdout).to.include(one);
    expect(Number(readFileSync(place, 'utf8'))).to.be.below(100);
    expect((await handover('--after', '100000')).status).to.equal(1);
  });

  it('says what a silence is about', async () => {
    const until = new Date(Date.now() + 3_600_000).toISOString();
    const terms = { class: ['tool_call_burst'], q: 'agent-7', until, reason: 'being mended', by: 'ada' };
    await service.post('/api/v1/silences', terms);
    const { stdout } = await handover('--since', '1h');
    expect(stdout).to.match(
      /silence added  \S+  SIL-\S+  tool_call_burst  agent-7  by ada \(claimed\) as operator  being mended$/m,
    );
    const { others } = JSON.parse((await handover('--since', '1h', '--json')).stdout);
    const added = others.find(({ event }: { event: string }) => event === 'silence.added');
    expect(added).to.deep.include({ class: ['tool_call_burst'], q: 'agent-7' });
    expect(added).not.to.have.any.keys('source', 'severity');
  });
});
