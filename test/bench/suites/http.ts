import { statSync } from 'node:fs';
import { SECOND } from '../../../src/clock.ts';
import type { Bench, Row } from '../bench.ts';
import { type Measured, putLoad } from '../load.ts';
import { medianOf } from '../median.ts';
import { reportRequest } from '../sending.ts';
import type { Subject } from '../subject.ts';

const CONNECTIONS = [1, 16, 256];
const ROUNDS = 3;
const WARM_UP = 1.2 * SECOND;
const DURATION = { jit: 1.2 * SECOND, jitless: 1.2 * SECOND, box: 2.5 * SECOND };

const PACE = 100;
const PACED_DURATION = 6 * SECOND;

interface Loaded extends Measured {
  /** What an answer takes of the processors, over all threads, in microseconds. */
  readonly processorTime: number;
}

/** Durable reports a second, beside the floors, and how long a reporter waits when they come at a steady pace. */
export async function http(bench: Bench): Promise<void> {
  const requests = [reportRequest()];
  const rows: Row[] = [];
  const paced: Row[] = [];
  for (const setting of bench.settings) {
    const home = bench.home();
    const service = await bench.startService(home, setting);
    const sizeBefore = statSync(home.log).size;
    const probe = await putLoad({ port: service.port, requests, connections: 1, duration: WARM_UP });
    const entryBytes = Math.round((statSync(home.log).size - sizeBefore) / probe.answers);
    const floor = await bench.startFloor('floor.ts', setting, entryBytes, probe.bodyBytes);
    const koa = await bench.startFloor('koa-floor.ts', setting, entryBytes, probe.bodyBytes);
    const load = async (subject: Subject, connections: number, duration: number): Promise<Loaded> => {
      const before = subject.processorTime;
      const seen = await putLoad({ port: subject.port, requests, connections, duration });
      return { ...seen, processorTime: ((subject.processorTime - before) / seen.answers) * 1000 };
    };
    for (const subject of [service, floor, koa]) await load(subject, 16, WARM_UP);
    for (const connections of CONNECTIONS) {
      const measured: Record<'service' | 'floor' | 'koa', Loaded>[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        measured.push({
          service: await load(service, connections, DURATION[setting]),
          floor: await load(floor, connections, DURATION[setting]),
          koa: await load(koa, connections, DURATION[setting]),
        });
      }
      rows.push({
        setting,
        connections,
        'reports/s': medianOf(measured.map((one) => one.service.perSecond)),
        'p50 ms': medianOf(measured.map((one) => one.service.p50)),
        'p99 ms': medianOf(measured.map((one) => one.service.p99)),
        refused: measured.reduce((sum, one) => sum + one.service.refused, 0),
        'floor/s': medianOf(measured.map((one) => one.floor.perSecond)),
        'floor p99 ms': medianOf(measured.map((one) => one.floor.p99)),
        'of floor': medianOf(measured.map((one) => one.service.perSecond / one.floor.perSecond)),
        'of Koa floor': medianOf(measured.map((one) => one.service.perSecond / one.koa.perSecond)),
        'CPU µs': medianOf(measured.map((one) => one.service.processorTime)),
        'floor CPU µs': medianOf(measured.map((one) => one.floor.processorTime)),
        'Koa CPU µs': medianOf(measured.map((one) => one.koa.processorTime)),
      });
    }
    const { p50, p99, max, perSecond, refused } = await putLoad({
      port: service.port,
      requests,
      connections: 16,
      duration: PACED_DURATION,
      rate: PACE,
    });
    paced.push({ setting, 'reports/s': perSecond, 'p50 ms': p50, 'p99 ms': p99, 'max ms': max, refused });
    await service.stop();
    await floor.stop();
    await koa.stop();
  }
  bench.report('durable reports, closed loop, service and floors in turn', rows);
  bench.report(`${PACE} reports a second, from when each was due`, paced);
}
