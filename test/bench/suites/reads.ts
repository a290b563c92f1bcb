import { rmSync } from 'node:fs';
import { writeCursor } from '../../../src/api/incidents/cursor.ts';
import type { Bench, Row } from '../bench.ts';
import { LARGE } from '../bench.ts';
import { datasetOf } from '../dataset.ts';
import { type Measured, putLoad } from '../load.ts';
import { getRequest } from '../sending.ts';

const DURATION = 400;
const LIST = '/api/v1/incidents';

/**
 * How long readers wait, by what they ask and how many incidents are on record. The service has just been started, so it
 * verifies its log in the background meanwhile.
 */
export async function reads(bench: Bench, cache: string | undefined): Promise<void> {
  for (const incidents of [0, 10_000, ...(bench.large ? [LARGE] : [])]) {
    const { home, generated } = await datasetOf(bench, incidents, cache);
    const rows = new Map<string, Row>();
    for (const setting of ['jit', 'jitless'] as const) {
      const service = await bench.startService(home, setting);
      const ids = await someIdentifiers(service.port);
      for (const [name, paths] of Object.entries(questions(generated.entries, ids))) {
        if (paths.length === 0) continue;
        const requests = paths.map(getRequest);
        const measured: Measured = await putLoad({ port: service.port, requests, connections: 1, duration: DURATION });
        if (measured.refused > 0) throw new Error(`${name} is refused`);
        rows.set(name, {
          question: name,
          ...rows.get(name),
          KiB: measured.bodyBytes / 1024,
          [`${setting} p50 ms`]: measured.p50,
          [`${setting} p99 ms`]: measured.p99,
        });
      }
      await service.stop();
    }
    bench.report(`reads at ${incidents} incidents, one reader`, [...rows.values()]);
    rmSync(home.directory, { recursive: true });
  }
}

/** The paths that are asked, in turn, under a name for each kind of question. */
function questions(entries: number, ids: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const head = entries;
  const list = (query: string): readonly string[] => [`${LIST}?${query}`];
  const page = (rank: number, seq: number): string => `cursor=${writeCursor({ rank, seq, head })}`;
  return {
    'list, first page': [LIST],
    'list, first 50': list('limit=50'),
    'list, deep page': list(page(2, Math.floor(entries / 2))),
    'list, last page': list(page(3, Math.floor(entries / 50))),
    'by class': list('class=prompt_injection'),
    'by rare class': list('class=attestation_failure'),
    'by state': list('state=resolved'),
    'by rare state': list('state=open'),
    'by severity': list('severity=medium'),
    'by source': list('source=vault'),
    'by unknown source': list('source=nobody'),
    'by narrow time': list('since=2026-07-01T00:00:00Z&until=2026-07-01T01:00:00Z'),
    'by time, none': list('until=2026-01-01T00:00:00Z'),
    'by class and state': list('class=tool_call_burst&state=acknowledged'),
    'by rare combination': list('class=attestation_failure&state=open&severity=low'),
    'by class and foreign source': list('class=prompt_injection&source=vault'),
    'by two of each': list('class=prompt_injection&class=tool_call_burst&state=open&state=contained'),
    'by severity and state, rare': list('severity=low&state=open'),
    'by class and narrow time': list('class=integrity_violation&since=2026-07-01T00:00:00Z&until=2026-07-02T00:00:00Z'),
    'by state, deep page': list(`state=resolved&${page(2, Math.floor(entries / 2))}`),
    'by class and state, deep page': list(`class=prompt_injection&state=resolved&${page(1, Math.floor(entries / 3))}`),
    get: ids.map((id) => `${LIST}/get?id=${id}`),
    history: ids.map((id) => `${LIST}/history?id=${id}`),
    stats: ['/api/v1/stats'],
    health: ['/health'],
  };
}

/** Identifiers from all over the list. */
async function someIdentifiers(port: number): Promise<readonly string[]> {
  const identifiers: string[] = [];
  for (const day of ['05-03', '06-11', '07-20', '09-01', '11-10']) {
    const until = `2026-${day}T12:00:00Z`;
    const answer = await fetch(`http://127.0.0.1:${port}${LIST}?limit=200&until=${until}`);
    identifiers.push(...((await answer.json()) as { id: string }[]).map(({ id }) => id));
  }
  return identifiers;
}
