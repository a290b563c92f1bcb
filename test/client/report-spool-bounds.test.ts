/** A spool whose token is bound to a source and a class. */
import { hash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { type Incident, NotReachable, RecorderClient, Refused, ReportSpool } from '../../src/client/index.ts';
import { LocalService } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const TOKEN = 'token-of-canary-0123456789';
const REPORT = { class: 'integrity_violation', source: 'canary', description: 'a test' } as const;

describe('ReportSpool with a token of its own', () => {
  const directory = temporaryDirectories();

  it('proves the recorder with it, and keeps aside what it is not bound to, so that the rest is delivered', async () => {
    const home = new ServiceHome(directory());
    const canary = { roles: ['reporter'], sources: ['canary'], classes: ['integrity_violation'] };
    const principals = { canary: { ...canary, token_sha256: hash('sha256', TOKEN) } };
    writeFileSync(home.access, JSON.stringify({ version: 1, principals }), { mode: 0o600 });
    const tokenPath = join(home.directory, 'token-of-canary');
    writeFileSync(tokenPath, TOKEN, { mode: 0o600 });
    const first = await LocalService.start(home);
    const { port } = first;
    const client = new RecorderClient({ url: `http://127.0.0.1:${port}`, tokenPath, retries: 0 });
    const path = join(home.directory, 'reports.spool');
    const refused: string[] = [];
    const spool = await ReportSpool.open(client, { path, onRefused: (_report, key) => refused.push(key) });
    const other = { ...REPORT, class: 'attestation_failure' } as const;
    const error = await spool.report(other, 'at-once').catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(Refused).and.to.have.property('status', 403);
    expect((await spool.report(REPORT, 'first')).outcome).to.equal('created');

    await first.stop();
    await spool.report(other, 'not-mine');
    await spool.report({ ...REPORT, source: 'other' }, 'not-mine-either');
    await spool.report(REPORT, 'second');
    const again = await LocalService.start(home, { env: { BIND_ADDR: `127.0.0.1:${port}` } });
    await spool.drained();
    expect(refused).to.deep.equal(['not-mine', 'not-mine-either']);
    const kept = readFileSync(`${path}.refused`, 'utf8').trimEnd().split('\n');
    expect(JSON.parse(kept[0]!)).to.include({ key: 'not-mine', status: 403 });
    expect((await again.get('/api/v1/incidents')).json).to.have.length(2);
    await spool.close();
    client.close();
    await again.stop();
  });
});

describe('ReportSpool with many refused reports at once', () => {
  const directory = temporaryDirectories();

  it('keeps each aside once, also when there is no room for one of them at first', async () => {
    const home = directory();
    const path = join(home, 'reports.spool');
    let isAway = true;
    const refusal = new Refused(400, { error: 'unknown class' });
    const client = {
      report: ({ description }: { readonly description: string }) => {
        if (isAway) return Promise.reject(new NotReachable('away'));
        if (description !== 'taken') return Promise.reject(refusal);
        return Promise.resolve({ outcome: 'created' as const, incident: {} as Incident });
      },
      reportAll: (reports: readonly unknown[]) => Promise.resolve(reports.map(() => refusal)),
    };
    const settled: string[] = [];
    const maxBytes = 3000;
    // The second would need a new file, and the old one can't be moved away.
    mkdirSync(join(`${path}.refused.old`, 'in the way'), { recursive: true });
    const spool = await ReportSpool.open(client, {
      path,
      maxBytes,
      onDelivered: (key) => settled.push(key),
      onRefused: (_report, key) => settled.push(key),
    });
    await spool.report({ ...REPORT, description: 'taken' }, 'taken');
    await spool.report(REPORT, 'short');
    await spool.report({ ...REPORT, description: 'x'.repeat(maxBytes / 2) }, 'long');
    isAway = false;
    while (spool.lastError === undefined || spool.lastError instanceof NotReachable) await wait(20);
    rmSync(`${path}.refused.old`, { recursive: true });
    await spool.drained();
    await spool.close();
    expect(settled).to.deep.equal(['taken', 'short', 'long']);
    const kept = [`${path}.refused.old`, `${path}.refused`].flatMap((file) =>
      readFileSync(file, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { readonly key: string }).key),
    );
    expect(kept).to.deep.equal(['short', 'long']);
  });
});
