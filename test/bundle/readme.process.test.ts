import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { needsPrograms } from '../cli/support/needs-programs.ts';
import { LocalService } from '../support/local-service.ts';
import { ROOT, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('the commands for a stranger in the README of bundles', () => {
  needsPrograms('openssl', 'jq');
  const directory = temporaryDirectories();

  it('verify the signature, and a field', async () => {
    const home = new ServiceHome(directory());
    const folder = directory();
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const key = join(folder, 'key');
    writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    writeFileSync(join(folder, 'recorder.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
    const service = await LocalService.start(home, { env: { EXPORT_KEY_PATH: key } });
    const { json } = await service.report({ description: 'ünïcode \u2028 and \u007f' });
    const { text } = await service.send('GET', `/api/v1/incidents/bundle?id=${json.id}`);
    await service.stop();
    writeFileSync(join(folder, 'bundle.json'), text);
    const readme = readFileSync(join(ROOT, 'src/bundle/README.md'), 'utf8');
    const blocks = [...readme.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, commands]) => commands!);
    const run = (including: string): string =>
      execFileSync('sh', ['-e'], {
        cwd: folder,
        encoding: 'utf8',
        input: blocks.find((commands) => commands.includes(including))!,
      });
    expect(run('openssl pkeyutl -verify')).to.include('Signature Verified Successfully');
    const [computed, said] = run('jq -r .fields.page').trim().split('\n');
    expect(computed!.split(' ')[0]).to.equal(said);
    expect(readFileSync(join(folder, 'page.html'), 'utf8')).to.include('<!doctype html>');
  });
});
