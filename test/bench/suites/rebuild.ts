import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SECOND } from '../../../src/clock.ts';
import type { ServiceHome } from '../../support/running-service.ts';
import type { Bench, Row } from '../bench.ts';
import { LARGE } from '../bench.ts';
import { datasetOf, removeProjection } from '../dataset.ts';
import { type EvidenceBytes, REALISTIC_EVIDENCE } from '../imagined-report.ts';
import { envOf, flagsOf, type Setting } from '../setting.ts';

/** Evidence with which an entry takes 600 bytes in the mean. */
const SMALL_EVIDENCE: EvidenceBytes = { least: 200, most: 200 };

/** How fast the projection is made again from the log, and how fast the command line verifies the log. */
export async function rebuild(bench: Bench, cache: string | undefined): Promise<void> {
  const rows: Row[] = [];
  const sizes = [10_000, 50_000, ...(bench.large ? [LARGE] : [])];
  for (const [incidents, evidence] of sizes.flatMap((size) => [
    [size, REALISTIC_EVIDENCE] as const,
    [size, SMALL_EVIDENCE] as const,
  ])) {
    const { home, generated } = await datasetOf(bench, incidents, cache, evidence);
    const { entries, bytes } = generated;
    for (const setting of ['jit', 'jitless'] as const) {
      const intact = await bench.startService(home, setting);
      await intact.stop();
      await removeProjection(home);
      const rebuilt = await bench.startService(home, setting);
      const peak = rebuilt.peakMemory;
      await rebuilt.stop();
      const verifying = await verify(bench, home, setting);
      rows.push({
        incidents,
        'bytes/entry': bytes / entries,
        setting,
        'start, intact s': intact.startTime / SECOND,
        'start, rebuilt s': rebuilt.startTime / SECOND,
        'rebuilt entries/s': (entries / rebuilt.startTime) * SECOND,
        'peak MiB': peak,
        'verified entries/s': (entries / verifying) * SECOND,
      });
    }
    rmSync(home.directory, { recursive: true });
  }
  bench.report('rebuild of the projection and verification of the log', rows);
}

/** Milliseconds that `incident-recorder verify` takes. */
async function verify(bench: Bench, home: ServiceHome, setting: Setting): Promise<number> {
  const script = join(dirname(bench.service), 'cli.js');
  const began = performance.now();
  const env = { PATH: process.env.PATH, ...envOf(setting) };
  const args = [...flagsOf(setting), script, 'verify', '--key', home.key, home.log];
  const [code] = await once(spawn(process.execPath, args, { env, stdio: 'ignore' }), 'exit');
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}`);
  return performance.now() - began;
}
