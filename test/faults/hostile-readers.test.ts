/**
 * Whoever reaches the loopback can read, without a token. Readers that ask for as much as they can, and take answers
 * slowly or not at all, must not end the service, nor keep a report from being recorded.
 */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { expect } from 'chai';
import { HARDENED_NODE } from '../../src/build/hardened-node.ts';
import { readAll, recordLarge } from '../support/greedy-readers.ts';
import { ROOT, type RunningService, runningServices, ServiceHome, TOKEN } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Ledger } from './support/ledger.ts';
import { MOST_MEBIBYTES, mostOwned } from './support/memory.ts';
import { needs } from './support/needs.ts';

/** As the unit has them. */
const DESCRIPTORS = 512;

describe('given readers that ask for as much as they can', () => {
  const start = runningServices();
  const directory = temporaryDirectories();
  needs('prlimit');

  /** The service in what the hardened host leaves it, with more than a page of large incidents and of one's history. */
  const prepared = async (env = {}): Promise<{ home: ServiceHome; service: RunningService; id: string }> => {
    const home = new ServiceHome(directory());
    const service = await start(home, {
      env: { ...HARDENED_NODE.env, ...env },
      command: [...HARDENED_NODE.flags, join(ROOT, 'dist/service.cjs')],
      under: ['prlimit', `--nofile=${DESCRIPTORS}`],
    });
    const id = await recordLarge(service);
    return { home, service, id };
  };

  /** Holds that reports are recorded while `readers` read, and that all of it fits. */
  const expectUnmoved = async (service: RunningService, readers: readonly Socket[]): Promise<void> => {
    const ledger = new Ledger();
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, descriptors(service))), 5);
    try {
      await ledger.load(service, () => ledger.accounts.length < 100, 2);
      await after(1000);
    } finally {
      clearInterval(watch);
    }
    for (const reader of readers) reader.destroy();

    expect(ledger.counts).to.include({ refused: 0, unanswered: 0 });
    expect(most).to.be.below(DESCRIPTORS - 64);
    expect(mostOwned(service)).to.be.at.most(MOST_MEBIBYTES);
    expect((await service.get('/api/v1/incidents')).status).to.equal(200);
    expect(service.output.filter((line) => /EMFILE|"level":60/.test(line))).to.deep.equal([]);
  };

  for (const [what, path] of [
    ['the list', () => '/api/v1/incidents'],
    ['a history', (id: string) => `/api/v1/incidents/history?id=${id}`],
    ['the description of the API', () => '/api/v1/openapi.json'],
    ['a statechart', (id: string) => `/api/v1/incidents/statechart?id=${id}`],
    ['groups', () => '/api/v1/incidents/groups?limit=1000'],
    ['what has changed', () => '/api/v1/incidents/changes?after=0'],
  ] as const) {
    it(`then many at once of ${what}, and many on one connection, leave it as it is`, async () => {
      const { service, id } = await prepared();
      const many = readAll(service, path(id), { connections: 8, times: 500 });
      const slow = readAll(service, path(id), { connections: 100, takes: false });
      const quick = readAll(service, path(id), { connections: 100 });
      await expectUnmoved(service, [...many, ...slow, ...quick]);
      expect(await service.end()).to.equal(0);
    });
  }

  it('then the log goes on in its next file all the while', async () => {
    const { home, service, id } = await prepared({ AUDIT_SEGMENT_BYTES: '20000' });
    const ledger = new Ledger();
    const readers = readAll(service, `/api/v1/incidents/history?id=${id}`, { connections: 200, times: 8 });
    await ledger.load(service, () => ledger.accounts.length < 100, 2);
    for (const reader of readers) reader.destroy();
    expect(ledger.counts).to.include({ refused: 0, unanswered: 0 });
    expect((await service.get('/health')).json.audit.segments).to.be.above(50);
    expect(await service.end()).to.equal(0);
    await home.expectSound();
  });

  it('then a few connections take neither all event streams nor the lists from others', async () => {
    const { service } = await prepared();
    const streams = readAll(service, '/api/v1/events', { connections: 4, times: 16 });
    const lists = readAll(service, '/api/v1/incidents', { connections: 8, times: 16, takes: false });
    const figures = readAll(service, '/metrics', { connections: 16, times: 16 });
    await after(500);
    for (const token of [null, TOKEN]) {
      const [reader] = readAll(service, '/api/v1/events', { connections: 1, ...(token !== null && { token }) });
      const [answer] = (await once(reader!, 'data')) as [Buffer];
      expect(answer.toString('latin1')).to.match(/^HTTP\/1\.1 200 /);
      reader!.destroy();
      for (let count = 0; count < 10; count++) {
        expect((await service.send('GET', '/api/v1/incidents?limit=1', { token })).status).to.equal(200);
      }
    }
    for (let count = 0; count < 20; count++) expect((await service.report()).status).to.equal(201);
    for (const reader of [...streams, ...lists, ...figures]) reader.destroy();
  });

  it('then connections on which nothing is asked give way to those that report', async () => {
    const { service } = await prepared();
    const idle = readAll(service, '/livez', { connections: 256 });
    // Each has been answered, or given up.
    const settled = idle.map((socket) => Promise.race([once(socket, 'data'), once(socket, 'close')]));
    // One that is reset is given up, too.
    await Promise.allSettled(settled);
    for (let count = 0; count < 20; count++) {
      const { status } = await service.send('POST', '/api/v1/incidents/report', {
        body: { class: 'prompt_injection', source: 'late', description: 'from a new connection' },
        headers: { connection: 'close' },
      });
      expect(status).to.equal(201);
    }
    for (const socket of idle) socket.destroy();
  });
});

const descriptors = ({ process: { pid, exitCode, signalCode } }: RunningService): number =>
  exitCode === null && signalCode === null ? readdirSync(`/proc/${pid}/fd`).length : 0;
