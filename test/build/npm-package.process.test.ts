import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { expect } from 'chai';
import { publint } from 'publint';
import { linksIn, READMES, readmeText } from '../support/readme.ts';
import { ROOT } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

/** A reporting service that uses the types of the client. */
const CONSUMER = `
import { type Incident, NotReachable, RecorderClient, type Report, ReportSpool } from 'incident-recorder/client';
const report: Report = { class: 'prompt_injection', source: 's', description: 'd', evidence: { n: 1 } };
// @ts-expect-error -- the classes are a closed set, so they have not become any
const wrong: Report = { ...report, class: 'nonsense' };
const client = new RecorderClient({ url: 'unix:/nowhere', tokenPath: '/dev/null', retries: 0 });
const incident: Promise<Incident> = client.report(report).then((recorded) => recorded.incident);
incident.catch((error: unknown) => console.log(\`\${error instanceof NotReachable} \${typeof ReportSpool.open}\`));
`;

const isDocumentation = (path: string): boolean =>
  path.endsWith('README.md') ||
  ['CHANGELOG.md', 'machines/delivery.svg', 'machines/incident.svg'].includes(path) ||
  path.startsWith('src/console/screenshots/');

describe('the npm package', () => {
  const directory = temporaryDirectories();
  let home: string;
  let installed: string;
  let tarball: Uint8Array;

  before(() => {
    home = directory();
    installed = join(home, 'node_modules/incident-recorder');
    mkdirSync(installed, { recursive: true });
    execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', home], { cwd: ROOT });
    const [name = ''] = readdirSync(home).filter((file) => file.endsWith('.tgz'));
    tarball = readFileSync(join(home, name));
    execFileSync('tar', ['-xzf', join(home, name), '-C', installed, '--strip-components=1']);
    for (const types of ['@types', 'undici-types'])
      symlinkSync(join(ROOT, 'node_modules', types), join(home, 'node_modules', types));
  });

  const files = (): string[] =>
    readdirSync(installed, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(installed, join(entry.parentPath, entry.name)));

  it('holds what runs, what is installed with it, and nothing else', () => {
    expect(files()).to.include.members([
      'dist/service.cjs',
      'dist/bundle.cjs',
      'dist/cli.js',
      'dist/client/index.js',
      'dist/client/index.d.ts',
      'policy/incident-containment.yaml',
      'systemd/incident-recorder.1',
      'LICENSE',
      'package.json',
    ]);
    const others = files().filter((path) => !/^(dist|policy|systemd)\//.test(path) && !isDocumentation(path));
    expect(others).to.have.members(['LICENSE', 'package.json']);
    expect(files().filter((path) => path.endsWith('.map') || /(?<!\.d)\.ts$/.test(path))).to.deep.equal([]);
  });

  it('holds every README, and what is linked to in them', () => {
    expect(files()).to.include.members(READMES);
    for (const path of READMES) {
      const missing = linksIn(readmeText(path))
        .filter((link) => !/^(?:https?:|#)/.test(link))
        .map((link) => join(dirname(path), link.split('#')[0]!))
        .filter((target) => !files().includes(target));
      expect(missing, path).to.deep.equal([]);
    }
  });

  it('has a client that needs no other package, at run time and in its types', () => {
    const client = files().filter((path) => path.startsWith('dist/client/'));
    const imports = client.flatMap((path) =>
      [...readFileSync(join(installed, path), 'utf8').matchAll(/(?:from|import) '([^']+)'/g)].map(
        ([, name = '']) => name,
      ),
    );
    // The example in the docstring names the package itself.
    const others = imports.filter((name) => !/^(node:|\.\/)/.test(name) && name !== 'incident-recorder/client');
    expect(others).to.deep.equal([]);
  });

  it('is found by whoever imports the client, with its types', () => {
    writeFileSync(join(home, 'package.json'), '{"type":"module"}');
    writeFileSync(join(home, 'consumer.ts'), CONSUMER);
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
    const options = ['--strict', '--exactOptionalPropertyTypes', '--module', 'nodenext', '--types', 'node'];
    const { stdout, status } = spawnSync(process.execPath, [compiler, 'consumer.ts', ...options], {
      cwd: home,
      encoding: 'utf8',
    });
    expect({ stdout, status }).to.deep.equal({ stdout: '', status: 0 });
    expect(execFileSync(process.execPath, ['consumer.js'], { cwd: home, encoding: 'utf8' })).to.equal(
      'true function\n',
    );
  });

  it('runs from where it is installed', () => {
    const cli = join(installed, 'dist/cli.js');
    expect(execFileSync(process.execPath, [cli, '--version'], { encoding: 'utf8' })).to.match(/^\d+\.\d+\.\d+\n$/);
  });

  it('is clean to publint', async () => {
    const { messages } = await publint({ pkgDir: installed, pack: false, strict: true });
    expect(messages).to.deep.equal([]);
  });

  it('is clean to are-the-types-wrong, as a package of ES modules for Node', async () => {
    const analysis = await checkPackage(createPackageFromTarballData(tarball));
    if (!analysis.types) expect.fail('no types were found');
    const problems = analysis.problems.filter(
      (problem) =>
        // Node 10 knows no "exports", and require() of ES modules is what Node 24 does.
        problem.kind !== 'CJSResolvesToESM' && !('resolutionKind' in problem && problem.resolutionKind === 'node10'),
    );
    expect(problems).to.deep.equal([]);
  });
});
