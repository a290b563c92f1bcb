import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { expect } from 'chai';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { readKey } from '../../src/audit/key.ts';
import { HARDENED_NODE } from '../../src/build/hardened-node.ts';
import type { Incident } from '../../src/domain/incident.ts';
import { readForensicKey } from '../../src/forensic/forensic-key.ts';
import { verifyForensic } from '../../src/forensic/verify-forensic.ts';
import { generateLog } from '../bench/generate-log.ts';
import { run } from '../cli/support/command-line.ts';
import { needsPrograms } from '../cli/support/needs-programs.ts';
import { mostOwned, MOST_MEBIBYTES } from '../faults/support/memory.ts';
import { ROOT, RunningService, runningServices, ServiceHome, TOKEN } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const FIELDS = [
  'exported_at',
  'incidents',
  'audit_entries',
  'system_state',
  'policy_digest',
  'canonical_payload',
  'bundle_hash',
  'signature',
];
const PATH = '/api/v1/forensic/export';
const KEY = 'a forensic key, which is another than the audit key';

interface Bundle {
  readonly incidents: readonly Incident[];
  readonly audit_entries: readonly string[];
  readonly system_state: Readonly<Record<string, string>>;
  readonly policy_digest: string;
}

describe('the forensic export', function () {
  this.timeout(180_000);
  needsPrograms('python3');
  const directory = temporaryDirectories();
  const start = runningServices();

  const withKey = (home: ServiceHome, key = `  ${KEY}\n\n`): string => {
    const path = join(home.directory, 'forensic-key');
    writeFileSync(path, key, { mode: 0o600 });
    return path;
  };

  const ask = async (service: RunningService): Promise<IncomingMessage> => {
    const sent = request({
      port: service.port,
      path: PATH,
      headers: { authorization: `Bearer ${TOKEN}` },
      agent: false,
    }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    expect(response.statusCode).to.equal(200);
    return response;
  };

  /** Exports to a file, which is verified offline. */
  const verified = async (service: RunningService, key: string): Promise<Bundle> => {
    const path = join(directory(), 'bundle.json');
    const response = await ask(service);
    await pipeline(response, createWriteStream(path));
    expect(statSync(path).size).to.equal(Number(response.headers['content-length']));
    const verifier = join(ROOT, 'test/support/verify-forensic.py');
    const shown = JSON.parse(execFileSync('python3', [verifier, path, key], { encoding: 'utf8' })) as object;
    const bytes = readFileSync(path);
    const forensicKey = readForensicKey(key, { auditKey: undefined, isToken: () => false });
    expect(verifyForensic(bytes, { key: forensicKey }).proved_by).to.deep.equal(['forensic key']);
    expect(verifyForensic(bytes, { key: Buffer.alloc(32) })).to.deep.include({ valid: false, proved_by: [] });
    const bundle = JSON.parse(bytes.toString('utf8')) as Bundle;
    expect(Object.keys(bundle)).to.deep.equal(FIELDS);
    expect(shown).to.deep.equal({
      incidents: bundle.incidents.length,
      audit_entries: bundle.audit_entries.length,
    });
    return bundle;
  };

  const linesOf = ({ log }: ServiceHome): readonly string[] => readFileSync(log, 'utf8').split('\n').slice(0, -1);

  const numberOf = (line: string): number => (JSON.parse(line) as { data: { seq: number } }).data.seq;

  it('says which variable is missing, and takes no other key', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    const refused = await service.send('GET', PATH);
    expect(refused.status).to.equal(503);
    expect(refused.json.error).to.include('FORENSIC_HMAC_KEY_PATH is not set');
    expect((await service.get(PATH)).status).to.equal(403);
    const wrong: readonly (readonly [string, string])[] = [
      [home.key, 'AUDIT_HMAC_KEY_PATH'],
      [withKey(home, readFileSync(home.key, 'utf8').trim()), 'AUDIT_HMAC_KEY_PATH'],
      [withKey(new ServiceHome(directory()), 'short'), 'at least 32'],
      [join(home.directory, 'nowhere'), 'is not there'],
    ];
    await service.end();
    for (const [path, reason] of wrong) {
      const { code, errors } = await RunningService.run(home, { env: { FORENSIC_HMAC_KEY_PATH: path } });
      expect([code, errors]).to.deep.equal([78, errors]);
      expect(errors).to.include('FORENSIC_HMAC_KEY_PATH').and.to.include(reason);
    }
  });

  it('is what an offline verifier takes, of nothing and of all kinds of text', async () => {
    const home = new ServiceHome(directory());
    const key = withKey(home);
    const service = await start(home, { env: { FORENSIC_HMAC_KEY_PATH: key } });
    const empty = await verified(service, key);
    expect(empty.incidents).to.deep.equal([]);
    expect(empty.audit_entries).to.deep.equal(linesOf(home));
    expect(empty.system_state.omitted).to.equal('0');
    const odd = {
      text: 'é\u0085\u2028"\\\n\t\u0000 {"a": 1}, 😀',
      numbers: [1e-7, -0, 9e15, 1.5, 1e300],
      deep: [[[{}]]],
    };
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) {
      const { json } = await service.report({ class: 'forbidden_airlock_request', evidence: odd });
      ids.push(json.id);
    }
    await service.post('/api/v1/incidents/resolve', { id: ids[3] });
    const bundle = await verified(service, key);
    expect(bundle.incidents.map(({ id }) => id)).to.deep.equal([4, 2, 1, 0, 3].map((at) => ids[at]));
    const shown = (await service.get(`/api/v1/incidents/get?id=${ids[2]}`)).json;
    expect(bundle.incidents[1]).to.deep.equal(shown);
    expect(bundle.audit_entries).to.deep.equal(linesOf(home));
    expect(bundle.policy_digest).to.equal((await service.get('/health')).json.policy.digest);
    expect(bundle.system_state).to.include({ total_incidents: '5', omitted: '0', audit_entries_omitted: '0' });
  });

  it('is on record, with who asked for it, before anything is sent', async () => {
    const home = new ServiceHome(directory());
    const token = 'the-token-of-grace-who-audits';
    const hash = createHash('sha256').update(token).digest('hex');
    writeFileSync(home.access, `version: 1\nprincipals:\n  grace: { roles: [auditor], token_sha256: ${hash} }\n`, {
      mode: 0o600,
    });
    const service = await start(home, { env: { FORENSIC_HMAC_KEY_PATH: withKey(home), ACCESS_PATH: home.access } });
    const before = linesOf(home).length;
    const { status, json } = await service.send('GET', PATH, { token });
    expect(status).to.equal(200);
    const lines = linesOf(home);
    expect(lines).to.have.length(before + 1);
    const { event, data } = JSON.parse(lines.at(-1)!) as { event: string; data: object };
    expect(event).to.equal('forensic.export_requested');
    expect(data).to.deep.equal({ seq: before + 1, principal: 'grace', role: 'auditor', by: 'grace' });
    expect((json as Bundle).audit_entries, 'an export holds its own entry').to.deep.equal(lines);
    await service.said(`"bundle_hash":"${(json as { bundle_hash: string }).bundle_hash}"`);
    await service.end();
    const { stdout } = await run(['verify', '--key', home.key, home.log]);
    expect(stdout).to.include('valid');
  });

  it('is given also when the log takes nothing', async () => {
    const home = new ServiceHome(directory());
    const key = withKey(home);
    const first = await start(home, { env: { FORENSIC_HMAC_KEY_PATH: key } });
    await first.report({});
    await first.end();
    writeFileSync(home.log, readFileSync(home.log, 'utf8').replace('service.stopped', 'service.stapped'));
    const service = await start(home, { env: { FORENSIC_HMAC_KEY_PATH: key } });
    const lines = linesOf(home);
    const bundle = await verified(service, key);
    expect(bundle.system_state.status).to.equal('degraded');
    expect(linesOf(home)).to.deep.equal(lines);
  });

  it('is saved by the command line, readable by its user alone, whole or not at all', async () => {
    const home = new ServiceHome(directory());
    const key = withKey(home);
    const service = await start(home, { env: { FORENSIC_HMAC_KEY_PATH: key } });
    await service.report();
    const folder = directory();
    const to = join(folder, 'bundle.json');
    const args = [
      'forensic-export',
      '--to',
      to,
      '--url',
      `http://127.0.0.1:${service.port}`,
      '--token-file',
      home.token,
    ];
    const { status, stdout } = await run([...args, '--json']);
    const content = readFileSync(to);
    const sha256 = createHash('sha256').update(content).digest('hex');
    expect([status, JSON.parse(stdout)]).to.deep.equal([0, { file: to, bytes: content.length, sha256 }]);
    expect(statSync(to).mode & 0o777).to.equal(0o600);
    execFileSync('python3', [join(ROOT, 'test/support/verify-forensic.py'), to, key]);
    const again = await run(args);
    expect([again.status, again.stderr]).to.deep.equal([2, again.stderr]);
    expect(again.stderr).to.include('overwrites nothing');
    rmSync(key);
    rmSync(to);
    const refused = await run(args);
    expect(refused.status).to.equal(1);
    expect(refused.stderr).to.include('FORENSIC_HMAC_KEY_PATH');
    expect(readdirSync(folder)).to.deep.equal([]);
  });

  it('has the last 1,000 lines, also those of sealed files', async () => {
    const home = new ServiceHome(directory());
    const key = withKey(home);
    const log = await generateLog({
      incidents: 1500,
      path: home.log,
      hash: chainHash(readKey(home.key)),
      segmentBytes: 300_000,
    });
    const service = await start(home, { env: { FORENSIC_HMAC_KEY_PATH: key } });
    const { audit_entries, incidents } = await verified(service, key);
    expect(incidents.length).to.equal(1500);
    expect(audit_entries.length).to.equal(1000);
    expect(numberOf(audit_entries[999]!)).to.be.at.least(log.entries + 1);
    expect(audit_entries.map(numberOf)).to.deep.equal(
      Array.from({ length: 1000 }, (_, at) => numberOf(audit_entries[0]!) + at),
    );
  });

  it('shows one moment while everything changes', async () => {
    const home = new ServiceHome(directory());
    const key = withKey(home);
    await generateLog({
      incidents: 2000,
      path: home.log,
      hash: chainHash(readKey(home.key)),
      evidence: { least: 4000, most: 8000 },
    });
    const service = await start(home, { env: { FORENSIC_HMAC_KEY_PATH: key } });
    const first = await verified(service, key);
    const open = first.incidents.filter(({ state }) => state !== 'resolved').map(({ id }) => id);
    const ends = new AbortController();
    const change = async (): Promise<void> => {
      while (!ends.signal.aborted) {
        const id = open.pop() ?? '';
        await Promise.all([
          service.report(),
          service.post('/api/v1/incidents/resolve', { id }),
          service.post('/api/v1/incidents/acknowledge', { id: open.at(-3) }),
        ]);
      }
    };
    const changing = change();
    const bundles = [await verified(service, key), await verified(service, key)];
    ends.abort();
    await changing;
    for (const { incidents, audit_entries, system_state } of bundles) {
      expect(incidents.length).to.equal(Number(system_state.total_incidents));
      const latest = new Map<string, string>();
      for (const line of audit_entries) {
        const { data, entry_hash } = JSON.parse(line) as { data: { incident?: string }; entry_hash: string };
        if (data.incident !== undefined) latest.set(data.incident, entry_hash);
      }
      const hashes = new Map(incidents.map(({ id, hash }) => [id, hash]));
      for (const [id, hash] of latest) expect(hashes.get(id), id).to.equal(hash);
      expect(incidents.filter(({ state }) => state !== 'resolved').length).to.be.below(incidents.length);
      expect(new Set(hashes.keys()).size).to.equal(incidents.length);
    }
  });

  for (const [what, incidents, excerpt, lines] of [
    ['many incidents', 12_000, 0, 1000],
    ['long reports', 200, 240_000, 50],
  ] as const) {
    it(`leaves out what does not fit into 64 MiB, and takes little memory: ${what}`, async () => {
      const home = new ServiceHome(directory());
      const key = withKey(home);
      if (excerpt === 0) {
        const evidence = { least: 3000, most: 9000 };
        await generateLog({ incidents, path: home.log, hash: chainHash(readKey(home.key)), evidence });
      }
      const service = await start(home, {
        env: { ...HARDENED_NODE.env, FORENSIC_HMAC_KEY_PATH: key },
        command: [...HARDENED_NODE.flags, join(ROOT, 'dist/service.cjs')],
      });
      for (let n = excerpt === 0 ? incidents : 0; n < incidents; n++) {
        await service.report({ class: 'forbidden_airlock_request', evidence: { excerpt: 'é'.repeat(excerpt / 2) } });
      }
      const before = mostOwned(service);
      const began = performance.now();
      const bundle = await verified(service, key);
      const took = performance.now() - began;
      const after = mostOwned(service);
      console.log(`      ${Math.round(before)} MiB before, ${Math.round(after)} MiB after, ${Math.round(took)} ms`);
      expect(after).to.be.below(MOST_MEBIBYTES);
      const omitted = Number(bundle.system_state.omitted);
      expect(bundle.incidents.length + omitted).to.equal(incidents);
      expect(omitted).to.be.greaterThan(0);
      expect(bundle.audit_entries.length).to.be.at.least(lines);
      expect(numberOf(bundle.audit_entries.at(-1)!)).to.equal(Number(bundle.system_state.log_entries));
      const size = Buffer.byteLength(JSON.stringify(bundle));
      expect(size).to.be.within(50 * 1024 * 1024, 64 * 1024 * 1024);
      const states = bundle.incidents.map(({ state }) => state);
      const firstResolved = states.indexOf('resolved');
      if (firstResolved !== -1) expect(new Set(states.slice(firstResolved))).to.deep.equal(new Set(['resolved']));
      // One that reads nothing, and one that leaves, keep neither a place nor a file.
      const [stalled, leaving] = [await ask(service), await ask(service)];
      expect((await service.send('GET', PATH)).status).to.equal(503);
      leaving.destroy();
      stalled.destroy();
      // Both places are free again as soon as the service has seen that they left.
      let freed = await service.send('GET', PATH);
      for (let n = 0; n < 100 && freed.status !== 200; n++) freed = await service.send('GET', PATH);
      expect(freed.status).to.equal(200);
      expect(readdirSync(home.directory).filter((name) => name.includes('export'))).to.deep.equal([]);
      const files = readdirSync(`/proc/${service.process.pid}/fd`).length;
      expect(files).to.be.below(40);
      expect(mostOwned(service)).to.be.below(MOST_MEBIBYTES);
    });
  }
});
