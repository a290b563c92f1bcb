/** A fleet with one connection to its database, or two, while many read, write and follow: all of them are answered. */
import { expect } from 'chai';
import { createInterface } from 'node:readline';
import { get, request } from 'node:http';
import { systemClock } from '../../src/clock.ts';
import type { Fleet } from '../../src/fleet/fleet.ts';
import { Random } from '../bench/random.ts';
import { onEachEngine } from './support/engines.ts';
import { MachineLog } from './support/machine-log.ts';

const MACHINES = ['a', 'b', 'c', 'd'];
const READERS = 12;
const ASKED = 8;
const ENTRIES = 160;
const BATCH = 20;
/** In milliseconds. A query waits for a connection for 30 seconds, and then fails: nobody does here. */
const LONGEST_WAIT = 20_000;

const PATHS = [
  '/api/v1/incidents',
  '/api/v1/incidents?sort=-updated&fields=summary',
  '/api/v1/incidents?assignee=none&state=acknowledged',
  '/api/v1/incidents?class=prompt_injection&source=tool-firewall',
  '/api/v1/incidents?attention=true&silenced=false',
  '/api/v1/incidents?q=ignores',
  '/api/v1/incidents?q=evidence.process:p1',
  '/api/v1/incidents?machine=a&state=open',
  '/api/v1/incidents?collapse=source&site=berlin',
  '/api/v1/incidents/groups?by=machine',
  '/api/v1/stats',
  '/api/v1/stats/hours?hours=24',
  '/api/v1/stats/compare',
  '/api/v1/machines',
  '/api/v1/containment',
  '/api/v1/containment?machine=b',
  '/api/v1/recovery/status',
  '/api/v1/campaigns',
  '/api/v1/commands',
  '/api/v1/fleet/incidents',
  '/api/v1/silences',
  '/metrics',
  '/health',
];

onEachEngine('a fleet with few connections to its database', (engine) => {
  let fleet: Fleet;
  afterEach(() => fleet.stop());

  const start = async (connections: number): Promise<void> => {
    const { database } = await engine.config();
    fleet = await engine.fleet({ database: 'url' in database ? { ...database, connections } : database });
    for (const machine of MACHINES)
      await fleet.db
        .insertInto('machines')
        .values({ machine, labels: JSON.stringify({ site: 'berlin' }), enrolled_at: new Date(), heard_at: new Date() })
        .execute();
  };

  const ask = (path: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = get({ ...fleet.address, path, agent: false }, (response) => {
        response.resume().once('end', () => resolve(response.statusCode ?? 0));
        response.once('aborted', () => reject(new Error(`the answer of ${path} has no end`)));
      });
      sent.setTimeout(LONGEST_WAIT, () => sent.destroy(new Error(`${path} was not answered`)));
      sent.once('error', reject);
    });

  /** Follows the stream. @returns how many entries came, and what ends it */
  const follow = async (): Promise<{ readonly count: () => number; readonly end: () => void }> => {
    let count = 0;
    const sent = request({ ...fleet.address, path: '/api/v1/events', agent: false }).end();
    const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
      sent.once('response', resolve).once('error', reject);
    });
    sent.on('error', () => {});
    response.on('error', () => {});
    createInterface(response)
      .on('error', () => {})
      .on('line', (line) => {
        if (line.startsWith('event: ') && !line.includes('campaign.')) count += 1;
      });
    return { count: () => count, end: () => void sent.destroy() };
  };

  const write = async (machine: string): Promise<void> => {
    const log = new MachineLog(machine).fill(ENTRIES);
    for (let from = 1; from <= log.through; from += BATCH) {
      const body = log.body(from, Math.min(log.through, from + BATCH - 1));
      await fleet.ingest.store({ machine, log: log.id, from, body, arrived: systemClock.monotonic() });
    }
  };

  const read = async (seed: number): Promise<void> => {
    const random = new Random(seed + 1);
    for (let count = 0; count < ASKED; count++) {
      const path = random.pick(PATHS);
      expect(await ask(path), path).to.equal(200);
    }
  };

  for (const connections of engine.name === 'PGlite' ? [1] : [1, 2]) {
    it(`answers all who ask, with ${connections}`, async () => {
      await start(connections);
      const streams = await Promise.all([follow(), follow()]);
      const over = new AbortController();
      const looking = (async () => {
        while (!over.signal.aborted) await fleet.look();
      })();
      try {
        await Promise.all([...MACHINES.map(write), ...Array.from({ length: READERS }, (_, seed) => read(seed))]);
        const { length } = await fleet.db.selectFrom('entries').select('seq').execute();
        for (const stream of streams)
          for (const until = systemClock.monotonic() + LONGEST_WAIT; stream.count() < length;) {
            expect(systemClock.monotonic(), `${stream.count()} of ${length} came`).to.be.below(until);
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
      } finally {
        over.abort();
        for (const stream of streams) stream.end();
        await looking;
      }
    }).timeout(240_000);
  }
});
