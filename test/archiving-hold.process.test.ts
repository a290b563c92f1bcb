/** Archiving holds the event loop for a few milliseconds at a time, however many incidents a segment has. */
import { join } from 'node:path';
import { expect } from 'chai';
import { chainHash } from '../src/audit/chain-hash.ts';
import { DAY } from '../src/clock.ts';
import { Archivist } from '../src/incidents/archivist.ts';
import { generateLog } from './bench/generate-log.ts';
import { KEY } from './support/audit-log.ts';
import { Recording } from './support/recording.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

/** In milliseconds. */
const LONGEST = 20;
/** At once they would take a fifth of a second. */
const INCIDENTS = 10_000;

describe('archiving a full segment', function () {
  this.timeout(180_000);
  // Processor time grows where two processes share a core.
  this.retries(2);
  const directory = temporaryDirectories();

  it(`holds nobody up for ${LONGEST} ms, while reports are recorded`, async () => {
    const home = directory();
    const path = join(home, 'audit.jsonl');
    const segmentBytes = 20 * 1024 * 1024;
    await generateLog({ incidents: INCIDENTS, path, hash: chainHash(Buffer.from(KEY)), segmentBytes });
    // The database is made from the log first: to compact that takes a while.
    await (await Recording.open(home, { segmentBytes })).close();
    const recording = await Recording.open(home, { segmentBytes });
    try {
      const { log, projections, incidents, clock, recorder } = recording;
      clock.milliseconds = Date.now() + 365 * DAY;
      const archivist = new Archivist({ log, projections, incidents, clock, isVerified: () => true });
      const watch = new Watch();
      let reports = 0;
      const done = new AbortController();
      const reporting = (async () => {
        for (; !done.signal.aborted; reports++) {
          await recorder.report({ class: 'tool_call_burst', source: 's', description: `d ${reports}` });
          await new Promise((resolve) => void setTimeout(resolve, 2));
        }
      })();
      const { archived } = await archivist.archive(clock.now() - DAY);
      done.abort();
      await reporting;
      const longest = watch.end();
      expect(archived[0]?.incidents).to.be.greaterThan(INCIDENTS / 2);
      expect(reports).to.be.greaterThan(20);
      expect(longest).to.be.below(LONGEST);
    } finally {
      await recording.close();
    }
  });
});

/** Measures the most processor time of this thread between two rounds of a timer. */
class Watch {
  #last = used();
  #longest = 0;
  readonly #timer = setInterval(() => this.#look(), 1);

  /** In milliseconds. */
  end(): number {
    clearInterval(this.#timer);
    this.#look();
    return this.#longest;
  }

  #look(): void {
    const now = used();
    this.#longest = Math.max(this.#longest, now - this.#last);
    this.#last = now;
  }
}

function used(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
