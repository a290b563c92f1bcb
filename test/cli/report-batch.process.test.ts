import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import { type RunningService, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { run, spawnCommand } from './support/command-line.ts';

const REPORT = { class: 'tool_call_burst', source: 'tool-firewall', description: 'too many calls' };
const BATCH = ['report', '--batch'];

describe('incident-recorder report --batch', () => {
  const directory = temporaryDirectories();
  const start = runningServices();
  let home: ServiceHome;
  let service: RunningService;
  let env: Record<string, string>;

  const begin = async (more: Record<string, string> = {}): Promise<void> => {
    home = new ServiceHome(directory());
    const url = `unix:${home.directory}/socket`;
    env = { INCIDENT_RECORDER_URL: url, INCIDENT_RECORDER_TOKEN_PATH: home.token };
    service = await start(home, { env: { BIND_ADDR: url, ...more } });
  };

  const lines = (count: number, more: object = {}): string =>
    Array.from(
      { length: count },
      (_, n) => `${JSON.stringify({ ...REPORT, description: `call ${n}`, ...more })}\n`,
    ).join('');
  const descriptions = (): string[] =>
    readFileSync(home.log, 'utf8')
      .split('\n')
      .filter((line) => line.includes('"event":"incident.reported"'))
      .map((line) => (JSON.parse(line) as { data: { report: { description: string } } }).data.report.description);

  it('reports each line, in their order, and says how many', async () => {
    await begin();
    const { status, stdout, stderr } = await run(BATCH, { env, input: lines(250) });
    expect([status, stderr]).to.deep.equal([0, '250 reports: 250 created, 0 on record already, 0 refused\n']);
    expect(stdout.trimEnd().split('\n')).to.have.length(250);
    expect(stdout).to.match(/^INC-\d{8}-[0-9a-f]{12} {2}medium {2}contained/);
    expect(descriptions()).to.deep.equal(Array.from({ length: 250 }, (_, n) => `call ${n}`));
    const { text } = await service.get('/metrics');
    const batches = Number(/^incident_recorder_report_batches_total (\d+)$/m.exec(text)?.[1]);
    expect(batches).to.be.within(3, 10);
  });

  it('says which lines were refused, and why, and takes the others', async () => {
    await begin();
    const good = lines(1).trimEnd();
    const input = `${good}\n\n{"class":\n${good.replace('burst', 'first')}\n{"a":1,"a":2}\n${good}`;
    const { status, stdout, stderr } = await run(BATCH, { env, input });
    expect(status).to.equal(1);
    expect(stdout.trimEnd().split('\n')).to.have.length(2);
    expect(stderr).to.equal(
      'line 3: invalid JSON\n' +
        'line 4: invalid incident class\n' +
        'line 5: a: duplicate key\n' +
        '5 reports: 2 created, 0 on record already, 3 refused\n',
    );
  });

  it('writes an item for each line as JSON', async () => {
    await begin();
    const input = `${lines(2, { dedup_key: 'same' })}7\n`;
    const { status, stdout } = await run([...BATCH, '--json'], { env, input });
    expect(status).to.equal(1);
    const items = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(items.map(({ line, status: of }) => [line, of])).to.deep.equal([
      [1, 201],
      [2, 200],
      [3, 400],
    ]);
    expect(items[0].incident.id).to.equal(items[1].incident.id);
    expect(items[2].error).to.equal('invalid JSON');
  });

  it('may be run again under a key, and records each line once', async () => {
    await begin();
    const own = `${JSON.stringify({ ...REPORT, idempotency_key: 'own' })}\n`;
    const input = lines(120) + own;
    const args = [...BATCH, '--idempotency-key', 'run-7'];
    expect((await run(args, { env, input })).stderr).to.match(/^121 reports: 121 created/);
    expect((await run(args, { env, input })).stderr).to.match(
      /^121 reports: 0 created, 121 on record already, 0 refused/,
    );
  });

  it('sends shorter batches where the recorder takes only those, and refuses what is too long alone', async () => {
    await begin({ MAX_BODY_BYTES: '2048' });
    const long = lines(1, { evidence: { text: 'x'.repeat(4000) } });
    const longer = lines(1, { evidence: { text: 'x'.repeat(600_000) } });
    const { status, stderr } = await run(BATCH, { env, input: lines(40) + long + longer + lines(1) });
    expect(status).to.equal(1);
    expect(stderr).to.match(
      /^line 41: body longer than 2 KiB\nline 42: a report of more than 262144 bytes is too long\n/,
    );
    expect(stderr).to.match(/43 reports: 41 created, 0 on record already, 2 refused\n$/);
  });

  it('does not wait for more than has arrived', async () => {
    await begin();
    const child = spawnCommand(BATCH, env);
    const output = createInterface(child.stdout);
    for (let n = 0; n < 3; n++) {
      child.stdin.write(lines(1));
      await once(output, 'line');
    }
    child.stdin.end();
    await once(child, 'close');
    expect(child.exitCode).to.equal(0);
  });

  it('says how far it came where the recorder is gone, and ends with 3', async () => {
    await begin();
    const child = spawnCommand(BATCH, env);
    const output = createInterface(child.stdout);
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdin.write(lines(1));
    await once(output, 'line');
    await service.end();
    child.stdin.end(lines(1));
    await once(child, 'close');
    expect(child.exitCode).to.equal(3);
    expect(stderr).to.include('it is not done: lines up to 1 are answered; go on behind them\n');
    expect(stderr).to.include('1 report: 1 created');
  });

  it('refuses the options of one report, and nothing on standard input is nothing to do', async () => {
    await begin();
    const wrong = await run([...BATCH, '--source', 'airlock'], { env });
    expect([wrong.status, wrong.stderr]).to.satisfy(
      ([status, stderr]: [number, string]) =>
        status === 2 && stderr.includes('--batch reads reports from standard input'),
    );
    const nothing = await run(BATCH, { env });
    expect([nothing.status, nothing.stderr]).to.deep.equal([
      0,
      '0 reports: 0 created, 0 on record already, 0 refused\n',
    ]);
  });
});
