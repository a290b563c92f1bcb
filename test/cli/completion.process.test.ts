import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { expect } from 'chai';
import { STATES } from '../../machines/vocabulary.ts';
import { COMMAND_LINE } from '../support/programs.ts';
import { RunningService, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { run } from './support/command-line.ts';
import { needsPrograms } from './support/needs-programs.ts';

describe('completion', () => {
  const directory = temporaryDirectories();

  /** What is offered for these words, the last one perhaps not whole. */
  const offers = async (...words: string[]): Promise<string[]> => {
    const { stdout } = await run(['complete', '--', ...words]);
    return stdout.split('\n').flatMap((line) => (line === '' ? [] : [line.split('\t', 1)[0]!]));
  };

  it('offers subcommands, options and their values', async () => {
    expect(await offers('re')).to.deep.equal([
      'report',
      'resolve',
      'reopen',
      'release',
      'recovery',
      'restore',
      'redact-bundle',
    ]);
    expect(await offers(''))
      .to.include.members(['list', 'watch'])
      .and.not.include('complete');
    expect(await offers('list', '--s')).to.deep.equal([
      '--state',
      '--severity',
      '--source',
      '--silenced',
      '--since',
      '--snoozed',
      '--search',
      '--sort',
    ]);
    expect(await offers('list', '--state', '')).to.deep.equal(STATES);
    expect(await offers('list', '--state', 'open', 'c')).to.deep.equal(['contained']);
    expect(await offers('report', '--source', 'x', '--class', 'tool')).to.deep.equal(['tool_call_burst']);
    expect(await offers('policy', '')).to.deep.equal(['check', 'diff', 'whatif']);
    expect(await offers('policy', 'check', '')).to.deep.equal([]);
    expect(await offers('completion', '')).to.deep.equal(['bash', 'zsh', 'fish']);
  });

  it('offers the incidents that a command may apply to', async () => {
    const home = new ServiceHome(directory());
    const url = `unix:${join(home.directory, 'socket')}`;
    const service = await RunningService.start(home, { env: { BIND_ADDR: url } });
    try {
      const [one, two] = [await service.report(), await service.report({ source: 'agent 7' })].map(
        ({ json }) => json.id,
      );
      await service.post('/api/v1/incidents/resolve', { id: one });
      expect(await offers('resolve', '--url', url, '')).to.deep.equal([two]);
      expect(await offers('show', '--url', url, 'INC')).to.have.members([one, two]);
      const { stdout } = await run(['complete', '--', 'resolve', '--url', url, '']);
      expect(stdout).to.equal(`${two}\thigh prompt_injection from agent 7\n`);
    } finally {
      await service.end('SIGKILL');
    }
  });

  it('offers nothing where there is no recorder', async () => {
    expect(await offers('resolve', '--url', 'unix:/nowhere', '')).to.deep.equal([]);
  });

  /** Runs a script of a shell that finds `incident-recorder`, with its completion in the file `$1`. */
  const inShell = async (shell: string, script: string): Promise<string> => {
    const path = directory();
    const program = join(path, 'incident-recorder');
    writeFileSync(program, `#!/bin/sh\nexec ${process.execPath} ${COMMAND_LINE} "$@"\n`);
    chmodSync(program, 0o755);
    const completion = join(path, 'completion');
    writeFileSync(completion, (await run(['completion', shell])).stdout);
    const env = { ...process.env, PATH: `${path}${delimiter}${process.env.PATH}`, HOME: path };
    const { stdout, stderr } = spawnSync(shell, ['-c', script, shell, completion], { encoding: 'utf8', env });
    expect(stderr).to.equal('');
    return stdout;
  };

  describe('in bash', () => {
    needsPrograms('bash');

    it('completes', async () => {
      const script = `source "$1"; COMP_WORDS=(incident-recorder list --state ''); COMP_CWORD=3
        _incident_recorder incident-recorder; printf '%s ' "\${COMPREPLY[@]}"; complete -p incident-recorder`;
      expect(await inShell('bash', script)).to.equal(
        `${STATES.join(' ')} complete -o default -F _incident_recorder incident-recorder\n`,
      );
    });
  });

  describe('in zsh', () => {
    needsPrograms('zsh');

    it('completes', async () => {
      // _describe and _files speak to the line editor: they are replaced by what shows how they are called.
      const script = `compdef() { print "compdef $@" }; _describe() { print -l "\${(@P)2}" }; _files() { print files }
        source "$1"; words=(incident-recorder re); CURRENT=2; _incident_recorder
        words=(incident-recorder policy check ''); CURRENT=4; _incident_recorder`;
      expect(await inShell('zsh', script)).to.equal(
        'compdef _incident_recorder incident-recorder\n' +
          'report:report an incident\nresolve:resolve incidents, which ends their containment\nreopen:take resolved incidents up again\n' +
          'release:release one action of an incident early\nrecovery:do what is needed before an incident may be resolved\nrestore:put a backup of the audit log back\nredact-bundle:leave fields out of a bundle\nfiles\n',
      );
    });
  });

  describe('in fish', () => {
    needsPrograms('fish');

    it('completes', async () => {
      const script = `source $argv[2]; complete -C 'incident-recorder re'; complete -C 'incident-recorder list --state o'
        complete -C 'incident-recorder policy check pack' | string match -r 'package.json'`;
      expect(await inShell('fish', script)).to.equal(
        'report\treport an incident\nresolve\tresolve incidents, which ends their containment\nreopen\ttake resolved incidents up again\n' +
          'release\trelease one action of an incident early\nrecovery\tdo what is needed before an incident may be resolved\nrestore\tput a backup of the audit log back\nredact-bundle\tleave fields out of a bundle\nopen\npackage.json\n',
      );
    });
  });
});
