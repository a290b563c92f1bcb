import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { run } from '../cli/support/command-line.ts';
import { runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('export, verify-bundle and redact-bundle', () => {
  const directory = temporaryDirectories();
  const start = runningServices();

  it('save incidents for a stranger, who checks them without the recorder', async () => {
    const home = new ServiceHome(directory());
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const files = { key: join(home.directory, 'export-key'), pub: join(home.directory, 'pub') };
    writeFileSync(files.key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    writeFileSync(files.pub, publicKey.export({ type: 'spki', format: 'pem' }));
    const service = await start(home, { env: { EXPORT_KEY_PATH: files.key } });
    const { json } = await service.report({ class: 'attestation_failure', evidence: { ip: '203.0.113.7' } });
    const env = { INCIDENT_RECORDER_URL: `http://127.0.0.1:${service.port}`, SERVICE_TOKEN_PATH: home.token };
    const to = join(home.directory, 'bundle.json');

    const saved = await run(['export', json.id, '--to', to], { env });
    expect(saved.status, saved.stderr).to.equal(0);
    expect(saved.stdout).to.include('proved by audit-key and signature');
    expect(statSync(to).mode & 0o777).to.equal(0o600);
    expect((await run(['export', json.id, '--to', to], { env })).status).to.equal(2);
    await service.end();

    for (const rest of [[], ['--key', home.key], ['--public-key', files.pub]]) {
      const { status, stdout } = await run(['verify-bundle', ...rest, to]);
      expect(status, stdout).to.equal(0);
    }
    const less = join(home.directory, 'less.json');
    const left = await run(['redact-bundle', to, '--leave-out', `incident/${json.id}/evidence/*`, '--to', less]);
    expect(left.status, left.stderr).to.equal(0);
    expect(readFileSync(less, 'utf8')).to.not.include('203.0.113.7');
    const { status, stdout } = await run(['verify-bundle', '--json', '--key', home.key, less]);
    expect(status).to.equal(0);
    expect((JSON.parse(stdout) as { left_out: unknown }).left_out).to.include('page');
    expect((await run(['redact-bundle', to, '--leave-out', 'nothing', '--to', `${less}2`])).status).to.equal(2);

    writeFileSync(to, readFileSync(to, 'utf8').replace('203.0.113.7', '203.0.113.8'));
    const changed = await run(['verify-bundle', '--key', home.key, to]);
    expect(changed.status).to.equal(1);
    expect(changed.stdout).to.include('was changed');
  });
});
