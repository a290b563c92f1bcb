import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { ROOT } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const LOGS = '/var/lib/secure-ai/logs';
const STANZA = readFileSync(join(ROOT, 'systemd/logrotate.conf'), 'utf8');
/** Names another program, where it is not in the path. */
const LOGROTATE = process.env.LOGROTATE ?? 'logrotate';
/** Everything that the recorder keeps beside its log. */
const OURS = ['jsonl', '000000000001.jsonl', 'jsonl.checkpoint', 'jsonl.identity', 'jsonl.posture', 'sqlite'].map(
  (end) => `incident-recorder-audit.${end}`,
);

describe('systemd/logrotate.conf', () => {
  const directory = temporaryDirectories();
  const paths = STANZA.split('\n').filter((line) => line.startsWith(LOGS));

  it('names none of the files of the recorder, and no pattern that could', () => {
    expect(paths.length).to.be.greaterThan(10);
    for (const path of paths) expect(path).to.not.match(/incident-recorder|[*?[]/);
  });

  it('rotates the other logs, and leaves those of the recorder as they are', function () {
    if (spawnSync(LOGROTATE, ['--version']).error !== undefined) {
      console.warn('        SKIPPED: logrotate is not installed, so its configuration was not tried');
      this.skip();
    }
    const home = directory();
    const others = paths.map((path) => path.replace(/ \{$/, '').slice(LOGS.length + 1));
    for (const name of [...others, ...OURS]) writeFileSync(join(home, name), `${name}\n`.repeat(100), { mode: 0o640 });
    // The group of the appliance is not here.
    const text = STANZA.replaceAll(LOGS, home).replace(/^ *su .*\n/m, '');
    const configuration = join(directory(), 'logrotate.conf');
    writeFileSync(configuration, text, { mode: 0o644 });
    const args = ['--force', '--verbose', '--state', join(directory(), 'state'), configuration];
    for (let day = 1; day <= 2; day++) {
      const { status, stderr } = spawnSync(LOGROTATE, args, { encoding: 'utf8' });
      expect(status, stderr).to.equal(0);
      expect(stderr).to.not.include('error:');
      if (day === 1) for (const name of others) writeFileSync(join(home, name), 'more\n');
    }
    for (const name of others) {
      expect(readFileSync(join(home, name), 'utf8'), name).to.equal('');
      expect(existsSync(join(home, `${name}.1`)), name).to.equal(true);
      expect(existsSync(join(home, `${name}.2.gz`)), name).to.equal(true);
    }
    for (const name of OURS) expect(readFileSync(join(home, name), 'utf8')).to.equal(`${name}\n`.repeat(100));
    const made = readdirSync(home).filter((name) => name.startsWith('incident-recorder'));
    expect(made).to.have.members(OURS);
  });
});
