import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { findSealed } from '../../src/audit/segments.ts';
import { localServices, type LocalService } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('the identity of a log', () => {
  const directory = temporaryDirectories();
  const start = localServices();

  const auditOf = async (service: LocalService) =>
    (await service.get('/health')).json.audit as {
      readonly log_id: string;
      readonly findings: readonly { readonly finding: string; readonly detail: string }[];
    };
  const tagOf = async (service: LocalService): Promise<string | undefined> =>
    (await service.get('/api/v1/containment/freeze_agent')).headers.etag;
  /** Moves everything of the log away, but for what has this name. */
  const moveAway = (home: ServiceHome, except = ''): void => {
    mkdirSync(join(home.directory, 'away'));
    for (const name of readdirSync(home.directory)) {
      if (name.startsWith('audit.') && name !== except) {
        renameSync(join(home.directory, name), join(home.directory, 'away', name));
      }
    }
  };

  it('is the hash of its first entry, and the same after restarts', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    const { log_id } = await auditOf(service);
    const [first = ''] = readFileSync(home.log, 'utf8').split('\n');
    expect(JSON.parse(first)).to.include({ entry_hash: log_id });
    expect(JSON.parse(first).data.nonce).to.match(/^[0-9a-f]{32}$/);
    expect(JSON.parse(readFileSync(`${home.log}.identity`, 'utf8'))).to.include({ log_id });
    await service.stop();
    const again = await start(home);
    expect(await auditOf(again)).to.deep.include({ log_id, findings: [] });
  });

  it('is written for a log that has none, and known when the first segment is not there', async () => {
    const home = new ServiceHome(directory());
    const env = { AUDIT_SEGMENT_BYTES: '1024' };
    const service = await start(home, { env });
    for (let n = 0; n < 5; n++) {
      await service.post('/api/v1/incidents/report', { class: 'tool_call_burst', source: 's', description: 'd' });
    }
    const { log_id } = await auditOf(service);
    await service.stop();
    rmSync(`${home.log}.identity`);
    await (await start(home, { env })).stop();
    rmSync((await findSealed(home.log))[0]!.path);
    expect(await auditOf(await start(home, { env }))).to.include({ log_id });
  });

  it('shows that the log was begun where there was another, at every start until it is acknowledged', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    const { log_id } = await auditOf(service);
    await service.stop();
    moveAway(home, 'audit.jsonl.identity');
    for (let starts = 0; starts < 2; starts++) {
      const other = await start(home);
      const { findings, log_id: own } = await auditOf(other);
      expect(own).to.not.equal(log_id);
      expect(findings.map(({ finding }) => finding)).to.deep.equal(['log_is_another']);
      expect(findings[0]?.detail).to.include(log_id).and.include(own);
      await other.stop();
    }
  });

  it('that somebody else has written is a finding, and written again', async () => {
    const home = new ServiceHome(directory());
    await (await start(home)).stop();
    writeFileSync(`${home.log}.identity`, `{"log_id":"${'0'.repeat(64)}","hmac":"${'0'.repeat(64)}"}\n`);
    const service = await start(home);
    const { findings, log_id } = await auditOf(service);
    expect(findings.map(({ finding }) => finding)).to.deep.equal(['log_is_another']);
    expect(JSON.parse(readFileSync(`${home.log}.identity`, 'utf8'))).to.include({ log_id });
  });

  it('is in the tag of the posture: that of one log says nothing in another', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    const tag = await tagOf(service);
    await service.stop();
    moveAway(home);
    const other = await start(home);
    expect(await tagOf(other))
      .to.be.a('string')
      .and.not.equal(tag);
  });
});
