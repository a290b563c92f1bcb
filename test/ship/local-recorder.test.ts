import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { Refused } from '../../src/client/errors.ts';
import { EntriesGone } from '../../src/ship/errors.ts';
import { LocalRecorder } from '../../src/ship/local-recorder.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('a recorder whose entries are archived', () => {
  const directory = temporaryDirectories();

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
