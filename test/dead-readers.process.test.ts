import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { DEAD_READERS, type DeadReader } from './support/dead-readers.ts';
import { ServiceClient } from './support/service-client.ts';
import { ServiceHome } from './support/service-home.ts';
import { SERVICE } from './support/programs.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

const SECOND = 1000;

class UnreadService extends ServiceClient {
  readonly process: ChildProcess;
  readonly #path: string;

  /** @param stderr also gets the output; by default it is read */
  constructor(home: ServiceHome, stdout: number, stderr: number | 'pipe' = 'pipe') {
    super();
    this.#path = join(home.directory, 'socket');
    const env = { PATH: process.env.PATH, UV_THREADPOOL_SIZE: '2', ...home.env, BIND_ADDR: `unix:${this.#path}` };
    this.process = spawn(process.execPath, ['--jitless', SERVICE], { env, stdio: ['ignore', stdout, stderr] });
  }

  protected override get address() {
    return { path: this.#path };
  }

  async listening(): Promise<void> {
    // The socket is there before it is listened on.
    const isUp = (): Promise<boolean> =>
      this.get('/livez').then(
        () => true,
        () => false,
      );
    while (this.process.exitCode === null && !(await isUp())) await wait(20);
  }

  /** Ends it; returns the exit code and how long that took in milliseconds. */
  async stop(): Promise<{ readonly code: number | null; readonly took: number }> {
    this.disconnect();
    const begun = performance.now();
    const ended = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), 10 * SECOND);
    await ended;
    clearTimeout(timer);
    return { code: this.process.exitCode, took: performance.now() - begun };
  }
}

describe('a service whose output nobody reads', () => {
  const directory = temporaryDirectories();
  const readers: DeadReader[] = [];
  const services: UnreadService[] = [];

  afterEach(() => {
    for (const service of services.splice(0)) service.process.kill('SIGKILL');
    for (const reader of readers.splice(0)) reader.close();
  });

  for (const [what, make] of Object.entries(DEAD_READERS)) {
    for (const isBoth of [false, true]) {
      it(`serves, and ends in time, when standard output ${isBoth ? 'and error are' : 'is'} ${what}`, async () => {
        const home = new ServiceHome(directory());
        const reader = make(home.directory);
        readers.push(reader);
        const service = new UnreadService(home, reader.fd, isBoth ? reader.fd : 'pipe');
        services.push(service);
        const said = service.process.stderr === null ? '' : text(service.process.stderr);
        await service.listening();
        // More lines than a pipe holds.
        for (let count = 0; count < 500; count++) expect((await service.get('/livez')).status).to.equal(200);
        expect((await service.report()).status).to.equal(201);
        const { code, took } = await service.stop();
        expect(code).to.equal(0);
        expect(took).to.be.below(8 * SECOND);
        if (!isBoth && what.includes('disk')) expect(await said).to.include('no space is left where it goes (ENOSPC)');
        await home.expectSound();
      });
    }
  }

  it('ends in time when it is asked to while it starts', async () => {
    for (const make of Object.values(DEAD_READERS)) {
      for (const after of [30, 100, 200, 300]) {
        const home = new ServiceHome(directory());
        const reader = make(home.directory);
        readers.push(reader);
        const service = new UnreadService(home, reader.fd, reader.fd);
        services.push(service);
        await wait(after);
        const { took } = await service.stop();
        expect(took).to.be.below(8 * SECOND);
      }
    }
  });

  it('says how many lines were lost when it is read again', async () => {
    const home = new ServiceHome(directory());
    const reader = DEAD_READERS['a full pipe that nobody reads']!(home.directory);
    readers.push(reader);
    const service = new UnreadService(home, reader.fd);
    services.push(service);
    await service.listening();
    // More than a mebibyte of lines: those about requests without the token are limited.
    for (let count = 0; count < 7500; count++) await service.send('GET', '/livez');
    let read = '';
    while (!read.includes('"msg":"lines of this log were lost"')) {
      read += reader.read!();
      await wait(20);
    }
    expect(read).to.match(/"lost":\d+,"msg":"lines of this log were lost"/);
    expect((await service.stop()).code).to.equal(0);
  });

  it('ends in time, with its exit code, when it can not start', async () => {
    for (const make of Object.values(DEAD_READERS)) {
      const home = new ServiceHome(directory());
      const reader = make(home.directory);
      readers.push(reader);
      const env = { PATH: process.env.PATH, ...home.env, BIND_ADDR: 'nonsense' };
      const child = spawn(process.execPath, [SERVICE], { env, stdio: ['ignore', reader.fd, reader.fd] });
      const begun = performance.now();
      const [code] = await once(child, 'exit');
      expect(code).to.equal(78);
      expect(performance.now() - begun).to.be.below(20 * SECOND);
    }
  });
});
