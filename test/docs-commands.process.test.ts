/**
 * What the READMEs let a reader type, typed: each command of a `console` block that begins with `$ `, in the order in
 * which it stands there, against the service that `npm start` runs. What it gives has to be what the README shows, but
 * for identifiers, hashes, times and numbers of seconds; `…` stands for anything.
 *
 * The commands for a host, which begin with `# `, are those of the tests in `system/`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { parsePolicy } from '../src/policy/parse.ts';
import { Checkout, type Terminal } from './support/checkout.ts';
import { codeBlocks, readmeText } from './support/readme.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

const TOOLS = ['bash', 'curl', 'grep', 'jq', 'lsof', 'npm', 'npx', 'python3', 'sed', 'sha256sum'];

interface Step {
  readonly command: string;
  readonly shown: string;
}

const stepsOf = (block: string): readonly Step[] =>
  block
    .split(/^\$ /m)
    .slice(1)
    .map((step) => {
      const [command = '', ...shown] = step.trimEnd().split('\n');
      return { command, shown: shown.join('\n') };
    });

/** What differs from run to run, each with what takes its place. */
const VARYING: readonly (readonly [RegExp, string])[] = [
  [/INC-\d{8}-[\da-f]{12}/g, '<id>'],
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>'],
  [/\b(?:[\da-f]{64}\b|[\da-f]{8}…)/g, '<hash>'],
  [/\/tmp\/tmp\.\w+|\/\S+\/tmp\/tmp\.\w+/g, '<temporary>'],
  [/\b\d+[smh]\b/g, '<age>'],
  [/[\d,.]+ bytes\/s, [\d,.]+ entries\/s, [\d.]+ s/g, '<speed>'],
  [/\d+ bytes\b/g, '<size>'],
  // It follows about a second later.
  [/^checkpoint +\d+ entries$/gm, '<checkpoint>'],
  [/ {2,}/g, '  '],
];

const steady = (text: string): string =>
  VARYING.reduce((said, [varying, word]) => said.replaceAll(varying, word), text);

function expectShown({ command, shown }: Step, written: string): void {
  const pattern = steady(shown)
    .split('…')
    .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`))
    .join(String.raw`[\s\S]*?`);
  expect(steady(written), `$ ${command}\n${written}\n\nshown:\n${shown}\n\n`).to.match(new RegExp(`^${pattern}$`));
}

describe('the commands of the READMEs', () => {
  const directory = temporaryDirectories();
  let checkout: Checkout;
  let terminal: Terminal;

  before(function lookForTools() {
    const missing = TOOLS.filter((tool) => spawnSync(tool, ['--version']).error !== undefined);
    // It is older than 7.82 on some, and then has no --json.
    if (spawnSync('curl', ['--json', '{}', '--version']).status !== 0) missing.push('curl 7.82');
    if (missing.length === 0) return;
    console.warn(`SKIPPED: ${this.test?.parent?.fullTitle()}: this machine lacks ${missing.join(', ')}`);
    this.skip();
  });

  beforeEach(async () => {
    checkout = new Checkout(directory());
    await checkout.start();
    terminal = checkout.terminal();
  });
  afterEach(async () => {
    await terminal.close();
    await checkout.end();
  });

  /** Pastes the command that `npm start` printed. */
  const reportFirst = (): Promise<string> => terminal.run(`(cd / && ${checkout.notice.split('\n').at(-1)!.trim()})`);

  async function follow(path: string): Promise<void> {
    for (const { info, text } of codeBlocks(readmeText(path))) {
      const [language, file] = info.split(' ');
      if (file !== undefined) writeFileSync(join(checkout.directory, file), text);
      if (language !== 'console') continue;
      for (const step of stepsOf(text)) {
        if (!checkout.isRunning) await checkout.start();
        const written = await terminal.run(checkout.here(step.command));
        expectShown({ ...step, shown: checkout.here(step.shown) }, written);
        if (step.command.startsWith('kill ')) await checkout.ended;
      }
    }
  }

  it('npm start prints the state, the console, and a report to paste in any directory, without the token', async () => {
    const token = readFileSync(join(checkout.directory, 'var/service-token'), 'utf8').trim();
    expect(checkout.notice).to.include(`Local use: the state is kept in ${join(checkout.directory, 'var')}\n`);
    expect(checkout.notice).not.to.include(token);
    expect(await reportFirst()).to.match(/\{"id":"INC-[^"]*".*"state":"contained"/);
    expect(await terminal.run(checkout.here('curl -s http://127.0.0.1:8515/ | head -1'))).to.match(/^<!doctype html>/i);
  });

  for (const path of [
    'README.md',
    'src/client/README.md',
    'policy/README.md',
    'src/audit/README.md',
    'machines/README.md',
  ]) {
    it(`of ${path} do what it says`, async () => {
      await reportFirst();
      await follow(path);
    });
  }

  it('the example of the client reports, and carries containment out', async () => {
    const [example] = codeBlocks(readmeText('src/client/README.md')).filter(({ info }) => info === 'js');
    const agent = 'globalThis.agent = { freeze: async () => {}, resume: async () => {} };\n';
    const service = example!.text
      .replace('unix:/run/secure-ai/recorder.sock', `http://${checkout.address}`)
      .replace('/run/secure-ai/service-token', 'var/service-token')
      .replace('/var/lib/tool-firewall', '.');
    writeFileSync(join(checkout.directory, 'service.js'), agent + service);
    const child = spawn(process.execPath, ['service.js'], { cwd: checkout.directory, stdio: 'inherit' });
    const ended = once(child, 'close');
    try {
      const freeze = `curl -s 'http://${checkout.address}/api/v1/containment/freeze_agent'`;
      let seen = '';
      while (!seen.includes('"status":"confirmed"')) seen = await terminal.run(freeze);
      expect(seen).to.include('"engaged":true');
    } finally {
      child.kill();
      await ended;
    }
  });

  it('the targets shown in policy/README.md are taken', () => {
    const [example] = codeBlocks(readmeText('policy/README.md')).filter(({ info }) => info === 'yaml');
    expect(Object.keys(parsePolicy(`version: 1\n${example!.text}`, 'README.md').targets)).to.deep.equal([
      'freeze_agent',
    ]);
  });
});
