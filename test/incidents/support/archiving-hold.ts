/**
 * Archives a full segment while reports are recorded, in a process of its own: the garbage of other tests would count.
 *
 * Arguments: an empty directory, and how many incidents. Prints JSON: how many incidents were archived, how many reports
 * were recorded meanwhile, and the most processor time of the main thread between two rounds of a timer, in milliseconds.
 */
import { join } from 'node:path';
import { chainHash } from '../../../src/audit/chain-hash.ts';
import { DAY } from '../../../src/clock.ts';
import { Archivist } from '../../../src/incidents/archivist.ts';
import { generateLog } from '../../bench/generate-log.ts';
import { KEY } from '../../support/audit-log.ts';
import { Recording } from '../../support/recording.ts';

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

const [home = '', incidentCount = ''] = process.argv.slice(2);
const segmentBytes = 20 * 1024 * 1024;
await generateLog({
  incidents: Number(incidentCount),
  path: join(home, 'audit.jsonl'),
  hash: chainHash(Buffer.from(KEY)),
  segmentBytes,
});
// The database is made from the log first: to compact that takes a while.
await (await Recording.open(home, { segmentBytes })).close();
const recording = await Recording.open(home, { segmentBytes });
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
await recording.close();
process.stdout.write(`${JSON.stringify({ archived: archived[0]?.incidents, reports, longest })}\n`);
