/** A shipper within the limits of its unit, that is killed at random while both of its sides fail. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { expect } from 'chai';
import { MINUTE } from '../../src/clock.ts';
import { Box } from '../bench/setting.ts';
import { chain, chainLine } from '../ship/support/chain.ts';
import { FLEET_TOKEN, MACHINE, TestFleet } from '../ship/support/test-fleet.ts';
import { RECORDER_TOKEN, TestRecorder } from '../ship/support/test-recorder.ts';
import { COMMAND_LINE } from '../support/programs.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { SHIPPER_PATH, UnitFile } from '../systemd/support/unit-file.ts';
import { rounds } from './support/length.ts';
import { needs } from './support/needs.ts';

const MEBIBYTE = 1024 * 1024;

describe('given a shipper in its unit', () => {
  const directory = temporaryDirectories();
  /** Node's own; the last word is the subcommand. */
  const FLAGS = UnitFile.read(SHIPPER_PATH).nodeFlags.filter((word) => word.startsWith('--'));
  let fleet: TestFleet;
  let recorder: TestRecorder;
  let env: Record<string, string>;

  beforeEach(async () => {
    fleet = await new TestFleet().start();
    recorder = await new TestRecorder().start();
    const home = directory();
    env = {
      PATH: process.env.PATH ?? '',
      UV_THREADPOOL_SIZE: '2',
      MALLOC_ARENA_MAX: '1',
      OPENSSL_CONF: '/nonexistent',
      FLEET_URL: fleet.url,
      FLEET_MACHINE: MACHINE,
      FLEET_TOKEN_PATH: join(home, 'fleet-token'),
      INCIDENT_RECORDER_URL: recorder.url,
      INCIDENT_RECORDER_TOKEN_PATH: join(home, 'recorder-token'),
    };
    writeFileSync(env.FLEET_TOKEN_PATH!, FLEET_TOKEN);
    writeFileSync(env.INCIDENT_RECORDER_TOKEN_PATH!, RECORDER_TOKEN);
  });
  afterEach(async () => {
    await fleet.stop();
    await recorder.stop();
    expect([...fleet.faults, ...recorder.faults]).to.deep.equal([]);
  });

  const start = (under: readonly string[] = []): ChildProcess => {
    const [program, ...args] = [...under, process.execPath, ...FLAGS, COMMAND_LINE];
    return spawn(program, [...args, 'ship', '--no-prove'], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  };
  const end = async (child: ChildProcess): Promise<void> => {
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  };
  const append = (count: number): void => {
    for (let n = 0; n < count; n++) {
      const [last] = recorder.lines.slice(-1);
      recorder.append(chainLine(recorder.lines.length + 1, last?.hash ?? ''));
    }
  };
  const expectAll = (): void => {
    expect(fleet.lines(recorder.log).length).to.equal(recorder.lines.length);
    expect(fleet.lines(recorder.log)).to.deep.equal(recorder.lines.map(({ line }) => line));
    expect(fleet.divergences).to.equal(0);
  };

  it('nothing is lost or doubled when it is killed at random, and the fleet and the recorder fail', async function () {
    this.timeout(rounds(4, 30) * MINUTE);
    recorder.lines = chain(20_000);
    let requests = 0;
    fleet.cutsAnswer = () => requests++ % 7 === 6;
    let opened = 0;
    recorder.cutsLog = () => opened++ % 5 === 4;
    const done: string[] = [];
    recorder.answer = (path, { command }) => {
      if (path.endsWith('/anchors')) return [200, { recorded: false, why: 'too early' }];
      done.push(command!);
      return [200, { status: 200, body: {} }];
    };
    for (let kill = 0; kill < rounds(6, 60); kill++) {
      fleet.commands.push({ id: `CMD-${kill}`, command: `command ${kill}` });
      const child = start();
      await after(randomInt(600, 1500));
      append(randomInt(1, 1500));
      if (kill % 3 === 1) await fleet.stop();
      if (kill % 3 === 2) await recorder.stop();
      await after(randomInt(10, 600));
      await end(child);
      if (kill % 3 === 1) await fleet.start();
      if (kill % 3 === 2) await recorder.start();
    }
    const child = start();
    await eventually(() => fleet.lines(recorder.log).length === recorder.lines.length && fleet.commands.length === 0);
    await end(child);
    expectAll();
    expect(new Set(done).size).to.equal(rounds(6, 60));
    expect(new Set(fleet.results.map(({ id }) => id)).size).to.equal(rounds(6, 60));
  });

  describe('of 64 MiB', () => {
    needs('box');

    it('it catches up within them, however far it is behind', async function () {
      this.timeout(10 * MINUTE);
      recorder.lines = chain(rounds(100_000, 1_000_000), (seq) => `${seq} ${'evidence '.repeat(seq % 20)}`);
      const box = Box.make(`shipper-${process.pid}`, 64 * MEBIBYTE);
      const child = start(box.entrance);
      try {
        await eventually(() => {
          expect(child.exitCode ?? child.signalCode, 'how it ended').to.equal(null);
          return fleet.lines(recorder.log).length === recorder.lines.length;
        });
        expect(ownedMebibytes(child)).to.be.lessThan(56);
      } finally {
        await end(child);
        await eventually(() => {
          try {
            box.remove();
            return true;
          } catch {
            return false;
          }
        });
      }
      expectAll();
    });
  });
});

/** The most memory that it had, in MiB, but for what is mapped from files. */
function ownedMebibytes({ pid }: ChildProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024;
  console.log(`      peak ${Math.round(field('VmHWM'))} MiB, of it ${Math.round(field('RssFile'))} from files`);
  return field('VmHWM') - field('RssFile');
}
