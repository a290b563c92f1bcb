import { rmSync } from 'node:fs';
import { SECOND } from '../../../src/clock.ts';
import type { Bench, Row } from '../bench.ts';
import { LARGE } from '../bench.ts';
import { datasetOf } from '../dataset.ts';
import { putLoad } from '../load.ts';
import { medianOf } from '../median.ts';
import { reportRequest } from '../sending.ts';

const ROUNDS = 7;
const DURATION = 1 * SECOND;

/** What a report costs with many incidents on record, as a multiple of what it costs with none. */
export async function growth(bench: Bench, cache: string | undefined): Promise<void> {
  const rows: Row[] = [];
  for (const incidents of [10_000, ...(bench.large ? [LARGE] : [])]) {
    const { home } = await datasetOf(bench, incidents, cache);
    for (const setting of ['jit', 'jitless'] as const) {
      const none = await bench.startService(bench.home(), setting);
      const many = await bench.startService(home, setting);
      const rate = async ({ port }: { readonly port: number }): Promise<number> =>
        (await putLoad({ port, requests: [reportRequest()], connections: 16, duration: DURATION })).perSecond;
      for (const subject of [none, many]) await rate(subject);
      const rates: { readonly none: number; readonly many: number }[] = [];
      for (let round = 0; round < ROUNDS; round++) rates.push({ none: await rate(none), many: await rate(many) });
      await none.stop();
      await many.stop();
      rows.push({
        incidents,
        setting,
        'reports/s at 0': medianOf(rates.map((one) => one.none)),
        'reports/s': medianOf(rates.map((one) => one.many)),
        'cost, of that at 0': medianOf(rates.map((one) => one.none / one.many)),
      });
    }
    rmSync(home.directory, { recursive: true });
  }
  bench.report('cost of a report with many on record, in turn with none on record', rows);
}
