import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { HARDENED_NODE } from '../src/build/hardened-node.ts';
import { eventually } from './support/eventually.ts';
import { ROOT, runningServices, ServiceHome } from './support/running-service.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

/** Modules of Node that no report needs. Without JIT each is compiled at every start. */
const NOT_NEEDED = [
  'child_process',
  'cluster',
  'dgram',
  'dns',
  'fs/promises',
  'http2',
  'https',
  'inspector',
  'internal/blocklist',
  'internal/crypto/webcrypto',
  'internal/readline/interface',
  'perf_hooks',
  'readline',
  'tls',
  'tty',
  'worker_threads',
  'zlib',
];

describe('the modules of Node that the bundled service loads', () => {
  const directory = temporaryDirectories();
  const start = runningServices();

  it('are none that a first report does not need', async () => {
    const home = new ServiceHome(directory());
    const hook = join(home.directory, 'hook.cjs');
    const list = join(home.directory, 'modules.json');
    writeFileSync(
      hook,
      `process.on('SIGUSR2', () =>
        require('node:fs').writeFileSync(${JSON.stringify(list)}, JSON.stringify(process.moduleLoadList)));`,
    );
    const service = await start(home, {
      env: HARDENED_NODE.env,
      command: [...HARDENED_NODE.flags, '--require', hook, join(ROOT, 'dist/service.cjs')],
    });
    expect((await service.report()).status).to.equal(201);
    service.process.kill('SIGUSR2');
    await eventually(() => existsSync(list) && readFileSync(list, 'utf8').endsWith(']'));
    const loaded = JSON.parse(readFileSync(list, 'utf8')) as readonly string[];
    expect(loaded).to.include('NativeModule http');
    expect(NOT_NEEDED.filter((name) => loaded.includes(`NativeModule ${name}`))).to.deep.equal([]);
  });
});
