import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { LogStreams } from '../../src/api/log/log-streams.ts';
import { moveToArchive } from '../../src/audit/archive.ts';
import { Refused } from '../../src/client/errors.ts';
import { systemClock } from '../../src/clock.ts';
import { EntriesGone } from '../../src/ship/errors.ts';
import { LocalRecorder, PastTheEnd } from '../../src/ship/local-recorder.ts';
import { serve, stopServing } from '../api/support/client.ts';
import { standIn } from '../api/support/dependencies.ts';
import { draft, HASH, openLog } from '../support/audit-log.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('a recorder whose entries are archived', () => {
  const directory = temporaryDirectories();
  const ID = '5d'.repeat(32);

  it('says what it has of its log, in its own words', async () => {
    const { log } = await openLog(join(directory(), 'audit.jsonl'), HASH, 2000);
    for (let n = 1; n <= 40; n++) await log.append([draft(`entry ${n}`)]);
    const [segment] = log.sealed;
    await moveToArchive(segment!);
    log.forget([segment!]);
    const dependencies = standIn();
    const logStreams = new LogStreams({ log, logId: () => ID, clock: systemClock, logger: dependencies.log });
    const access = { principalOf: () => ({ name: 'shipper', roles: ['anchor'] as const }), proofKey: () => undefined };
    const server = await serve({ ...dependencies, access, logStreams });
    const tokenPath = join(directory(), 'token');
    writeFileSync(tokenPath, 'a token');
    const { port } = server.address as { readonly port: number };
    const recorder = new LocalRecorder({ url: `http://127.0.0.1:${port}`, tokenPath, prove: false });
    const { signal } = new AbortController();
    try {
      const head = { log: ID, entries: 40, first: log.sealed[0]!.first };
      expect(head.first).to.be.greaterThan(1);
      expect(await recorder.head(signal)).to.deep.equal(head);
      const beyond = await recorder.open(50, false, signal).catch((error: unknown) => error);
      expect(beyond).to.be.instanceOf(PastTheEnd).and.deep.include({ head });
      const opened = await recorder.open(1, false, signal);
      expect(opened.head).to.deep.equal({ ...head, first: 1 });
      opened.body.destroy();
    } finally {
      recorder.close();
      await stopServing();
      await log.close();
    }
  });

  /** What comes of opening the log when it answers so to whoever asks for the archive, too. */
  const opened = async (status: number): Promise<unknown> => {
    const tokenPath = join(directory(), 'token');
    writeFileSync(tokenPath, 'a token');
    const server = createServer(({ url }, response) => {
      const isOfArchive = url!.includes('archived=true');
      response.writeHead(isOfArchive ? status : 410).end(JSON.stringify({ error: isOfArchive ? 'no' : 'archived' }));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const recorder = new LocalRecorder({ url, tokenPath, prove: false });
    try {
      return await recorder.open(1, false, new AbortController().signal).catch((error: unknown) => error);
    } finally {
      recorder.close();
      server.close();
    }
  };

  it('has none of them where the archive lacks them, or where it knows no archive', async () => {
    for (const status of [410, 400]) expect(await opened(status)).to.be.instanceOf(EntriesGone);
  });

  it('may still have them where it refuses to read the archive', async () => {
    for (const status of [403, 429, 503])
      expect(await opened(status))
        .to.be.instanceOf(Refused)
        .and.include({ status });
  });
});
