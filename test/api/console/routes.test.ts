import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { ConsoleFiles } from '../../../src/api/console/console-files.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';
import { ask, serve, stopServing } from '../support/client.ts';
import { standIn } from '../support/dependencies.ts';

describe('the console’s files', () => {
  const directory = temporaryDirectories();
  afterEach(stopServing);

  const built = (): ConsoleFiles => {
    const home = join(directory(), 'console');
    mkdirSync(home);
    writeFileSync(join(home, 'index.html'), '<!doctype html>');
    writeFileSync(join(home, 'main-1a2b.js'), 'start()');
    writeFileSync(join(home, 'main-1a2b.js.gz'), gzipSync('start()'));
    writeFileSync(join(home, '..', 'secret.js'), 'secret');
    return new ConsoleFiles(home);
  };

  it('are a page that clients revalidate each time', async () => {
    const server = await serve(standIn({ console: built() }));
    const { status, text, headers } = await ask(server, '/');
    expect([status, text]).to.deep.equal([200, '<!doctype html>']);
    expect(headers).to.include({ 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-cache' });
    const again = await ask(server, '/', { headers: { 'If-None-Match': headers.etag } });
    expect([again.status, again.text]).to.deep.equal([304, '']);
  });

  it('are others that never change, compressed for clients that accept it', async () => {
    const server = await serve(standIn({ console: built() }));
    const plain = await ask(server, '/console/main-1a2b.js');
    expect([plain.status, plain.text]).to.deep.equal([200, 'start()']);
    expect(plain.headers).to.include({
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': 'public, max-age=31536000, immutable',
      vary: 'Accept-Encoding',
    });
    expect(plain.headers).to.not.have.property('content-encoding');
    const { headers } = await ask(server, '/console/main-1a2b.js', {
      method: 'HEAD',
      headers: { 'Accept-Encoding': 'br, gzip;q=0.5' },
    });
    expect(headers).to.include({ 'content-encoding': 'gzip', 'content-length': String(gzipSync('start()').length) });
    expect(gunzipSync((await built().get('main-1a2b.js'))!.codings.get('gzip')!).toString()).to.equal('start()');
  });

  it('are the ones in their directory, and no other', async () => {
    const server = await serve(standIn({ console: built() }));
    const names = [
      '..%2Fsecret.js',
      '%2e%2e/secret.js',
      'index.html/',
      'main-1a2b.js.gz',
      'nothing.js',
      '__proto__',
      '',
    ];
    for (const name of names) expect((await ask(server, `/console/${name}`)).status, name).to.equal(404);
  });

  it('let the page do nothing but what it has to', async () => {
    const server = await serve(standIn({ console: built() }));
    for (const path of ['/', '/console/main-1a2b.js']) {
      const { headers } = await ask(server, path);
      const policy = String(headers['content-security-policy']);
      expect(policy)
        .to.contain("default-src 'none'")
        .and.contain("frame-ancestors 'none'")
        .and.contain("script-src 'self'");
      expect(policy).to.not.match(/unsafe|\*|data:|https?:/);
      expect(headers).to.include({
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
        'x-content-type-options': 'nosniff',
      });
    }
    expect((await ask(server, '/health')).headers).to.not.have.property('content-security-policy');
  });

  it('say so when they were not built', async () => {
    const server = await serve(standIn({ console: new ConsoleFiles(join(directory(), 'nowhere')) }));
    const { status, body } = await ask(server, '/');
    expect([status, body.error]).to.deep.equal([404, 'no console here: it was not built']);
  });
});
