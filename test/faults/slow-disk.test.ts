import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { SERVICE } from '../support/programs.ts';
import { type RunningService, runningServices, ServiceHome, TOKEN } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Ledger } from './support/ledger.ts';
import { longOnly } from './support/length.ts';
import { needs } from './support/needs.ts';
import { traced } from './support/traced.ts';

const SLOW = 'delay_enter=500ms';

/** Node's memory as it is bounded on a hardened host. */
const IN_ITS_BOX = ['--max-old-space-size=64', '--max-semi-space-size=4', '--expose-gc', SERVICE];

describe('given a disk whose syncs take half a second or more', () => {
  const start = runningServices();
  const directory = temporaryDirectories();
  needs('strace');

  it('then no read waits for a sync', async function () {
    this.timeout(120_000);
    // Far less than a sync, yet more than a busy machine adds.
    await expectQuickReads(1500, 'fdatasync:delay_enter=3s', 500, 2000);
  });

  longOnly(
    'then reads are answered as if it were fast, also while SQLite moves its own log into its file',
    async function () {
      this.timeout(120_000);
      await expectQuickReads(20, `fdatasync,fsync:${SLOW}`, 3000, 60_000);
    },
  );

  const expectQuickReads = async (
    limit: number,
    fault: string,
    reads: number,
    evidenceBytes: number,
  ): Promise<void> => {
    const home = new ServiceHome(directory());
    const service = await start(home, traced(fault));
    const ledger = new Ledger(evidenceBytes);
    let measured = false;
    const load = ledger.load(service, () => !measured);
    // So many it takes until the service is warm.
    await delaysOf(service, 200);
    const delays = await delaysOf(service, reads);
    measured = true;
    await load;
    expect(percentile(delays, 0.99), 'ms, p99').to.be.lessThan(limit);
    expect(ledger.counts.refused).to.equal(0);
    await service.end('SIGKILL');
    await ledger.expectNothingLost(home);
  };

  it('then only so many reports wait; more are refused, and memory does not grow', async function () {
    this.timeout(120_000);
    const home = new ServiceHome(directory());
    // After those of the start and of the first report, one that lasts until all have come in, on a busy machine too.
    const service = await start(home, { ...traced('fdatasync:delay_enter=15s:when=3', home.log), command: IN_ITS_BOX });
    await service.report();
    const before = residentBytes(service);
    const answers = (await Promise.all(Array.from({ length: 200 }, () => pipelined(service, 16)))).flat();
    const growth = residentBytes(service) - before;
    const refused = answers.filter(({ status }) => status === 503);
    const acknowledged = answers.filter(({ status }) => status === 201);
    expect(refused.length).to.be.greaterThan(0);
    expect(refused.every(({ head }) => /^retry-after: \d+$/im.test(head))).to.equal(true);
    expect(acknowledged.length + refused.length).to.equal(3200);
    expect(growth / 1e6, 'MB').to.be.lessThan(64);
    expect((await service.get('/health')).json.total_incidents).to.equal(acknowledged.length + 1);
    expect(await service.end()).to.equal(0);
    await home.expectSound();
  });
});

/**
 * Asks every 10 ms, whether or not the last answer has come, and gives how many milliseconds each answer took. With the
 * token: strangers who ask so often have to give way to reports that wait for a sync.
 */
async function delaysOf(service: RunningService, count: number): Promise<readonly number[]> {
  const delays: Promise<number>[] = [];
  for (let n = 0; n < count; n++) {
    const asked = performance.now();
    delays.push(service.send('GET', '/health').then(() => performance.now() - asked));
    await after(10);
  }
  return Promise.all(delays);
}

const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((one, other) => one - other)[Math.floor(values.length * share)]!;

const residentBytes = ({ process }: RunningService): number => {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${process.pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
};

/** Sends reports on one connection without waiting for answers; gives these in their order. */
async function pipelined({ port }: RunningService, count: number) {
  const body = JSON.stringify({ class: 'tool_call_burst', source: 'flood', description: 'x'.repeat(500) });
  const head = (last: boolean): string =>
    [
      'POST /api/v1/incidents/report HTTP/1.1',
      'Host: 127.0.0.1',
      `Authorization: Bearer ${TOKEN}`,
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
      `Connection: ${last ? 'close' : 'keep-alive'}`,
    ].join('\r\n');
  const socket = connect(port, '127.0.0.1');
  socket.write(Array.from({ length: count }, (_, n) => `${head(n === count - 1)}\r\n\r\n${body}`).join(''));
  return (await text(socket))
    .split(/(?=HTTP\/1\.1 )/)
    .map((answer) => ({ status: Number(answer.slice(9, 12)), head: answer.slice(0, answer.indexOf('\r\n\r\n')) }));
}
