import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { DEAD_READERS, type DeadReader } from '../support/dead-readers.ts';
import { COMMAND_LINE } from '../support/programs.ts';
import { RunningService, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { run } from './support/command-line.ts';

const SECOND = 1000;
const REPORT = ['report', '--class', 'prompt_injection', '--source', 's', '--description', 'd'];

describe('a command whose output nobody reads', () => {
  const directory = temporaryDirectories();
  const readers: DeadReader[] = [];
  let home: ServiceHome;
  let service: RunningService;
  let env: Record<string, string>;

  before(async () => {
    home = new ServiceHome(directory());
    env = {
      INCIDENT_RECORDER_URL: `unix:${join(home.directory, 'socket')}`,
      INCIDENT_RECORDER_TOKEN_PATH: home.token,
    };
    service = await RunningService.start(home, { env: { BIND_ADDR: env.INCIDENT_RECORDER_URL! } });
  });

  after(() => service.end('SIGKILL'));

  afterEach(() => {
    for (const reader of readers.splice(0)) reader.close();
  });

  const spawnWith = (args: readonly string[], stdout: number | 'pipe', stderr: number | 'pipe'): ChildProcess =>
    spawn(process.execPath, [COMMAND_LINE, ...args], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', stdout, stderr],
    });

  /** Runs a command with such a reader; gives its exit code and what it says on standard error. */
  const unread = async (make: (directory: string) => DeadReader, args: readonly string[], isBoth = false) => {
    const reader = make(directory());
    readers.push(reader);
    const child = spawnWith(args, reader.fd, isBoth ? reader.fd : 'pipe');
    const said = child.stderr === null ? '' : text(child.stderr);
    const begun = performance.now();
    await once(child, 'exit');
    // On a busy machine it takes a while to start; one that waits for the reader would never end.
    expect(performance.now() - begun, args.join(' ')).to.be.below(20 * SECOND);
    return { code: child.exitCode, said: await said };
  };

  const reported = async (): Promise<string> => (await run(REPORT, { env })).stdout.split(' ')[0]!;

  for (const [what, make] of Object.entries(DEAD_READERS)) {
    it(`ends with the exit code of what it did, into ${what}`, async () => {
      const bad = join(home.directory, 'bad.jsonl');
      writeFileSync(bad, 'nonsense\n');
      for (const isBoth of [false, true]) {
        expect((await unread(make, REPORT, isBoth)).code).to.equal(0);
        expect((await unread(make, ['verify', '--key', home.key, bad], isBoth)).code).to.equal(1);
        expect((await unread(make, ['list', '--nonsense'], isBoth)).code).to.equal(2);
      }
    });

    it(`does all of its work, into ${what}`, async () => {
      const ids = [await reported(), await reported(), await reported()];
      const { code, said } = await unread(make, ['ack', ...ids]);
      expect(code).to.equal(0);
      if (what.includes('disk')) expect(said).to.include('no space is left where it goes (ENOSPC)');
      if (what.includes('gone')) expect(said).to.equal('');
      for (const id of ids) {
        expect((await service.get(`/api/v1/incidents/get?id=${id}`)).json).to.include({ state: 'acknowledged' });
      }
    });
  }

  it('stops to follow the log when its reader has gone', async () => {
    await reported();
    const { code } = await unread(DEAD_READERS['a pipe whose reader has gone']!, ['watch', '--after', '0']);
    expect(code).to.equal(0);
  });

  it('notices a reader that has gone with the first entry, and waits for no second', async () => {
    await reported();
    const { audit } = (await service.get('/health')).json as { readonly audit: { readonly last_seq: number } };
    const { code } = await unread(DEAD_READERS['a pipe whose reader has gone']!, [
      'watch',
      '--after',
      `${audit.last_seq - 1}`,
    ]);
    expect(code).to.equal(0);
  });

  it('loses nothing to a reader that is slow', async () => {
    const evidence = JSON.stringify({ much: 'x'.repeat(50_000) });
    for (let count = 0; count < 4; count++) await run([...REPORT, '--evidence', evidence], { env });
    const child = spawnWith(['list', '--json'], 'pipe', 'pipe');
    // Reads nothing until long after the command would give up one that is stuck.
    await wait(1500);
    const output = await text(child.stdout!);
    expect(
      output
        .trimEnd()
        .split('\n')
        .filter((line) => line.includes('xxx')),
    ).to.have.length(4);
  });
});
