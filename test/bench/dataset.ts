/** Logs of many incidents, generated once and kept: in `BENCH_DATA`, or else in the system's directory for such files. */
import { constants } from 'node:fs';
import { access, copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { readKey } from '../../src/audit/key.ts';
import { databasePath } from '../../src/projections/database.ts';
import { ServiceHome } from '../support/running-service.ts';
import type { Bench } from './bench.ts';
import { generateLog, type GeneratedLog } from './generate-log.ts';
import { type EvidenceBytes, REALISTIC_EVIDENCE } from './imagined-report.ts';

export interface Dataset {
  /** A copy that may be changed. Its projection is intact. */
  readonly home: ServiceHome;
  readonly generated: GeneratedLog;
}

/** A service's files with so many incidents on record. */
export async function datasetOf(
  bench: Bench,
  incidents: number,
  cache: string | undefined,
  evidence = REALISTIC_EVIDENCE,
): Promise<Dataset> {
  const kept = await keptDataset(bench, incidents, evidence, join(cache ?? tmpdir(), 'incident-recorder-bench-data'));
  const home = bench.home();
  for (const name of await readdir(kept)) {
    await copyFile(join(kept, name), join(home.directory, name), constants.COPYFILE_FICLONE);
  }
  return { home, generated: JSON.parse(await readFile(join(kept, 'generated.json'), 'utf8')) as GeneratedLog };
}

/** Deletes what a service makes of its log, so that it has to be made again. */
export async function removeProjection(home: ServiceHome): Promise<void> {
  for (const suffix of ['', '-wal', '-shm']) await rm(`${databasePath(home.log)}${suffix}`, { force: true });
}

/** The directory appears under its name when all of it is there. */
async function keptDataset(bench: Bench, incidents: number, evidence: EvidenceBytes, parent: string): Promise<string> {
  const name = evidence === REALISTIC_EVIDENCE ? String(incidents) : `${incidents}-${evidence.least}-${evidence.most}`;
  const directory = join(parent, name);
  if (await exists(directory)) return directory;
  process.stderr.write(`generating ${incidents} incidents into ${directory}\n`);
  const unfinished = `${directory}.new`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true });
  const home = new ServiceHome(unfinished);
  const generated = await generateLog({ incidents, evidence, path: home.log, hash: chainHash(readKey(home.key)) });
  const service = await bench.startService(home, 'jit');
  await service.stop();
  await writeFile(join(unfinished, 'generated.json'), JSON.stringify(generated));
  await rename(unfinished, directory);
  return directory;
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
