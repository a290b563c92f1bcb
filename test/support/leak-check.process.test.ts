import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { ROOT } from './programs.ts';

const MOCHA = join(ROOT, 'node_modules/mocha/bin/mocha.js');

/** Ends the process that the leaky suite leaves behind. */
const endOrphan = (output: string): void => {
  const pid = /the process (\d+): sleep 60/.exec(output)?.[1];
  if (pid !== undefined) process.kill(Number(pid));
};

/** Runs the suites of `leaky.ts` under these root hooks; gives what Mocha says and how it ends. */
const runLeaky = (hooks: string, ...options: readonly string[]) => {
  const required = join(import.meta.dirname, hooks);
  const suites = join(import.meta.dirname, 'leaky.ts');
  const args = [MOCHA, '--no-config', '--extension', 'ts', '--require', required, ...options, suites];
  const env = { PATH: process.env.PATH, LEAK_PATIENCE: '300' };
  const outcome = spawnSync(process.execPath, args, { encoding: 'utf8', env, timeout: 30_000 });
  endOrphan(outcome.stdout);
  return outcome;
};

describe('the check for leaks', () => {
  it('fails the suite that leaks, and no other, and names each leak with its test and line', () => {
    const { status, stdout, stderr } = runLeaky('leak-check.ts');
    expect(stdout).to.include('6 passing').and.include('1 failing').and.include('"leaky" leaves behind:');
    expect(stdout)
      .to.include('- a server of "leaky listens"')
      .and.match(/- a timer of "leaky waits", started in test\/support\/leaky\.ts:10\n/)
      .and.match(/- the open file \S+\/leaky\.ts\n/)
      .and.match(/- the process \d+: sleep 60\n/);
    expect(stdout).to.not.include('keeps nothing up", started');
    expect(stderr, 'the process ends all the same').to.include('The tests have ended, but not their process.');
    expect(status).to.equal(1);
  });

  it('does so where files run in parallel, too', () => {
    const { status, stdout } = runLeaky('leak-check.ts', '--parallel');
    expect(stdout).to.include('1 failing').and.include('a server of "leaky listens"');
    expect(status).to.equal(1);
  });
});

describe('the check for processes', () => {
  it('refuses a unit test that starts one, by its name', () => {
    const { stdout } = runLeaky('no-processes.ts', '--exit');
    expect(stdout).to.include('5 passing').and.include('"leaky runs" calls spawn("sleep")');
  });
});
