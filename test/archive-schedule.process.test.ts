import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { DAY } from '../src/clock.ts';
import { run } from './cli/support/command-line.ts';
import { eventually } from './support/eventually.ts';
import { Recording } from './support/recording.ts';
import { runningServices, ServiceHome } from './support/running-service.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

const REPORT = { class: 'forbidden_airlock_request', source: 'airlock', description: 'old'.repeat(500) } as const;

describe('a policy with archive_after', () => {
  const directory = temporaryDirectories();
  const start = runningServices();

  /** A log with old incidents in sealed segments, of which the first `unresolved` are not resolved. */
  const recorded = async (unresolved: number) => {
    const home = new ServiceHome(directory());
    const recording = await Recording.open(home.directory, { segmentBytes: 10_000 });
    recording.clock.milliseconds = Date.now() - 10 * DAY;
    const ids: string[] = [];
    for (let n = 0; n < unresolved + 12; n++) {
      const { id } = (await recording.recorder.report(REPORT)).incident;
      if (n >= unresolved) await recording.recorder.perform('resolve', { id });
      ids.push(id);
    }
    await recording.close();
    const policy = join(home.directory, 'policy-with-archive.yaml');
    writeFileSync(policy, 'version: 1\narchive_after: 2d\n', { mode: 0o600 });
    const env = {
      AUDIT_HMAC_KEY_PATH: join(home.directory, 'audit-key'),
      CONTAINMENT_POLICY_PATH: policy,
      AUDIT_SEGMENT_BYTES: '10000',
    };
    return { home, ids, env };
  };
  const isArchived = (home: ServiceHome): boolean =>
    existsSync(join(home.directory, 'archive')) && readdirSync(join(home.directory, 'archive')).length > 0;

  it('archives by itself after a start; what is unresolved is shown with where the rest is', async () => {
    const { home, ids, env } = await recorded(1);
    const service = await start(home, { env });
    await service.said('archived old segments of the audit log');
    const id = ids[0]!;
    const { status, json } = await service.get(`/api/v1/incidents/get?id=${id}`);
    expect([status, json.state, json.version]).to.deep.equal([200, 'open', 2]);
    const history = (await service.get(`/api/v1/incidents/history?id=${id}`)).json as unknown as {
      event: string;
      data: { earlier: { note: string } };
    }[];
    const note = 'earlier entries are in the archive: audit.000000000001.jsonl';
    expect(history.map(({ event, data }) => [event, data.earlier.note])).to.deep.equal([['incident.carried', note]]);
    const url = `http://127.0.0.1:${service.port}`;
    const shown = await run(['show', id, '--url', url, '--token-file', home.token]);
    expect(shown.stdout).to.include(note);
    expect((await service.get(`/api/v1/incidents/statechart?id=${id}`)).status).to.equal(200);
    expect((await service.post('/api/v1/incidents/resolve', { id })).json).to.include({ state: 'resolved' });
    await service.end();
    const verified = await run(['verify', '--key', env.AUDIT_HMAC_KEY_PATH, home.log]);
    expect([verified.status, verified.stderr]).to.deep.equal([0, '']);
  });

  it('killed while it carries over and moves, comes to the same in the end', async () => {
    const { home, ids, env } = await recorded(30);
    let kills = 0;
    for (let carried = 0; !isArchived(home) && kills < 20; kills++) {
      const service = await start(home, { env });
      const count = (): number => readFileSync(home.log, 'utf8').split('"event":"incident.carried"').length - 1;
      const known = carried;
      await eventually(() => {
        carried = count();
        return carried > known || isArchived(home);
      });
      await service.end('SIGKILL');
      if (kills % 2 === 1) {
        for (const name of readdirSync(home.directory))
          if (name.includes('.sqlite')) rmSync(join(home.directory, name));
      }
    }
    expect(kills).to.be.greaterThan(0);
    const service = await start(home, { env });
    await service.said('the audit log is verified');
    await eventually(() => readdirSync(join(home.directory, 'archive')).length >= 5);
    for (const id of ids.slice(0, 30)) {
      expect((await service.get(`/api/v1/incidents/get?id=${id}`)).json).to.include({
        id,
        state: 'open',
        occurrences: 1,
      });
    }
    const { json } = await service.get('/api/v1/stats');
    expect(json).to.include({ open_incidents: 30 });
    const health = (await service.get('/health')).json as unknown as { audit: { findings: unknown[] } };
    expect(health.audit.findings).to.deep.equal([]);
    await service.end();
    const verified = await run(['verify', '--key', env.AUDIT_HMAC_KEY_PATH, home.log]);
    expect([verified.status, verified.stderr]).to.deep.equal([0, '']);
  });

  it('says in /health that nothing can be moved, and what', async () => {
    const { home, env } = await recorded(0);
    writeFileSync(join(home.directory, 'archive'), 'not a directory');
    const service = await start(home, { env });
    const warnings = async (): Promise<readonly string[]> =>
      ((await service.get('/health')).json as unknown as { warnings: string[] }).warnings;
    const expected = "can't be archived as the policy says: nothing can be moved to";
    while (!(await warnings()).some((one) => one.includes(expected))) await new Promise(setImmediate);
  });
});
