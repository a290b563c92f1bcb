import { isAscii } from 'node:buffer';
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect } from 'chai';
import { ServiceScript } from '../../src/build/service-script.ts';
import { ROOT, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('the service as a script', () => {
  const newDirectory = temporaryDirectories();
  const start = runningServices();
  let directory: string;
  const bundle = (): string => join(directory, 'bundle.cjs');
  const cache = (): string => `${bundle()}.cache`;
  const result = (): string => join(directory, 'result');

  /** V8 remembers in one process what it has compiled, so every source is different. */
  let sources = 0;
  const writeBundle = (): void => {
    sources += 1;
    const write = `require('node:fs').writeFileSync(__dirname + '/result', __filename + ' ${sources}')`;
    writeFileSync(bundle(), `function later() { ${write} }\nlater();\n`);
  };

  const run = (): ServiceScript => {
    rmSync(result(), { force: true });
    const script = new ServiceScript(bundle(), cache());
    script.run(createRequire(bundle()));
    expect(readFileSync(result(), 'utf8')).to.equal(`${bundle()} ${sources}`);
    return script;
  };

  beforeEach(() => {
    directory = newDirectory();
    writeBundle();
    run().writeCache(cache());
  });

  it('is compiled from its source when there is no cached data', () => {
    rmSync(cache());
    expect(run().passedOver).to.match(/^ENOENT/);
  });

  it('uses cached data that was made from its source', () => {
    expect(run().passedOver).to.equal(undefined);
  });

  it('passes over cached data of another source, even of the same length', () => {
    const before = readFileSync(bundle()).length;
    writeBundle();
    expect(readFileSync(bundle())).to.have.length(before);
    expect(run().passedOver).to.equal('it belongs to another build');
  });

  it('passes over cached data that is damaged, cut short, longer or empty', () => {
    const intact = readFileSync(cache());
    const damaged = Buffer.from(intact);
    damaged[damaged.length >> 1]! ^= 1;
    for (const bytes of [damaged, intact.subarray(0, -1), Buffer.concat([intact, intact]), Buffer.alloc(0)]) {
      writeFileSync(cache(), bytes);
      expect(run().passedOver).to.equal('it belongs to another build');
    }
  });

  it('takes texts with letters of all scripts', () => {
    writeFileSync(bundle(), `require('node:fs').writeFileSync(__dirname + '/result', 'naïve ԛ 😀');`);
    new ServiceScript(bundle(), cache()).run(createRequire(bundle()));
    expect(readFileSync(result(), 'utf8')).to.equal('naïve ԛ 😀');
  });

  it('is spelt in ASCII by the build, so that V8 keeps a byte for a letter', () => {
    expect(isAscii(readFileSync(join(ROOT, 'dist/bundle.cjs')))).to.equal(true);
  });

  it('passes over cached data of other flags, and says so with NODE_DEBUG', async () => {
    const command = [join(ROOT, 'dist/service.cjs')];
    const service = await start(new ServiceHome(directory), { command, env: { NODE_DEBUG: 'incident-recorder' } });
    expect(service.errors).to.match(/passed over: it was made with another Node or other flags/);
    expect((await service.get('/health')).status).to.equal(200);
  });

  it('lets Node map a stack trace to the sources', async () => {
    const policy = join(directory, 'policy.yaml');
    copyFileSync(join(ROOT, 'policy/incident-containment.yaml'), policy);
    const service = await start(new ServiceHome(directory), {
      command: ['--enable-source-maps', join(ROOT, 'dist/service.cjs')],
      env: { CONTAINMENT_POLICY_PATH: policy },
    });
    writeFileSync(policy, 'no policy');
    service.process.kill('SIGHUP');
    expect(await service.said('policy and access file not reloaded')).to.match(/src\/policy\/load\.ts:\d/);
  });
});
