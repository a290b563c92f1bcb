/**
 * Counts the instructions that a report takes, in the service and in the Koa floor, both jitless. The counts depend
 * neither on how fast the machine is nor on what else it does, so a test can hold their ratio.
 *
 * Valgrind's callgrind counts, in all threads, without the kernel. What would make two runs differ is taken out:
 *
 * - Start, and functions that compile when first used: counting begins after reports that warm the subject up.
 * - Time: a subject takes some 30 times as long under valgrind, and its timers would fire as much more often. So its clock
 *   moves by a fixed step each time it is read (libfaketime), which makes some 600 reports a second.
 * - How many reports share a sync: all connections send at once, and again when all have their answers.
 * - Full garbage collections, which come once in hundreds of reports and cost as much as thirty of them: the heap is so
 *   large that there is none. Collections of young objects are counted.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { MINUTE } from '../../src/clock.ts';
import { libfaketime } from '../faults/support/needs.ts';
import { ServiceHome } from '../support/running-service.ts';
import { bundle } from './bundle.ts';
import { answersOf } from './load.ts';
import { plainReportRequest, reportRequest } from './sending.ts';
import { Subject } from './subject.ts';

const run = promisify(execFile);

const CONNECTIONS = 16;
const WARM_UP_ROUNDS = 8;
const ROUNDS = 40;
const REPORTS = CONNECTIONS * ROUNDS;

/** Comes after the flags of the hardened host, and wins. */
const LARGE_HEAP = ['--max-old-space-size=512', '--initial-old-space-size=512'];

/** In the words of libfaketime: where the clock begins, and by how many seconds each look moves it. */
const CLOCK = '@2026-11-22 07:12:00 i0.0001';

/** Also beside other tests on a slow machine. */
const PATIENCE = 5 * MINUTE;

export interface Instructions {
  /** Of one report in the service. */
  readonly service: number;
  /** Of the same report in the Koa floor. */
  readonly koaFloor: number;
  /** What the Koa floor takes, as a share of what the service takes. */
  readonly share: number;
}

interface Counted {
  readonly instructions: number;
  readonly entryBytes: number;
  readonly answerBytes: number;
}

/**
 * Counts the service and the Koa floor, one after the other: half a minute on an idle machine.
 *
 * @param service the path of a built service, `dist/service.cjs`
 */
export async function countInstructions(service: string): Promise<Instructions> {
  const directory = mkdtempSync(join(tmpdir(), 'incident-recorder-instructions-'));
  try {
    const home = new ServiceHome(mkdtempSync(join(directory, 'service-')));
    const seen = await count(home.directory, home.log, {
      command: () => [service],
      env: (port) => ({ ...home.env, BIND_ADDR: `127.0.0.1:${port}` }),
    });
    const script = await bundle('koa-floor.ts', directory);
    const floor = mkdtempSync(join(directory, 'floor-'));
    const log = join(floor, 'log');
    const { instructions: koaFloor } = await count(floor, log, {
      command: (port) => [script, String(port), log, String(seen.entryBytes), String(seen.answerBytes)],
    });
    return { service: seen.instructions, koaFloor, share: koaFloor / seen.instructions };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Runs a server under callgrind, with its files in `directory`, and counts what a report takes. */
async function count(
  directory: string,
  log: string,
  { command, env }: Pick<Parameters<typeof Subject.start>[0], 'command' | 'env'>,
): Promise<Counted> {
  const counts = join(directory, 'counts');
  const control = `--vgdb-prefix=${join(directory, 'vgdb')}`;
  const subject = await Subject.start({
    setting: 'jitless',
    under: ['valgrind', '--tool=callgrind', '--instr-atstart=no', control, `--callgrind-out-file=${counts}`],
    command: (port) => [...LARGE_HEAP, ...command(port)],
    env: (port) => ({ ...env?.(port), LD_PRELOAD: libfaketime(), FAKETIME: CLOCK }),
    output: join(directory, 'output'),
    patience: PATIENCE,
  });
  const tell = (...words: readonly string[]) => run('vgdb', [control, `--pid=${subject.pid}`, ...words]);
  try {
    const reporters = await Reporters.connect(subject.port);
    await reporters.send(WARM_UP_ROUNDS);
    await tell('instrumentation', 'on');
    const before = statSync(log).size;
    await reporters.send(ROUNDS);
    await tell('dump');
    reporters.close();
    const sum = /^summary: (\d+)$/m.exec(readFileSync(`${counts}.1`, 'utf8'))?.[1];
    if (sum === undefined) throw new Error(`callgrind gave no sum in ${counts}.1`);
    return {
      instructions: Number(sum) / REPORTS,
      entryBytes: Math.round((statSync(log).size - before) / REPORTS),
      answerBytes: reporters.answerBytes,
    };
  } finally {
    await subject.stop();
  }
}

/** Connections that all report at once, and again when all are answered. */
class Reporters {
  answerBytes = 0;
  readonly #connections: readonly { readonly socket: Socket; readonly answers: ReturnType<typeof answersOf> }[];

  private constructor(sockets: readonly Socket[]) {
    this.#connections = sockets.map((socket) => ({ socket, answers: answersOf(socket) }));
  }

  static async connect(port: number): Promise<Reporters> {
    const sockets = Array.from({ length: CONNECTIONS }, () => connect({ port, host: '127.0.0.1', noDelay: true }));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    return new Reporters(sockets);
  }

  async send(rounds: number): Promise<void> {
    const requests = [reportRequest(), plainReportRequest()];
    for (let round = 0; round < rounds; round++) {
      const answers = this.#connections.map(({ answers: { next } }) => next());
      this.#connections.forEach(({ socket }, at) => socket.write(requests[at % requests.length]!));
      for (const { status, bodyBytes } of await Promise.all(answers)) {
        if (status !== 201) throw new Error(`a report was answered with ${status}`);
        this.answerBytes = bodyBytes;
      }
    }
  }

  close(): void {
    for (const { socket } of this.#connections) socket.destroy();
  }
}
