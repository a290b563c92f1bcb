import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { SERVICE } from './support/programs.ts';
import { ServiceHome } from './support/running-service.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

/** Resolves when somebody listens on the socket. */
async function listening(path: string): Promise<void> {
  for (;;) {
    const socket = connect(path);
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (connected) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

describe('a stop that comes as soon as the service answers', () => {
  const directory = temporaryDirectories();

  it('is recorded as any other', async () => {
    const home = new ServiceHome(directory());
    const socket = join(home.directory, 's');
    const service = spawn(process.execPath, [SERVICE], {
      env: { ...home.env, BIND_ADDR: `unix:${socket}` },
      stdio: 'ignore',
    });
    const ended = once(service, 'close');
    await Promise.race([listening(socket), ended]);
    service.kill('SIGTERM');
    expect(await ended).to.deep.equal([0, null]);
    const events = readFileSync(home.log, 'utf8').trimEnd().split('\n');
    expect(events.map((line) => (JSON.parse(line) as { event: string }).event)).to.deep.equal([
      'service.started',
      'service.stopped',
    ]);
    await home.expectSound();
  });
});
