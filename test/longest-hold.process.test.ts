/**
 * No request holds the event loop for long, under the unit's flags: others would wait, and in the box ten times as long.
 *
 * What counts is the processor time of the main thread between two rounds of a timer, so that other tests on the same
 * processors change little; the least of a few tries.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { HARDENED_NODE } from '../src/build/hardened-node.ts';
import { ROOT, type RunningService, runningServices, ServiceHome } from './support/running-service.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

/** In milliseconds. */
const LONGEST = 50;
const TRIES = 25;
/** More than a page of history has. */
const OCCURRENCES = 2500;
const AT_ONCE = 16;
/** So many bytes of evidence fit into a report. */
const LARGEST = 256 * 1024 - 200;

/** Runs in the service. At SIGUSR2 it prints the longest hold since the last one, in milliseconds. */
const WATCH = `
  const { writeSync } = require('node:fs');
  const used = () => { const { user, system } = process.threadCpuUsage(); return (user + system) / 1000; };
  let last = used(), longest = 0, count = 0;
  const look = () => { const now = used(); longest = Math.max(longest, now - last); last = now; };
  setInterval(look, 1).unref();
  process.on('SIGUSR2', () => {
    look();
    writeSync(1, JSON.stringify({ look: ++count, longest }) + '\\n');
    last = used();
    longest = 0;
  });`;

/** What takes the longest to parse, to write in the canonical form, or to verify, for its length. */
const EVIDENCE: Readonly<Record<string, string>> = {
  'small numbers': listOf('1e-7'),
  'empty objects': listOf('{}'),
  'empty lists': listOf('[]'),
  keys: `{${Array.from({ length: LARGEST / 9 - 200 }, (_, at) => `"${at.toString(16)}":1`).join(',')}}`,
  'characters beyond ASCII': `"${'é'.repeat(LARGEST / 2 - 100)}"`,
};

function listOf(item: string): string {
  return `[${Array.from({ length: Math.floor(LARGEST / (item.length + 1)) - 20 }, () => item).join(',')}]`;
}

describe('one request', function () {
  // Other tests run at the same time, and processor time grows where two share a core.
  this.retries(2);
  const directory = temporaryDirectories();
  const start = runningServices();
  let service: RunningService;
  let looks: number;

  beforeEach(async () => {
    const home = new ServiceHome(directory());
    const watch = join(directory(), 'watch.cjs');
    looks = 0;
    writeFileSync(watch, WATCH);
    service = await start(home, {
      env: HARDENED_NODE.env,
      command: [...HARDENED_NODE.flags, '--require', watch, join(ROOT, 'dist/service.cjs')],
    });
  });

  /** The longest hold since the last call. */
  const longestHold = async (): Promise<number> => {
    looks += 1;
    service.process.kill('SIGUSR2');
    return (JSON.parse(await service.said(`{"look":${looks},`)) as { longest: number }).longest;
  };

  /** The least of the longest holds of some tries: of more, while others have the processors and it takes too long. */
  const holdOf = async (ask: () => Promise<unknown>): Promise<number> => {
    let least = Infinity;
    for (let count = 0; count < TRIES && least >= LONGEST; count++) {
      await longestHold();
      await ask();
      least = Math.min(least, await longestHold());
    }
    return least;
  };

  /** As many incidents as a query takes. */
  const many = async (): Promise<string> => {
    const newest = (await service.get('/api/v1/incidents?limit=130')).json as readonly { readonly id: string }[];
    return newest.map(({ id }) => `id=${id}`).join('&');
  };

  for (const [what, evidence] of Object.entries(EVIDENCE)) {
    it(`that reports or reads as many ${what} as fit holds nobody up`, async () => {
      const report = `{"class":"tool_call_burst","source":"s","description":"d","evidence":{"e":${evidence}}}`;
      let id = '';
      const reporting = await holdOf(async () => {
        const { status, json } = await service.post('/api/v1/incidents/report', report);
        expect(status).to.equal(201);
        ({ id } = json);
      });
      expect(reporting, 'report').to.be.below(LONGEST);
      for (const read of ['get', 'history', 'transitions', 'statechart', 'bundle']) {
        const hold = await holdOf(() => service.get(`/api/v1/incidents/${read}?id=${id}`));
        expect(hold, read).to.be.below(LONGEST);
      }
      for (const path of ['groups?limit=1000', 'changes?after=0']) {
        expect(await holdOf(() => service.get(`/api/v1/incidents/${path}`)), path).to.be.below(LONGEST);
      }
      expect(await holdOf(() => service.get('/api/v1/stats/compare')), 'compare').to.be.below(LONGEST);
    });
  }

  it('that reads about an incident with many entries, or about many, holds nobody up', async () => {
    const { id } = (await service.report({ dedup_key: 'k', evidence: { text: 'x'.repeat(300) } })).json;
    for (let count = 0; count < OCCURRENCES; count += AT_ONCE) {
      await Promise.all(
        Array.from({ length: AT_ONCE }, (_, at) =>
          service.report({ dedup_key: at % 2 === 0 ? 'k' : undefined, source: 's', description: `d ${count + at}` }),
        ),
      );
    }
    for (const path of [
      ...['get', 'history', 'transitions', 'statechart', 'bundle'].map((read) => `/api/v1/incidents/${read}?id=${id}`),
      '/api/v1/incidents?limit=1000',
      '/api/v1/incidents?limit=1000&q=d+1*',
      '/api/v1/incidents?limit=1000&collapse=source',
      '/api/v1/incidents?state=resolved&q=d',
      '/api/v1/openapi.json',
      '/api/v1/machines/incident?format=svg',
      '/api/v1/stats',
      '/api/v1/stats/hours?hours=168',
      '/api/v1/stats/compare?by=source',
      '/api/v1/stats/groups?limit=1000',
      '/api/v1/incidents?attention=true',
      '/api/v1/incidents/groups?limit=1000',
      '/api/v1/incidents/groups?by=assignee&q=d',
      '/api/v1/incidents/changes?after=0',
      `/api/v1/containment/preview?command=resolve&${await many()}`,
      '/api/v1/silences',
      '/api/v1/containment',
      '/metrics',
      '/health',
    ]) {
      expect(await holdOf(() => service.get(path)), path).to.be.below(LONGEST);
    }
  });
});
