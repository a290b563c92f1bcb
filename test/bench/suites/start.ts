import { rmSync } from 'node:fs';
import type { Bench, Row } from '../bench.ts';
import { LARGE } from '../bench.ts';
import { datasetOf } from '../dataset.ts';
import { putLoad } from '../load.ts';
import { medianOf } from '../median.ts';
import { reportRequest } from '../sending.ts';

const STARTS = { jit: 7, jitless: 7, box: 5 };
const REPORTS = 1000;
const REPORTS_RATE = { jit: 2000, jitless: 1000, box: 100 };

/** From the start of the process to the first 200 of `/health`, with its projection intact, and the memory it takes. */
export async function start(bench: Bench, cache: string | undefined): Promise<void> {
  const rows: Row[] = [];
  for (const incidents of [0, 10_000, ...(bench.large ? [LARGE] : [])]) {
    const { home } = await datasetOf(bench, incidents, cache);
    for (const setting of bench.settings) {
      const times: number[] = [];
      const memory: number[] = [];
      for (let number = 0; number < (incidents === 0 ? STARTS[setting] : 1); number++) {
        const service = await bench.startService(home, setting);
        times.push(service.startTime);
        memory.push(service.peakMemory);
        await service.stop();
      }
      const service = await bench.startService(home, setting);
      const rate = REPORTS_RATE[setting];
      const duration = (REPORTS / rate) * 1000;
      await putLoad({ port: service.port, requests: [reportRequest()], connections: 16, duration, rate });
      rows.push({
        incidents,
        setting,
        'start ms': medianOf(times),
        'slowest ms': Math.max(...times),
        'peak MiB at start': medianOf(memory),
        [`peak MiB after ${REPORTS} reports`]: service.peakMemory,
      });
      await service.stop();
    }
    rmSync(home.directory, { recursive: true });
  }
  bench.report('start to the first 200 of /health, projection intact', rows);
}
