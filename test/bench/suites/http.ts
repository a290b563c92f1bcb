import { statSync } from 'node:fs';
import { SECOND } from '../../../src/clock.ts';
import type { Bench, Row } from '../bench.ts';
import { type Measured, putLoad } from '../load.ts';
import { medianOf } from '../median.ts';
import { reportRequest } from '../sending.ts';
import type { Subject } from '../subject.ts';

const CONNECTIONS = [1, 16, 256];
const ROUNDS = 2;
const WARM_UP = 1.2 * SECOND;
const DURATION = { jit: 1.2 * SECOND, jitless: 1.2 * SECOND, box: 2.5 * SECOND };

const PACE = 100;
const PACED_DURATION = 6 * SECOND;

/** Durable reports a second, beside the floor, and how long a reporter waits when they come at a steady pace. */
export async function http(bench: Bench): Promise<void> {
  const requests = [reportRequest()];
  const rows: Row[] = [];
  const paced: Row[] = [];
  for (const setting of bench.settings) {
    const home = bench.home();
    const service = await bench.startService(home, setting);
    const before = statSync(home.log).size;
    const probe = await putLoad({ port: service.port, requests, connections: 1, duration: WARM_UP });
    const entryBytes = Math.round((statSync(home.log).size - before) / probe.answers);
    const floor = await bench.startFloor(setting, entryBytes, probe.bodyBytes);
    const load = (subject: Subject, connections: number, duration: number): Promise<Measured> =>
      putLoad({ port: subject.port, requests, connections, duration });
    for (const subject of [service, floor]) await load(subject, 16, WARM_UP);
    for (const connections of CONNECTIONS) {
      const measured: { readonly service: Measured; readonly floor: Measured }[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        measured.push({
          service: await load(service, connections, DURATION[setting]),
          floor: await load(floor, connections, DURATION[setting]),
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
  }
  bench.report('durable reports, closed loop, service and floor in turn', rows);
  bench.report(`${PACE} reports a second, from when each was due`, paced);
}
