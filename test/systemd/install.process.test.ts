import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { ROOT } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

/** What is done to a package, and what `install.sh` has to say of it. */
const CHANGES: readonly (readonly [string, (at: (name: string) => string) => void, string])[] = [
  ['whose file was changed', (at) => appendFileSync(at('dist/service.cjs'), '\n'), 'is not what was packaged'],
  ['that lacks a file', (at) => rmSync(at('dist/service.cjs')), 'is not what was packaged'],
  ['without its list', (at) => rmSync(at('SHA256SUMS')), 'is not what was packaged'],
  ['with an empty list', (at) => writeFileSync(at('SHA256SUMS'), ''), 'is not what was packaged'],
  ['with a file more', (at) => writeFileSync(at('dist/more.js'), ''), 'what was not packaged: dist/more.js'],
  ['with a hidden file more', (at) => writeFileSync(at('.more'), ''), 'what was not packaged: .more'],
  ['with a link more', (at) => symlinkSync('/etc/passwd', at('bin/more')), 'what was not packaged: bin/more'],
  [
    'with a link in place of a file',
    (at) => {
      cpSync(at('dist/service.cjs'), at('../elsewhere'));
      rmSync(at('dist/service.cjs'));
      symlinkSync(at('../elsewhere'), at('dist/service.cjs'));
    },
    'what was not packaged: dist/service.cjs',
  ],
];

describe('install.sh', () => {
  const directory = temporaryDirectories();

  /** A package whose node leaves a mark when it runs. */
  const pack = () => {
    const parent = directory();
    const at = (name: string): string => join(parent, 'package', name);
    for (const each of ['bin', 'dist']) mkdirSync(at(each), { recursive: true });
    cpSync(join(ROOT, 'systemd/install.sh'), at('install.sh'));
    writeFileSync(at('bin/node'), `#!/bin/sh\ntouch ${parent}/has-run\n`, { mode: 0o755 });
    writeFileSync(at('dist/service.cjs'), '// the service\n');
    const list = "find . -type f ! -name SHA256SUMS | sed 's|^./||' | LC_ALL=C sort | xargs sha256sum > SHA256SUMS";
    execFileSync('sh', ['-c', list], { cwd: at('') });
    const check = () => spawnSync('sh', [at('install.sh'), 'check'], { encoding: 'utf8' });
    return { at, check, hasRun: () => existsSync(join(parent, 'has-run')) };
  };

  it('runs the node of a package that is whole', () => {
    const { check, hasRun } = pack();
    expect(check().stderr).to.not.include('packaged');
    expect(hasRun()).to.equal(true);
  });

  for (const [what, change, message] of CHANGES) {
    it(`runs nothing of a package ${what}`, () => {
      const { at, check, hasRun } = pack();
      change(at);
      const { status, stderr } = check();
      expect([status, hasRun()]).to.deep.equal([1, false]);
      expect(stderr).to.include(message);
    });
  }
});
