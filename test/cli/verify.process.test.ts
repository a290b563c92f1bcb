import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { draft, KEY, openLog, writeLog } from '../support/audit-log.ts';
import { Notary } from '../support/notary.ts';
import { COMMAND_LINE } from '../support/programs.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('incident-recorder verify', () => {
  const directory = temporaryDirectories();

  const verify = (...args: string[]) => {
    const env = { ...process.env, AUDIT_HMAC_KEY_PATH: '' };
    return spawnSync(process.execPath, [COMMAND_LINE, 'verify', ...args], { encoding: 'utf8', env });
  };

  /** A log of ten entries with its key next to it. */
  const tenEntries = async (): Promise<string> => {
    const path = join(directory(), 'audit.jsonl');
    writeFileSync(join(path, '..', 'audit-hmac-key'), KEY, { mode: 0o600 });
    await writeLog(path, 10);
    return path;
  };

  it('prints what a valid log holds', async () => {
    const path = await tenEntries();
    const { status, stdout } = verify(path);
    const { entry_hash } = JSON.parse(readFileSync(path, 'utf8').trimEnd().split('\n').at(-1)!);
    expect(stdout)
      .to.include(`${path}: valid`)
      .and.match(/entries +10\n/)
      .and.match(/first +2026-11-22T07:12:00\.123Z\n/);
    expect(stdout)
      .to.include(entry_hash)
      .and.include('hmac-sha256')
      .and.match(/checkpoint +10 entries/);
    expect(status).to.equal(0);
  });

  it('names the line that is wrong', async () => {
    const path = await tenEntries();
    writeFileSync(path, readFileSync(path, 'utf8').replace('entry 4', 'entry 5'));
    const { status, stdout } = verify(path);
    expect(stdout).to.match(/NOT VALID\ndamage +audit\.jsonl, line 4: its entry_hash does not match/);
    expect(stdout).to.match(/entries +3 valid before the damage/);
    expect(status).to.equal(1);
  });

  it('finds a log that was rolled back together with its checkpoint, given an anchor', async () => {
    const path = await tenEntries();
    const anchor = `10:${JSON.parse(readFileSync(path, 'utf8').trimEnd().split('\n').at(-1)!).entry_hash}`;
    const older = await tenEntries();
    rmSync(older);
    rmSync(`${older}.checkpoint`);
    await writeLog(older, 6);
    for (const suffix of ['', '.checkpoint']) copyFileSync(`${older}${suffix}`, `${path}${suffix}`);
    expect(verify(path).status).to.equal(0);
    const { status, stdout } = verify('--anchor', anchor, path);
    expect(stdout).to.match(/the log ends after entry 6, the anchor is entry 10: the log was rolled back/);
    expect(status).to.equal(1);
    expect(verify('--anchor', `6:${'0'.repeat(64)}`, path).stdout).to.match(/another than the anchor's/);
  });

  it('says what was lost when the file was cut, and given the copy that the log holds', async () => {
    const path = await tenEntries();
    const { log } = await openLog(path);
    copyFileSync(path, `${path}.1`);
    truncateSync(path);
    await log.append([draft('after')]);
    await log.close();
    const { status, stdout } = verify(path);
    expect(stdout).to.match(/NOT COMPLETE\nmissing +audit\.jsonl, line 1: entries 1 to 10 are missing before it/);
    expect(status).to.equal(1);
    expect(JSON.parse(verify(path, '--json').stdout))
      .to.include({ valid: false })
      .and.nested.include({ 'missing[0].last_seq': 10 });
    expect(verify(`${path}.1`, path)).to.include({ status: 0 });
  });

  it('tells a wrong key, and no log, from a valid log', async () => {
    const path = await tenEntries();
    const other = join(path, '..', 'other-key');
    writeFileSync(other, 'x'.repeat(32), { mode: 0o600 });
    expect(verify('--key', other, path)).to.include({ status: 1 });
    expect(verify(`${path}.missing`)).to.include({ status: 1 });
  });

  it('says which key proves it, and that one found next to the log proves little', async () => {
    const path = await tenEntries();
    const nearKey = join(path, '..', 'audit-hmac-key');
    expect(verify(path).stdout).to.include(
      `key         ${nearKey} (found beside the log: whoever can write there can replace both)\n`,
    );
    expect(verify('--key', nearKey, path).stdout).to.include(`key         ${nearKey}\n`);
    expect(JSON.parse(verify(path, '--json').stdout)).to.include({ key: nearKey });
    rmSync(nearKey);
    expect(verify(path).stdout).to.include('key         none: shows accidents, not forgery\n');
  });

  it('gives the same as JSON, and how fast it was', async () => {
    const path = await tenEntries();
    const { stdout, stderr } = verify(path, '--json');
    expect(JSON.parse(stdout)).to.deep.include({ log: path, valid: true, entries: 10, algorithm: 'hmac-sha256' });
    expect(stderr).to.equal('');
    expect(verify(path).stdout).to.match(/^speed +[\d,]+ bytes\/s, [\d,]+ entries\/s, [\d.]+ s$/m);
    writeFileSync(path, readFileSync(path, 'utf8').replace('entry 4', 'entry 5'));
    expect(JSON.parse(verify(path, '--json').stdout))
      .to.deep.include({ valid: false })
      .and.nested.include({ 'damage.line': 4 });
  });

  it('says how it is used', () => {
    for (const args of [[], ['--nonsense'], ['--anchor', '1', 'x']]) {
      const { status, stderr } = verify(...args);
      expect(stderr).to.match(/missing required argument|unknown option|ENTRIES:HASH/);
      expect(status).to.equal(2);
    }
    expect(verify('--help')).to.include({ status: 0, stderr: '' });
  });

  it('compares the log with its anchors, and with notes that were kept elsewhere', async () => {
    const path = await tenEntries();
    const notary = await new Notary().fetch(path);
    const { log: log_id, machine, seq, hash, root, time } = notary.anchor();
    const { log } = await openLog(path);
    const data = { log_id, machine, anchored_seq: seq, hash, root, time, anchor: notary.note() };
    await log.append([{ timestamp: '2026-11-22T07:12:00.123Z', event: 'log.anchored', data }]);
    await log.close();
    const agreeing = verify('--anchors', '--fleet-key', notary.key, path);
    expect(agreeing.stdout).to.match(
      /anchors +1 agree \(1 with the root\), the last of entry 10 from .*signatures verified\n/,
    );
    expect(agreeing.status).to.equal(0);
    const { stdout } = verify('--anchors', '--json', path);
    expect(JSON.parse(stdout).anchors).to.include({ agree: 1, signatures: 'not checked' });
    expect(verify(path).stdout).to.not.include('anchors ');

    const [notes, key] = [join(path, '../notes'), join(path, '../fleet.pub')];
    writeFileSync(notes, `${notary.note({ seq: 3 })}\n${notary.note({ seq: 7 })}`);
    writeFileSync(key, `${notary.key}\n`);
    expect(verify('--anchors-from', notes, '--fleet-key', key, path).stdout).to.match(/anchors +2 agree/);
    writeFileSync(notes, notary.note({ seq: 3, hash: 'b2'.repeat(32) }));
    const differing = verify(path, '--anchors-from', notes, '--fleet-key', key);
    expect(differing.stdout).to.include('NOT VALID').and.include('entry 3 is another than note 1 of');
    expect(differing.status).to.equal(1);
    const other = verify(path, '--anchors', '--fleet-key', new Notary().key);
    expect(other.stdout).to.include('the anchor in entry 11: the note has no signature');
    expect(other.status).to.equal(1);

    expect(verify('--anchors-from', notes, path).stderr).to.include('--anchors-from needs --fleet-key');
    expect(verify('--anchors', '--fleet-key', 'nonsense', path).status).to.equal(2);
    writeFileSync(notes, 'nothing\n');
    expect(verify('--anchors-from', notes, '--fleet-key', key, path).stderr).to.include('holds no signed note');
  });
});
