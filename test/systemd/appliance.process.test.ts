import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { readConfig } from '../../src/config.ts';
import { parsePolicy } from '../../src/policy/parse.ts';
import type { Target } from '../../src/policy/targets.ts';
import { ROOT } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { flagsOf } from '../bench/setting.ts';
import { UNIT, UnitFile } from './support/unit-file.ts';

const EXAMPLE = 'policy/examples/appliance.yaml';
const textOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** What a target does, without how long its answer may take. */
const withoutTimeout = ({ timeout: _timeout, ...target }: Target): object => target;

describe('at home in the appliance', () => {
  const dropIn = UnitFile.read(join(ROOT, 'systemd/drop-ins/appliance.conf'));
  const environment = Object.fromEntries(
    dropIn
      .all('Environment')
      .map((line) => line.replace(/^"(.*)"$/, '$1').replaceAll('%d', `/run/credentials/${UNIT}`))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  const policy = parsePolicy(textOf(EXAMPLE), EXAMPLE);

  it('the unit has the groups of the log, the agent and the vault', () => {
    expect(dropIn.one('SupplementaryGroups').split(' ')).to.deep.equal([
      'secure-ai-logs',
      'secure-ai-agent-ipc',
      'secure-ai-vault-control',
    ]);
  });

  it('the unit gets a credential for each token that it names, and may read it', () => {
    const loaded = dropIn.all('LoadCredential').map((one) => one.split(':'));
    expect(loaded.map(([, path]) => path)).to.deep.equal(
      ['agent', 'airlock', 'registry'].map((name) => `/var/lib/secure-ai/credentials/${name}-containment.token`),
    );
    const named = Object.entries(environment).filter(([name]) => name.endsWith('_TOKEN_PATH'));
    expect(named.map(([, path]) => path.slice(`/run/credentials/${UNIT}/`.length))).to.deep.equal(
      loaded.map(([name]) => name),
    );
    expect(environment.CREDENTIALS_RULE).to.include(`:/run/credentials/${UNIT}`);
    expect(environment.VAULT_RULE).to.include(`:${dropIn.one('ReadWritePaths')}`);
  });

  it('the environment of the unit and the example of a policy name the same targets', () => {
    const given = readConfig(environment).environmentTargets ?? {};
    const actions = ['freeze_agent', 'disable_airlock', 'force_vault_relock', 'quarantine_model'] as const;
    expect(given).to.have.all.keys(...actions);
    expect(policy.targets).to.have.all.keys(...actions);
    for (const action of actions) {
      expect(withoutTimeout(policy.targets[action]!), action).to.deep.equal(withoutTimeout(given[action]!));
    }
  });

  it('the example of a policy lets the canary wait for what its report asks for', () => {
    expect(policy.rules.integrity_violation).to.include({ auto_contain: true, answer_after: 35_000 });
    expect(policy.notify).to.deep.equal([]);
  });

  it('the command is the service in the place of the recorder before, with the flags of the unit', () => {
    const script = textOf('systemd/incident-recorder');
    const [, flags] = /bin\/node (--jitless .*) \$home\/dist\/service\.cjs$/m.exec(script) ?? [];
    expect(flags?.split(' ')).to.deep.equal(flagsOf('jitless'));
    // Each word of a command on a line of its own.
    const said = (path: string, ...args: readonly string[]): readonly string[] => {
      const shown = `print() { printf '%s\\n' "$@"; exit; }\n${script.replaceAll('exec $home/bin/node', 'print')}`;
      return execFileSync('sh', ['-c', shown, path, ...args], { encoding: 'utf8' })
        .trim()
        .split('\n');
    };
    expect(said('/usr/libexec/secure-ai/incident-recorder').at(-1)).to.match(/dist\/service\.cjs$/);
    expect(said('/usr/libexec/secure-ai/incident-recorder', 'list')[0]).to.match(/dist\/cli\.js$/);
    expect(said('/usr/bin/incident-recorder')[0]).to.match(/dist\/cli\.js$/);
  });

  describe('install.sh', () => {
    const directory = temporaryDirectories();
    const [link] = /^link_libexec\(\) \{$[\s\S]*?^\}$/m.exec(textOf('systemd/install.sh')) ?? [];
    const COMMAND = '/usr/bin/incident-recorder';

    /** Runs the part of install.sh that makes the link. */
    const run = (at: string, asked: boolean): string => {
      const setting = `libexec_link='${at}'; command_path=${COMMAND}; with_link=${asked ? 'yes' : ''}`;
      const text = `set -eu; ${setting}; say() { echo "$*"; }; ${link}; link_libexec`;
      const { status, stdout, stderr } = spawnSync('sh', ['-c', text], { encoding: 'utf8' });
      expect([status, stderr]).to.deep.equal([0, '']);
      return stdout;
    };

    it('makes the link where the appliance has its directory, once', () => {
      const at = join(directory(), 'incident-recorder');
      expect(run(at, false)).to.include(`is a link to ${COMMAND}`);
      expect(readlinkSync(at)).to.equal(COMMAND);
      expect(run(at, false)).to.equal('');
    });

    it('makes none where there is no such directory, unless it is asked for', () => {
      const at = join(directory(), 'secure-ai', 'incident-recorder');
      expect(run(at, false)).to.equal('');
      expect(existsSync(join(at, '..'))).to.equal(false);
      run(at, true);
      expect(readlinkSync(at)).to.equal(COMMAND);
    });

    it('replaces another program only when it is asked for, and keeps that', () => {
      const at = join(directory(), 'incident-recorder');
      writeFileSync(at, 'another\n');
      expect(run(at, false)).to.include('--libexec-link');
      expect(lstatSync(at).isFile()).to.equal(true);
      run(at, true);
      expect(readlinkSync(at)).to.equal(COMMAND);
      expect(readFileSync(`${at}.before`, 'utf8')).to.equal('another\n');
    });

    it('replaces a link that leads elsewhere in the same way', () => {
      const home = directory();
      const at = join(home, 'incident-recorder');
      mkdirSync(join(home, 'elsewhere'));
      symlinkSync(join(home, 'nowhere'), at);
      run(at, false);
      expect(readlinkSync(at)).to.equal(join(home, 'nowhere'));
      run(at, true);
      expect(readlinkSync(at)).to.equal(COMMAND);
    });

    it('refuses an option that there is not', () => {
      const { status, stderr } = spawnSync('sh', [join(ROOT, 'systemd/install.sh'), 'check', '--libexec'], {
        encoding: 'utf8',
      });
      expect(status).to.equal(2);
      expect(stderr).to.include('[--landlock-wrapper] [--libexec-link]');
    });
  });

  describe('a broker whose directory of requests is closed to readers', () => {
    const directory = temporaryDirectories();

    it('gets its requests from a user who may only write there', function () {
      if (process.geteuid!() !== 0) this.skip();
      const home = directory();
      execFileSync(
        'sh',
        ['-c', 'chmod 755 . && mkdir -m 2730 requests && mkdir -m 750 results && chgrp 4200 requests results'],
        { cwd: home },
      );
      const script = `
        import { ask } from '${join(ROOT, 'src/containment/broker-target.ts')}';
        const broker = { requests: '${home}/requests', results: '${home}/results', action: 'relock' };
        const signal = new AbortController().signal;
        console.log(JSON.stringify(await ask({ broker, body: { incident_id: 'INC-1', reason: 'r' }, timeout: 1000, signal })));`;
      const [program, ...under] = ['setpriv', '--reuid', '4100', '--regid', '4100', '--groups', '4200'] as const;
      const { stdout, stderr } = spawnSync(
        program,
        [...under, process.execPath, '--input-type=module-typescript', '-e', script],
        { encoding: 'utf8', cwd: '/' },
      );
      expect(stderr).to.equal('');
      expect(JSON.parse(stdout).error).to.match(/^no answer from the broker within 1000 ms/);
      const request = JSON.parse(readFileSync(join(home, 'requests/INC-1.json'), 'utf8')) as object;
      expect(request).to.deep.equal({ action: 'relock', incident_id: 'INC-1', reason: 'r' });
    });
  });
});
