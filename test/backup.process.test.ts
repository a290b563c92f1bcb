import {
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { run } from './cli/support/command-line.ts';
import { type RunningService, runningServices, ServiceHome } from './support/running-service.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

const REPORT = { class: 'tool_call_burst', source: 'tool-firewall', description: 'x'.repeat(300) };
const OTHER_KEY = 'f'.repeat(32);

describe('incident-recorder backup and restore', function () {
  const directory = temporaryDirectories();
  const start = runningServices();
  const env = { AUDIT_SEGMENT_BYTES: '20000' };

  const report = async (service: RunningService, count: number): Promise<string[]> => {
    const ids: string[] = [];
    for (let n = 0; n < count; n++)
      ids.push((await service.post('/api/v1/incidents/report', REPORT)).json.id as string);
    return ids;
  };
  const backUp = (home: ServiceHome, into: string) =>
    run(['backup', into, '--log', home.log, '--key', home.key, '--json']);
  const restore = (from: string, home: ServiceHome, ...more: readonly string[]) =>
    run(['restore', from, '--log', home.log, '--key', home.key, ...more]);
  /** A home of the same key and token, without a log. */
  const emptyHome = (): ServiceHome => new ServiceHome(directory());

  it('copies a log that grows and is sealed meanwhile, and puts it back', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home, { env });
    const ids = await report(service, 60);
    const over = new AbortController();
    const load = (async () => {
      while (!over.signal.aborted) await report(service, 10);
    })();
    const into = join(directory(), 'backup');
    const made = await backUp(home, into);
    over.abort();
    await load;
    expect([made.status, made.stderr]).to.deep.equal([0, '']);
    const said = JSON.parse(made.stdout) as { entries: number; last_hash: string; files: { name: string }[] };
    expect(said.files.length).to.be.greaterThan(4);
    expect(statSync(into).mode & 0o777).to.equal(0o700);
    for (const name of readdirSync(into)) {
      expect(statSync(join(into, name)).mode & 0o777, name).to.equal(0o600);
      expect(readFileSync(join(into, name)).includes(readFileSync(home.key, 'utf8').trim()), name).to.equal(false);
    }
    expect(readdirSync(into)).to.include.members([
      'backup.json',
      'audit.jsonl',
      'audit.jsonl.checkpoint',
      'audit.jsonl.identity',
    ]);
    const logId = (await service.get('/health')).json.audit.log_id;
    await service.end();

    const again = await backUp(home, into);
    expect([again.status, again.stderr]).to.deep.equal([1, `${into} is there already: name a new directory\n`]);

    const other = emptyHome();
    const restored = await restore(into, other);
    expect([restored.status, restored.stderr]).to.deep.equal([0, '']);
    expect(restored.stdout)
      .to.include(`entries     ${said.entries}, the last from`)
      .and.include(`head hash   ${said.last_hash}`);
    expect(statSync(other.log).mode & 0o777).to.equal(0o640);
    expect(statSync(other.log).uid).to.equal(statSync(other.directory).uid);
    const next = await start(other, { env });
    await next.said('the audit log is verified');
    const health = (await next.get('/health')).json;
    expect([health.status, health.audit.findings, health.audit.log_id]).to.deep.equal(['ok', [], logId]);
    for (const id of ids) expect((await next.get(`/api/v1/incidents/get?id=${id}`)).status).to.equal(200);
    await next.end();

    const refused = await restore(into, other);
    expect(refused.status).to.equal(1);
    expect(refused.stderr).to.include('is there: nothing is overwritten');
  });

  it('refuses what is not as it was backed up, and another key', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home, { env });
    await report(service, 60);
    await service.end();
    const into = join(directory(), 'backup');
    expect((await backUp(home, into)).status).to.equal(0);
    const refusal = async (change: (copy: string) => void): Promise<string> => {
      const copy = join(directory(), 'copy');
      cpSync(into, copy, { recursive: true });
      change(copy);
      const other = emptyHome();
      const { status, stderr } = await restore(copy, other);
      expect(status).to.equal(1);
      expect(readdirSync(other.directory).filter((name) => name.startsWith('audit.'))).to.deep.equal([]);
      return stderr;
    };
    const edit = (path: string, from: string | RegExp, to: string): void =>
      writeFileSync(path, readFileSync(path, 'utf8').replace(from, to));
    expect(await refusal((copy) => edit(join(copy, 'audit.jsonl'), 'tool-firewall', 'tool-firewalk'))).to.include(
      'is not as it was backed up',
    );
    expect(await refusal((copy) => rmSync(join(copy, 'audit.000000000001.jsonl')))).to.include('is missing');
    expect(await refusal((copy) => writeFileSync(join(copy, 'backup.json'), '{}'))).to.include('is not a list that');
    expect(
      await refusal((copy) => {
        edit(join(copy, 'audit.jsonl'), 'tool-firewall', 'tool-firewalk');
        rmSync(join(copy, 'backup.json'));
      }),
    ).to.include('does not match its contents');
    const other = emptyHome();
    writeFileSync(other.key, OTHER_KEY, { mode: 0o600 });
    expect((await restore(into, other)).stderr).to.equal('the key is not the one that this backup was made with\n');
    const bad = await run(['backup', join(directory(), 'b'), '--log', home.log, '--key', other.key]);
    expect(bad.status).to.equal(1);
    expect(bad.stderr).to.include('the log does not verify');
  });

  it('tells that nothing proves why a log that was copied hot ends before its checkpoint, and takes it as it is', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    await report(service, 10);
    const copy = join(directory(), 'copy');
    mkdirSync(copy);
    // Log first, in the middle of a line; checkpoint later.
    const text = readFileSync(home.log);
    writeFileSync(join(copy, 'audit.jsonl'), text.subarray(0, text.length - 100));
    await report(service, 10);
    await service.end();
    copyFileSync(`${home.log}.checkpoint`, join(copy, 'audit.jsonl.checkpoint'));
    copyFileSync(`${home.log}.identity`, join(copy, 'audit.jsonl.identity'));

    const placed = emptyHome();
    const end = text.subarray(0, text.length - 100).lastIndexOf('\n') + 1;
    writeFileSync(placed.log, text.subarray(0, end), { mode: 0o640 });
    copyFileSync(`${home.log}.checkpoint`, `${placed.log}.checkpoint`);
    const degraded = await start(placed);
    const { status, json } = await degraded.get('/health');
    expect(status).to.equal(503);
    expect(json.reasons[0])
      .to.include('Either entries were cut off, or this is a copy that was made while the recorder ran')
      .and.include('the files do not prove which')
      .and.include('incident-recorder restore --as-is');
    await degraded.end();

    const other = emptyHome();
    const refused = await restore(copy, other);
    expect(refused.status).to.equal(1);
    expect(refused.stderr)
      .to.include('the files do not prove which')
      .and.include('with --as-is the log is taken as it ends');
    expect(existsSync(other.log)).to.equal(false);
    const taken = await restore(copy, other, '--as-is');
    expect([taken.status, taken.stderr]).to.deep.equal([0, '']);
    expect(taken.stdout).to.match(/missing {5}\d+ entries that its checkpoint counted/);
    const next = await start(other);
    const health = (await next.get('/health')).json;
    expect(health.status).to.equal('ok');
    expect(health.audit.findings.map(({ finding }: { finding: string }) => finding)).to.deep.equal(['log_mended']);
    expect(health.audit.findings[0].detail).to.include('restored from a copy whose checkpoint counts');
    await next.end();
    expect((await run(['verify', '--key', other.key, other.log])).status).to.equal(0);
  });

  it('gives the files to who owns the directory of the checkpoint, and puts the checkpoint there', async function () {
    if (process.getuid?.() !== 0) this.skip();
    const OWNER = 12_345;
    const home = new ServiceHome(directory());
    const service = await start(home);
    await report(service, 5);
    await service.end();
    const parent = directory();
    const into = join(parent, 'backup');
    expect((await backUp(home, into)).status).to.equal(0);
    expect(readdirSync(parent), 'nothing is left beside it').to.deep.equal(['backup']);
    const [other, state] = [emptyHome(), directory()];
    chownSync(state, OWNER, OWNER);
    expect((await restore(into, other, '--state-directory', state)).stderr).to.equal('');
    for (const path of [other.log, join(state, 'audit.jsonl.checkpoint'), join(state, 'audit.jsonl.identity')]) {
      const { uid, gid, mode } = statSync(path);
      expect([uid, gid, mode & 0o777], path).to.deep.equal([OWNER, OWNER, 0o640]);
    }
  });

  it('says when there is no checkpoint beside the log, and finds it where the environment says', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    await report(service, 3);
    await service.end();
    const state = directory();
    for (const name of ['audit.jsonl.checkpoint', 'audit.jsonl.identity'])
      renameSync(join(home.directory, name), join(state, name));
    const without = await backUp(home, join(directory(), 'backup'));
    expect([without.status, without.stderr]).to.deep.equal([0, without.stderr]);
    expect(without.stderr).to.include('no checkpoint beside the log').and.to.include('--state-directory');
    const into = join(directory(), 'backup');
    const environment = { ALLOW_SHARED_LOG_DIRECTORY: '1', STATE_DIRECTORY: state };
    const found = await run(['backup', into, '--log', home.log, '--key', home.key], { env: environment });
    expect([found.status, found.stderr]).to.deep.equal([0, '']);
    expect(readdirSync(into)).to.include.members(['audit.jsonl.checkpoint', 'audit.jsonl.identity']);
  });

  it('takes a copy of another tool that reaches its checkpoint', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home, { env });
    await report(service, 30);
    await service.end();
    const copy = join(directory(), 'copy');
    mkdirSync(copy);
    for (const name of readdirSync(home.directory)) {
      if (/^audit\.(\d+\.)?jsonl(\.checkpoint)?$/.test(name))
        copyFileSync(join(home.directory, name), join(copy, name));
    }
    const other = emptyHome();
    expect((await restore(copy, other)).stdout).to.include('copied by another tool');
    const next = await start(other, { env });
    expect((await next.get('/health')).json.audit.findings).to.deep.equal([]);
  });
});
