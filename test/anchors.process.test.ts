import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect } from 'chai';
import { accessInFleet, Notary } from './support/notary.ts';
import { type RunningService, ROOT, runningServices, ServiceHome, TOKEN } from './support/running-service.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

describe('a recorder in a fleet', () => {
  const directory = temporaryDirectories();
  const start = runningServices();
  /** As on a host without writable and executable memory. */
  const command = ['--jitless', join(ROOT, 'dist/service.cjs')];

  const inFleet = (notary: Notary): ServiceHome => {
    const home = new ServiceHome(directory());
    writeFileSync(home.access, accessInFleet(notary), { mode: 0o600 });
    return home;
  };
  const hand = async (service: RunningService, anchor: string) => service.post('/api/v1/log/anchors', { anchor });
  const health = async (service: RunningService) =>
    (await service.send('GET', '/health')).json as { audit: Record<string, never>; warnings: readonly string[] };

  it('records what the fleet has signed, says how old that is, and finds that an old copy was put back', async () => {
    const notary = new Notary();
    const home = inFleet(notary);
    const first = await start(home, { command });
    await first.report();
    expect((await health(first)).audit).to.not.have.property('anchor');
    expect((await health(first)).warnings.join()).to.not.include('anchor');
    const before = home.copyTo(directory());

    await first.report({ description: 'after the copy' });
    await notary.fetch(home.log);
    const through = notary.through;
    const recorded = await hand(first, notary.note({ time: new Date().toISOString() }));
    expect([recorded.status, recorded.json.seq]).to.deep.equal([201, through + 1]);
    const again = await hand(first, notary.note({ time: new Date().toISOString() }));
    expect([again.status, again.json.recorded]).to.deep.equal([200, false]);
    const { anchor } = (await health(first)).audit as unknown as { anchor: Record<string, unknown> };
    expect(anchor).to.include({ seq: through, at: recorded.json.at });
    expect(anchor.age_seconds).to.be.within(0, 60);
    await first.end('SIGKILL');

    const second = await start(home, { command });
    expect((await health(second)).audit.anchor).to.deep.include({ seq: through, at: recorded.json.at });
    await second.end('SIGTERM');
    await home.expectSound();

    // The whole directory, with its checkpoint and database.
    renameSync(home.directory, `${home.directory}.gone`);
    const old = before.copyTo(home.directory);
    const third = await start(old, { command });
    const refused = await hand(third, notary.note());
    expect([refused.status, refused.json.code]).to.deep.equal([409, 'anchor_mismatch']);
    const { audit, warnings } = (await health(third)) as unknown as {
      audit: { findings: readonly { finding: string }[] };
      warnings: readonly string[];
    };
    expect(audit.findings.map(({ finding }) => finding)).to.include(`anchor_mismatch:${through}`);
    expect(warnings.join()).to.include('the log was rewritten, or an old copy was put back');
    expect(readFileSync(old.log, 'utf8')).to.include('"event":"alert.raised"');
    renameSync(`${home.directory}.gone`, join(directory(), 'gone'));
  });

  it('gives its log to whoever keeps a copy: a copy that goes on after each kill is the log itself', async () => {
    const home = inFleet(new Notary());
    let copy = '';
    for (const round of [1, 2, 3]) {
      const service = await start(home, { command });
      const from = copy.split('\n').length;
      const request = get({
        port: service.port,
        path: `/api/v1/log?from=${from}&follow=true`,
        headers: { Authorization: `Bearer ${TOKEN}` },
        agent: false,
      });
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      let received = '';
      response.setEncoding('utf8').on('data', (text: string) => (received += text));
      response.on('error', () => {});
      const closed = new Promise((resolve) => response.once('close', resolve));
      const reports = Array.from({ length: 40 }, (_, n) =>
        service.report({ description: `${round} ${n}` }).catch(() => undefined),
      );
      await Promise.all(reports.slice(0, 20));
      await service.end('SIGKILL');
      await Promise.all([closed, ...reports]);
      // What was cut short is asked for again.
      copy += received.slice(0, received.lastIndexOf('\n') + 1);
      const now = readFileSync(home.log, 'utf8');
      expect(now.startsWith(copy), `round ${round}`).to.equal(true);
    }
    const last = await start(home, { command });
    const from = copy.split('\n').length;
    const rest = await last.send('GET', `/api/v1/log?from=${from}`);
    expect(copy + rest.text).to.equal(readFileSync(home.log, 'utf8'));
    expect(rest.headers['log-id']).to.equal(JSON.parse(copy.slice(0, copy.indexOf('\n'))).entry_hash);
  });
});
