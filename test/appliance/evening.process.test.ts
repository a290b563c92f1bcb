/** What comes before and after a day in the appliance: the predecessor's incidents, an upgrade, a crash, a backup. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { DAY } from '../../src/clock.ts';
import type { Incident } from '../../src/domain/incident.ts';
import { run } from '../cli/support/command-line.ts';
import { attesting } from '../support/attestor.ts';
import { ROOT } from '../support/programs.ts';
import { Recording } from '../support/recording.ts';
import { type Answer, RunningService, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Appliance, appliances, MODELS } from './support/appliance.ts';
import { attestationFailure, canaryRefuses, canaryViolation, gpuAnomaly, modelMismatch } from './support/reporters.ts';

/** A line of the predecessor's store, and of its audit log. */
const predecessors = (id: string, fields: object = {}): string =>
  `${JSON.stringify({
    id,
    created_at: '2026-03-01T12:00:00Z',
    class: 'integrity_violation',
    severity: 'critical',
    state: 'contained',
    source: 'canary-tripwire',
    description: 'Authenticated canary violation: missing',
    evidence: { path: '/var/lib/secure-ai/vault/.canary' },
    containment_actions: ['freeze_agent', 'disable_airlock', 'force_vault_relock'],
    containment_results: ['freeze_agent', 'disable_airlock', 'force_vault_relock'].map((action) => ({
      action,
      success: true,
      completed_at: '2026-03-01T12:00:02Z',
    })),
    hash: '0123456789abcdef'.repeat(4),
    ...fields,
  })}\n`;

const copyLog = (from: ServiceHome, to: ServiceHome): void => {
  for (const name of readdirSync(from.directory))
    if (name.startsWith('audit.') && !name.includes('.sqlite'))
      copyFileSync(join(from.directory, name), join(to.directory, name));
};

describe('around a day in the appliance', () => {
  const directory = temporaryDirectories();
  const prepare = appliances();

  /** Some incidents of every kind: contained, resolved, raised, and one that waits for its recovery. */
  const livedThrough = async (appliance: Appliance): Promise<void> => {
    await appliance.report(canaryViolation());
    await appliance.report(modelMismatch(MODELS[0]!));
    for (let n = 0; n < 3; n++) await appliance.report(gpuAnomaly(0.4 + n / 100));
    const { id } = (await appliance.report(attestationFailure())).json;
    // An outcome that changes makes void what was done before.
    await appliance.until(async () => (await appliance.incident(id)).containment?.status === 'confirmed');
    await appliance.post('recovery/ack', { incident_id: id }, 'ada');
    await appliance.post('recovery/reattest', { incident_id: id }, 'ada');
    expect((await appliance.post('incidents/resolve', { id }, 'ada')).status).to.equal(200);
    const settled = async (): Promise<boolean> => {
      const list = (await appliance.get('incidents?limit=1000')) as readonly { containment?: { status: string } }[];
      return list.every(({ containment }) => containment === undefined || containment.status !== 'delivering');
    };
    await appliance.until(settled);
  };

  /** The rest: an import, an attestor that refuses, a recovery that is waived, a drill, a heartbeat. */
  const wentOn = async (appliance: Appliance): Promise<void> => {
    const done = async (answer: Promise<Answer>): Promise<void> => {
      const { status, text } = await answer;
      expect(status, text).to.be.oneOf([200, 201]);
    };
    const store = appliance.write('incidents.jsonl', predecessors('INC-20260301-120000-0001').trimEnd());
    expect((await appliance.command('dan', 'import', store)).status).to.equal(0);
    appliance.attestor.behaviours = [attesting({ state: 'degraded' })];
    const { id } = (await appliance.report(attestationFailure())).json;
    await appliance.until(async () => (await appliance.incident(id)).containment?.status === 'confirmed');
    expect((await appliance.post('recovery/reattest', { incident_id: id }, 'ada')).status).to.equal(409);
    await done(appliance.post('recovery/waive', { incident_id: id, reason: 'the TPM was replaced' }, 'dan'));
    await done(appliance.post('incidents/resolve', { id, resolution: 'false_positive' }, 'ada'));
    await done(appliance.post('heartbeat', { source: 'runtime-attestor' }, 'runtime-attestor'));
    await done(appliance.post('drill', { class: 'integrity_violation' }, 'bob'));
    await appliance.until(async () =>
      (
        (await appliance.get('incidents?limit=1000')) as readonly { readonly drill?: true; readonly state: string }[]
      ).some(({ drill, state }) => drill === true && state === 'resolved'),
    );
  };

  it('begins with the incidents of the recorder before, whose log is left as it is', async () => {
    const appliance = await prepare(directory());
    const { home } = appliance;
    const ids = ['INC-20260301-120000-0001', 'INC-20260301-120000-0002', 'INC-20260301-120000-0003'];
    const store = appliance.write(
      'incidents.jsonl',
      [
        predecessors(ids[0]!),
        predecessors(ids[1]!, { state: 'containment_failed' }),
        predecessors(ids[2]!, { state: 'resolved', resolved_at: '2026-03-02T12:00:00Z' }),
      ]
        .join('')
        .trimEnd(),
    );
    writeFileSync(home.log, predecessors(ids[0]!));
    const { code, errors } = await RunningService.run(home, { env: { CONTAINMENT_POLICY_PATH: appliance.policy } });
    expect([code, errors]).to.deep.equal([78, errors]);
    expect(errors).to.include('incident-recorder import');
    renameSync(home.log, `${home.log}.before`);

    await appliance.boot();
    expect((await appliance.command('canary-tripwire', 'import', store)).status).to.equal(1);
    const imported = await appliance.command('dan', 'import', store);
    expect([imported.status, imported.stderr]).to.deep.equal([0, '']);
    expect(imported.stdout).to.include('imported 3 incidents');
    for (const [at, state] of ['contained', 'contained', 'resolved'].entries()) {
      const { state: found, created_at: created } = await appliance.incident(ids[at]!);
      expect([found, created]).to.deep.equal([state, '2026-03-01T12:00:00.000Z']);
    }
    expect(readFileSync(`${home.log}.before`, 'utf8')).to.equal(predecessors(ids[0]!));
    // Nobody here has seen it carried out, so nothing is sent by itself.
    expect([appliance.agent.taken, appliance.airlock.taken, appliance.vault.taken]).to.deep.equal([[], [], []]);
    const retry = { incident_id: ids[0]!, action: 'freeze_agent' };
    expect((await appliance.post('containment/retry', retry, 'bob')).status).to.equal(200);
    await appliance.until(async () => appliance.agent.carriedOut.length === 1);
    await appliance.service.end();
    await home.expectSound();
  });

  it('begins with a log of version 0.1.0, and everything in it is as it was', async () => {
    const fixture = join(ROOT, 'test/fixtures/log-0.1.0');
    const place = directory();
    cpSync(fixture, place, { recursive: true });
    chmodSync(join(place, 'audit-hmac-key'), 0o600);
    const appliance = await prepare(place);
    const env = { AUDIT_LOG_PATH: join(place, 'incident-recorder-audit.jsonl') };
    await appliance.boot({ env });
    const expected = JSON.parse(readFileSync(join(fixture, 'expected.json'), 'utf8')) as {
      readonly total: number;
      readonly incidents: readonly { readonly id: string; readonly state: string; readonly severity: string }[];
    };
    const list = (await appliance.get('incidents?limit=1000')) as typeof expected.incidents;
    expect(list).to.have.length(expected.total);
    const found = new Map(list.map((incident) => [incident.id, incident]));
    for (const { id, state, severity } of expected.incidents) expect(found.get(id)).to.include({ state, severity });
    const health = await appliance.health();
    expect([health.status, health.audit.findings]).to.deep.equal(['ok', []]);
    const answer = await appliance.report(canaryViolation());
    expect([answer.status, canaryRefuses(answer)]).to.deep.equal([201, undefined]);
    await appliance.service.end();
    const verified = await run(['verify', '--key', appliance.home.key, env.AUDIT_LOG_PATH]);
    expect([verified.status, verified.stderr]).to.deep.equal([0, '']);
  });

  it('is the same after SIGKILL in the middle of containment, which is then carried out', async () => {
    const appliance = await prepare(directory());
    appliance.drain = 60_000;
    await appliance.boot();
    const answer = appliance.report(canaryViolation()).catch((error: unknown) => error);
    const isAsked = async (): Promise<boolean> => appliance.airlock.carriedOut.length === 1;
    await appliance.until(isAsked);
    await appliance.service.end('SIGKILL');
    await answer;
    appliance.drain = 0;
    await appliance.boot();
    const [{ id }] = await appliance.get('incidents');
    await appliance.until(async () => (await appliance.incident(id)).containment?.status === 'confirmed');
    const { containment_results: results, state } = await appliance.incident(id);
    expect(canaryRefuses({ status: 201, json: await appliance.incident(id) } as never)).to.equal(undefined);
    expect([state, results.length]).to.deep.equal(['contained', 3]);
    expect(new Set(appliance.agent.taken.map(({ fields }) => fields.incident_id))).to.deep.equal(new Set([id]));
    await appliance.service.end();
    await appliance.home.expectSound();
  });

  it('is exported for the offline verifier, and by an auditor alone', async () => {
    const appliance = await prepare(directory());
    await appliance.boot();
    await livedThrough(appliance);
    const path = join(appliance.home.directory, 'bundle.json');
    for (const name of ['bob', 'ada', 'dan', 'canary-tripwire'] as const) {
      const refused = await appliance.command(name, 'forensic-export', '--to', path);
      expect([refused.status, refused.stderr], name).to.deep.equal([1, refused.stderr]);
      expect(refused.stderr).to.include('auditor');
    }
    const saved = await appliance.command('carol', 'forensic-export', '--to', path);
    expect([saved.status, saved.stderr]).to.deep.equal([0, '']);
    const verifier = join(ROOT, 'test/support/verify-forensic.py');
    const verify = (key: string): string =>
      execFileSync('python3', [verifier, path, key], { encoding: 'utf8', stdio: 'pipe' });
    expect(JSON.parse(verify(appliance.forensicKey))).to.have.property('incidents', 6);
    expect(() => verify(appliance.home.key)).to.throw('signature does not match');
    const states = (JSON.parse(readFileSync(path, 'utf8')) as { incidents: { state: string }[] }).incidents;
    expect(states.map(({ state }) => state === 'resolved')).to.deep.equal([false, false, false, false, false, true]);
  });

  it('is backed up while it runs, restored into another home, and everything is equal', async () => {
    const appliance = await prepare(directory());
    await appliance.boot();
    await livedThrough(appliance);
    await wentOn(appliance);
    const into = join(directory(), 'backup');
    const made = await run(['backup', into, '--log', appliance.home.log, '--key', appliance.home.key]);
    expect([made.status, made.stderr]).to.deep.equal([0, '']);
    const before = await appliance.everything();
    await appliance.service.end('SIGKILL');

    const other = new ServiceHome(directory());
    const restored = await run(['restore', into, '--log', other.log, '--key', other.key]);
    expect([restored.status, restored.stderr]).to.deep.equal([0, '']);
    const env = { ACCESS_PATH: appliance.home.access };
    await appliance.boot({ env }, other);
    await appliance.service.said('the audit log is verified');
    expect(await appliance.everything()).to.deep.equal(before);
    const health = await appliance.health();
    expect([health.status, health.audit.findings]).to.deep.equal(['ok', []]);
    // What is carried out is not asked for again.
    expect(appliance.airlock.taken.filter(({ status }) => status !== 200)).to.deep.equal([]);
    const answer = await appliance.report(canaryViolation('/another'));
    expect(canaryRefuses(answer)).to.equal(undefined);
    const evening = await appliance.everything();
    await appliance.service.end();
    await other.expectSound();
    // A database that is made again from the log alone.
    const rebuilt = new ServiceHome(directory());
    copyLog(other, rebuilt);
    await appliance.boot({ env }, rebuilt);
    await appliance.service.said('the audit log is verified');
    expect(await appliance.everything()).to.deep.equal(evening);
    await appliance.service.end();
    await rebuilt.expectSound();
  });

  it('goes on under another audit key with what is not resolved, also in the middle of a recovery', async () => {
    const appliance = await prepare(directory());
    const { home } = appliance;
    await appliance.boot();
    await livedThrough(appliance);
    const { id } = (await appliance.report(attestationFailure())).json;
    await appliance.until(async () => (await appliance.incident(id)).containment?.status === 'confirmed');
    await appliance.post('recovery/ack', { incident_id: id }, 'ada');
    const shown = async (): Promise<readonly unknown[]> => {
      const list = (await appliance.get('incidents?limit=1000')) as readonly (Incident & { hash: string })[];
      return list
        .filter(({ state }) => state !== 'resolved')
        .map(({ hash: _hash, version: _version, ...incident }) => incident);
    };
    const before = [await shown(), await appliance.get('containment'), await appliance.get('recovery/status')];
    await appliance.service.end();
    const newKey = appliance.write('new-audit-key', 'd7'.repeat(32));
    const rotated = await run(['rotate-key', '--old-key', home.key, '--new-key', newKey, '--by', 'dan', home.log]);
    expect([rotated.status, rotated.stderr]).to.deep.equal([0, '']);
    await appliance.boot({ env: { AUDIT_HMAC_KEY_PATH: newKey } });
    await appliance.service.said('the audit log is verified');
    expect([await shown(), await appliance.get('containment'), await appliance.get('recovery/status')]).to.deep.equal(
      before,
    );
    expect((await appliance.post('recovery/reattest', { incident_id: id }, 'ada')).status).to.equal(200);
    const resolved = await appliance.post('incidents/resolve', { id }, 'ada');
    expect([resolved.status, resolved.json.state], resolved.text).to.deep.equal([200, 'resolved']);
    await appliance.service.end();
    const verified = await run(['verify', '--key', newKey, '--old-key', home.key, home.log]);
    expect([verified.status, verified.stderr]).to.deep.equal([0, '']);
  });

  it('a guard that falls silent is seen, and heard again', async () => {
    const appliance = await prepare(directory());
    appliance.setPolicy(['every: 5m', 'every: 4s'], ['every: 10m', 'every: 1h']);
    await appliance.boot();
    const beat = (name: 'runtime-attestor' | 'integrity-monitor') =>
      appliance.post('heartbeat', { source: name }, name);
    expect((await beat('runtime-attestor')).json).to.include({ status: 'heard' });
    const foreign = await appliance.post('heartbeat', { source: 'runtime-attestor' }, 'canary-tripwire');
    expect(foreign.status).to.equal(403);
    const ends = new AbortController();
    const beating = (async () => {
      while (!ends.signal.aborted) {
        expect((await beat('runtime-attestor')).status).to.equal(200);
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    })();
    const statusOf = async (name: string): Promise<string> => {
      const { guards } = await appliance.health();
      return guards.find(({ source }: { readonly source: string }) => source === name).status;
    };
    await appliance.until(async () => (await statusOf('integrity-monitor')) === 'silent');
    expect(await statusOf('runtime-attestor')).to.equal('heard');
    expect((await appliance.health()).warnings.join()).to.include('integrity-monitor');
    await appliance.service.said('ALERT: severity=');
    expect((await beat('integrity-monitor')).status).to.equal(200);
    expect(await statusOf('integrity-monitor')).to.equal('heard');
    ends.abort();
    await beating;
    const events = readFileSync(appliance.home.log, 'utf8');
    expect(events).to.include('"event":"guard.silent"').and.include('"event":"guard.heard"');
  });

  it('a drill asks who takes part, and nothing else moves', async () => {
    const appliance = await prepare(directory());
    appliance.setPolicy(['    timeout: 40s\n', '    timeout: 40s\n    drill: true\n']);
    await appliance.boot();
    const before = (await appliance.get('stats')).total_incidents;
    expect((await appliance.command('canary-tripwire', 'drill', 'integrity_violation')).status).to.equal(1);
    const drilled = await appliance.command('bob', 'drill', 'integrity_violation');
    expect(drilled.stdout, drilled.stderr).to.match(/^freeze_agent +engage +answered +\d+ ms$/m);
    expect(drilled.stdout).to.match(/^disable_airlock +engage +not asked/m);
    expect(appliance.agent.taken.map(({ status, drill, fields }) => [status, drill, fields.reason])).to.deep.equal([
      [200, true, appliance.agent.taken[0]!.fields.reason],
    ]);
    expect(appliance.agent.taken[0]!.fields.reason).to.match(/^DRILL: /);
    expect([appliance.airlock.taken, appliance.vault.taken]).to.deep.equal([[], []]);
    expect((await appliance.get('stats')).total_incidents).to.equal(before);
    expect((await appliance.get('containment/freeze_agent')).engaged).to.equal(false);
    expect((await appliance.get('recovery/status')).count).to.equal(0);
  });

  it('what is old is archived by itself, and what is not resolved is carried over', async () => {
    const place = directory();
    const recording = await Recording.open(place, { segmentBytes: 10_000 });
    recording.clock.milliseconds = Date.now() - 100 * DAY;
    const ids: string[] = [];
    for (let n = 0; n < 15; n++) {
      const { id } = (
        await recording.recorder.report({
          class: 'forbidden_airlock_request',
          source: 'airlock',
          description: 'old'.repeat(500),
        })
      ).incident;
      if (n > 0) await recording.recorder.perform('resolve', { id });
      ids.push(id);
    }
    await recording.close();
    const appliance = await prepare(place);
    appliance.setPolicy(['version: 1\n', 'version: 1\narchive_after: 90d\n']);
    const key = join(place, 'audit-key');
    await appliance.boot({ env: { AUDIT_HMAC_KEY_PATH: key, AUDIT_SEGMENT_BYTES: '10000' } });
    await appliance.service.said('archived old segments of the audit log');
    expect((await appliance.incident(ids[0]!)).state).to.equal('open');
    const [carried] = await appliance.get(`incidents/history?id=${ids[0]!}`);
    expect([carried.event, carried.data.earlier.note]).to.deep.equal([
      'incident.carried',
      'earlier entries are in the archive: audit.000000000001.jsonl',
    ]);
    expect((await appliance.service.get(`/api/v1/incidents/get?id=${ids[1]!}`)).status).to.equal(410);
    const resolved = await appliance.post('incidents/resolve', { id: ids[0]! }, 'bob');
    expect(resolved.json.state, resolved.text).to.equal('resolved');
    await appliance.service.end();
    const verified = await run(['verify', '--key', key, appliance.home.log]);
    expect([verified.status, verified.stderr]).to.deep.equal([0, '']);
  });

  it('is found in the journal by the words that the scripts look for', async () => {
    const appliance = await prepare(directory());
    await appliance.boot();
    await livedThrough(appliance);
    await appliance.service.end();
    const messages = appliance.service.output.map((line) => (JSON.parse(line) as { msg: string }).msg);
    for (const words of [/^containment: /, /^ALERT: /, /^recovery: /, /^escalation: |^ALERT: .*escalat/i]) {
      expect(
        messages.some((message) => words.test(message)),
        String(words),
      ).to.equal(true);
    }
    const about = messages.filter((message) => /^(?:containment|recovery|ALERT): .*INC-/.test(message));
    expect(
      about.every((message) => /class=[a-z_]+/.test(message)),
      about.join('\n'),
    ).to.equal(true);
    // Neither evidence nor descriptions are in it.
    expect(appliance.service.output.join('\n')).to.not.match(/vault\/\.canary|composite score/);
  });
});
