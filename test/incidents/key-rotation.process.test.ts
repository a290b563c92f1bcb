import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { readKey } from '../../src/audit/key.ts';
import { systemClock } from '../../src/clock.ts';
import { readEntry } from '../../src/domain/entries.ts';
import { rotateKey } from '../../src/incidents/key-rotation.ts';
import type { Incident } from '../../src/domain/incident.ts';
import { run } from '../cli/support/command-line.ts';
import { RunningService, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const NEW_KEY = 'the new audit key, which is long enough';
const SEGMENTS = { AUDIT_SEGMENT_BYTES: '6000' };

/** Kills the process before the n-th change of a name, where `KILL_AT` is n. */
const KILL = `
  const fs = require('node:fs');
  let left = Number(process.env.KILL_AT);
  const guarded = (call) => function (...args) {
    if (--left === 0) process.kill(process.pid, 'SIGKILL');
    return call.apply(this, args);
  };
  for (const name of ['renameSync', 'rmSync']) fs[name] = guarded(fs[name]);
  fs.promises.rename = guarded(fs.promises.rename);
  require('node:module').syncBuiltinESMExports();`;

describe('replacing the audit key', function () {
  this.timeout(180_000);
  const directory = temporaryDirectories();
  const start = runningServices();

  /** What people and services see, without what carrying over changes of an incident. */
  const seen = async (service: RunningService) => {
    const list = (await service.get('/api/v1/incidents?limit=1000')).json as readonly Incident[];
    const incidents = list
      .filter(({ state }) => state !== 'resolved')
      .map(({ version: _version, hash: _hash, ...rest }) => rest);
    const posture = Object.values(
      (await service.get('/api/v1/containment')).json as Record<string, Record<string, unknown>>,
    );
    const { resolved_count, contained_count, open_incidents } = (await service.get('/api/v1/stats')).json;
    return {
      incidents,
      posture: posture.map(({ action, engaged, holders }) => ({ action, engaged, holders })),
      resolved_count,
      contained_count,
      open_incidents,
    };
  };

  /** A log of several files, with incidents in every state. */
  const used = async (): Promise<{ home: ServiceHome; newKey: string; before: Awaited<ReturnType<typeof seen>> }> => {
    const home = new ServiceHome(directory());
    const newKey = join(home.directory, 'new-key');
    writeFileSync(newKey, NEW_KEY, { mode: 0o600 });
    const service = await start(home, { env: SEGMENTS });
    const ids: string[] = [];
    for (let n = 0; n < 12; n++) {
      const fields = n % 2 === 0 ? {} : { class: 'forbidden_airlock_request', dedup_key: `key ${n}` };
      ids.push((await service.report({ ...fields, evidence: { n, text: 'x'.repeat(500) } })).json.id);
    }
    await service.report({ class: 'forbidden_airlock_request', dedup_key: 'key 1', evidence: { again: true } });
    for (const at of [0, 3, 4]) await service.post('/api/v1/incidents/resolve', { id: ids[at] });
    await service.post('/api/v1/containment/confirm', { action: 'freeze_agent', directive: 'engage' });
    await service.post('/api/v1/incidents/acknowledge', { id: ids[5] });
    await service.post('/api/v1/incidents/contain', { id: ids[7] });
    const before = await seen(service);
    await service.end();
    return { home, newKey, before };
  };

  const rotate = (home: ServiceHome, newKey: string, env = {}, more: readonly string[] = []) =>
    run(['rotate-key', '--old-key', home.key, '--new-key', newKey, ...more, home.log], { env });

  const verify = (home: ServiceHome, ...keys: readonly string[]) => run(['verify', '--json', ...keys, home.log]);

  const left = (home: ServiceHome): readonly string[] =>
    readdirSync(home.directory)
      .filter((name) => name.startsWith('audit.'))
      .toSorted();

  /** Holds that the log goes on under the new key, with everything that was unresolved. */
  const expectRotated = async (home: ServiceHome, newKey: string, before: Awaited<ReturnType<typeof seen>>) => {
    expect(left(home)).to.deep.equal(['audit.jsonl', 'audit.jsonl.checkpoint', 'audit.jsonl.identity']);
    const lines = readFileSync(home.log, 'utf8').split('\n').slice(0, -1).map(readEntry);
    const archived = readdirSync(join(home.directory, 'archive')).toSorted();
    const old = readFileSync(join(home.directory, 'archive', archived.at(-1)!), 'utf8')
      .split('\n')
      .at(-2)!;
    const { entry_hash, data } = readEntry(old);
    const [first] = lines;
    expect(first?.event).to.equal('log.continued');
    expect(first?.prev_hash).to.equal(entry_hash);
    expect(first?.data).to.include({ seq: data.seq + 1, old_last_seq: data.seq, old_last_hash: entry_hash });
    const whole = await verify(home, '--key', newKey, '--old-key', home.key);
    expect(JSON.parse(whole.stdout)).to.include({ valid: true, entries: lines.at(-1)!.data.seq });
    expect(JSON.parse(whole.stdout).files).to.equal(archived.length + 1);
    expect((await verify(home, '--key', newKey)).status).to.equal(0);
    expect((await verify(home, '--key', home.key)).status).to.equal(1);
    const wrong = await verify(home, '--key', newKey, '--old-key', newKey);
    expect(JSON.parse(wrong.stdout).valid).to.equal(false);

    const { code, errors } = await RunningService.run(home);
    expect([code, errors.includes('AUDIT_HMAC_KEY_PATH'), errors]).to.deep.equal([78, true, errors]);
    const service = await start(home, { env: { ...SEGMENTS, AUDIT_HMAC_KEY_PATH: newKey } });
    expect(await seen(service)).to.deep.equal(before);
    const health = (await service.get('/health')).json;
    expect([health.status, health.audit.findings]).to.deep.equal(['ok', []]);
    return service;
  };

  it('goes on with every unresolved incident, and the old log can be followed with both keys', async () => {
    const { home, newKey, before } = await used();
    expect((await verify(home, '--key', home.key)).status).to.equal(0);
    const { status, stdout, stderr } = await rotate(home, newKey, {}, ['--json', '--by', 'ada', '--note', 'yearly']);
    expect([status, stderr]).to.deep.equal([0, '']);
    expect(JSON.parse(stdout)).to.include({ carried: 9 });
    expect(readEntry(readFileSync(home.log, 'utf8').split('\n')[0]!).data).to.include({ by: 'ada', note: 'yearly' });
    const service = await expectRotated(home, newKey, before);

    // They live on.
    const open = before.incidents.map(({ id }) => id);
    const history = (await service.get(`/api/v1/incidents/history?id=${open[0]}`)).json;
    expect(history[0].event).to.equal('incident.carried');
    const { json } = await service.report({ class: 'forbidden_airlock_request', dedup_key: 'key 1' });
    expect(json.occurrences).to.equal(3);
    for (const id of open) expect((await service.post('/api/v1/incidents/resolve', { id })).status).to.equal(200);
    const after = await seen(service);
    expect(after.incidents).to.deep.equal([]);
    await service.end();
    rmSync(join(home.directory, 'audit.sqlite'), { force: true });
    const again = await start(home, { env: { ...SEGMENTS, AUDIT_HMAC_KEY_PATH: newKey } });
    expect(await seen(again)).to.deep.equal(after);
    await again.end();

    // And once more, under a third key.
    const third = join(home.directory, 'third-key');
    writeFileSync(third, `${NEW_KEY}, and another one`, { mode: 0o600 });
    const next = await run(['rotate-key', '--old-key', newKey, '--new-key', third, home.log]);
    expect([next.status, next.stderr]).to.deep.equal([0, '']);
    const all = await verify(home, '--key', third, '--old-key', home.key, '--old-key', newKey);
    expect(JSON.parse(all.stdout)).to.include({ valid: true });
    const short = await verify(home, '--key', third, '--old-key', newKey);
    expect(short.status).to.not.equal(0);
  });

  it('records that the clock is behind the old log: the next start could not see it any more', async () => {
    const { home, newKey } = await used();
    const day = 24 * 60 * 60 * 1000;
    const clock = { ...systemClock, now: () => Date.now() - day };
    const [oldHash, newHash] = [home.key, newKey].map((path) => chainHash(readKey(path)));
    await rotateKey({ path: home.log, beside: home.log, oldHash: oldHash!, newHash: newHash!, clock });
    const service = await start(home, { env: { ...SEGMENTS, AUDIT_HMAC_KEY_PATH: newKey } });
    const [jump] = (await service.get('/health')).json.clock.jumps;
    expect([jump.found, Math.round(jump.by_ms / day)]).to.deep.equal(['start', -1]);
    await service.end();
    expect((await verify(home, '--key', newKey, '--old-key', home.key)).status).to.equal(0);
  });

  it('is not taken as followed where the old log is not there', async () => {
    const { home, newKey } = await used();
    expect((await rotate(home, newKey)).status).to.equal(0);
    const archive = join(home.directory, 'archive');
    const keys = ['--key', newKey, '--old-key', home.key];
    expect((await verify(home, ...keys)).status).to.equal(0);
    for (const name of readdirSync(archive)) rmSync(join(archive, name));
    const missing = `no file of the log is under 1 of the old keys: put what was archived then into ${archive}`;
    for (const leave of [() => {}, () => rmSync(archive, { recursive: true })]) {
      leave();
      const { status, stderr } = await verify(home, ...keys);
      expect([status, stderr]).to.deep.equal([1, `${missing}, or leave --old-key out\n`]);
    }
    expect((await verify(home, '--key', newKey)).status).to.equal(0);
  });

  it('gives a log without a key its first one', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home, { env: { AUDIT_HMAC_KEY_PATH: '' } });
    const { id } = (await service.report({ class: 'forbidden_airlock_request' })).json;
    await service.end();
    const { status, stderr } = await run(['rotate-key', '--new-key', home.key, home.log]);
    expect([status, stderr]).to.deep.equal([0, '']);
    const plain = await RunningService.run(home, { env: { AUDIT_HMAC_KEY_PATH: '' } });
    expect([plain.code, plain.errors.includes('AUDIT_HMAC_KEY_PATH')]).to.deep.equal([78, true]);
    const keyed = await start(home);
    expect((await keyed.get(`/api/v1/incidents/get?id=${id}`)).json.state).to.equal('open');
    expect((await keyed.get('/health')).json.audit).to.include({ algorithm: 'hmac-sha256' });
    expect((await verify(home, '--key', home.key)).status).to.equal(0);
  });

  it('refuses while the service runs, with the same key twice, and for a log that does not verify', async () => {
    const { home, newKey } = await used();
    expect((await rotate(home, home.key)).stderr).to.include('the same key');
    const foreign = await run(['rotate-key', '--old-key', newKey, '--new-key', home.key, home.log]);
    expect([foreign.status, foreign.stderr]).to.deep.equal([1, foreign.stderr]);
    expect(foreign.stderr).to.include('does not verify under the old key');
    const service = await start(home, { env: SEGMENTS });
    const running = await rotate(home, newKey);
    expect(running.stderr).to.include('another recorder is running on this log');
    await service.end();
    expect(left(home).some((name) => /rotation|continued/.test(name))).to.equal(false);
  });

  it('can be killed at every step: the log is the old one or another run goes on', async () => {
    const { home, before } = await used();
    const kill = join(directory(), 'kill.cjs');
    writeFileSync(kill, KILL);
    const states = { unchanged: 0, begun: 0 };
    for (let at = 1; ; at++) {
      const copy = home.copyTo(directory());
      const key = join(copy.directory, 'new-key');
      const env = { NODE_OPTIONS: `--require ${kill}`, KILL_AT: String(at) };
      const { status } = await rotate(copy, key, env);
      if (status === 0) {
        expect(at).to.be.greaterThan(10);
        break;
      }
      expect(status).to.equal(null);
      let isDone = false;
      if (existsSync(`${copy.log}.rotation`)) {
        states.begun += 1;
        const { code, errors } = await RunningService.run(copy);
        expect([code, errors.includes('rotate-key'), errors]).to.deep.equal([78, true, errors]);
      } else if ((await verify(copy, '--key', copy.key)).status === 0) states.unchanged += 1;
      else isDone = true;
      if (!isDone) {
        const again = await rotate(copy, key);
        expect([again.status, again.stderr], `killed at ${at}`).to.deep.equal([0, '']);
      }
      const whole = await verify(copy, '--key', key, '--old-key', copy.key);
      expect(whole.status, `killed at ${at}: ${whole.stdout}`).to.equal(0);
      if (at % 5 === 0) await (await expectRotated(copy, key, before)).end('SIGKILL');
    }
    expect(states.begun).to.be.greaterThan(3);
    expect(states.unchanged).to.be.greaterThan(3);
  });
});
