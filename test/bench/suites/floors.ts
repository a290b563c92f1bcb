/**
 * What a report costs, alone and in batches, beside the floors, other builds and other stores; all in turn, so that they
 * meet the same machine. The last table says how far that is from what is wanted.
 *
 * A share of a floor compares processor time for a report. Batches are held against the floor that takes each report by
 * itself; the floor for batches parses, appends and answers as many bytes in one go, and is there for comparison.
 */
import { statSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { MINUTE, SECOND } from '../../../src/clock.ts';
import type { Bench, Build, Row } from '../bench.ts';
import { putLoad } from '../load.ts';
import { medianOf } from '../median.ts';
import { startRivals } from '../rivals.ts';
import { BATCH, batchRequest, confirmRequest, reportRequest, resolveRequest } from '../sending.ts';
import type { Setting } from '../setting.ts';
import type { Subject } from '../subject.ts';

const CONNECTIONS = 16;
/** 200 reports under way. */
const BATCH_CONNECTIONS = 4;
const ROUNDS = 5;
const DURATION = { jit: 1.2 * SECOND, jitless: 1.2 * SECOND, box: 4 * SECOND };

const PACE = 100;
const PACED_ROUNDS = 3;
const PACED_DURATION = 6 * SECOND;

const IDLE = 3 * SECOND;
const MEMORY_LOAD = 10 * SECOND;

/** How many incidents are confirmed and resolved. */
const WORKED = { jit: 2000, jitless: 1000, box: 400 };

const SINGLE = 'single report';
const BATCHES = `batches of ${BATCH}`;
const FLOOR = 'floor';
const KOA_FLOOR = 'Koa floor';
const BATCH_FLOOR = `floor, ${BATCHES}`;

interface Turn {
  readonly perSecond: number;
  /** Microseconds of all threads for a report. */
  readonly processorTime: number;
  readonly p99?: number;
  readonly refused?: number;
}

/** What is loaded in turn with the others. */
interface Contender {
  readonly name: string;
  readonly load: () => Promise<Turn>;
}

/** Medians by what was measured: `setting`, then the name of a contender. */
type Medians = ReadonlyMap<string, ReadonlyMap<string, Turn>>;

interface InBox {
  readonly p99?: number;
  readonly idle?: number;
  readonly single?: number;
  readonly batches?: number;
}

export async function floors(bench: Bench): Promise<void> {
  const medians = new Map<string, ReadonlyMap<string, Turn>>();
  const rows: Row[] = [];
  for (const setting of bench.settings) {
    const measured = await inTurn(bench, setting);
    medians.set(setting, measured);
    rows.push(...rowsOf(setting, measured));
  }
  bench.report(`reports at ${CONNECTIONS} connections, ${BATCHES} at ${BATCH_CONNECTIONS}, all in turn`, rows);
  await commands(bench);
  const inBox = bench.settings.includes('box') ? await box(bench) : new Map<string, InBox>();
  bench.report('wanted, and how it is', wanted(bench, medians, inBox));
}

async function inTurn(bench: Bench, setting: Setting): Promise<ReadonlyMap<string, Turn>> {
  const contenders: Contender[] = [];
  const subjects: Subject[] = [];
  const add = (name: string, subject: Subject, request: Buffer, reports: number): void => {
    const connections = reports === 1 ? CONNECTIONS : BATCH_CONNECTIONS;
    contenders.push({ name, load: () => loaded(subject, request, reports, connections, DURATION[setting]) });
    if (!subjects.includes(subject)) subjects.push(subject);
  };
  for (const build of bench.builds) {
    const home = bench.home();
    const service = await bench.startService(home, setting, build);
    /** How many bytes the log grows by for an answer, and how long that is. */
    const probe = async (request: Buffer, answers: number) => {
      const before = statSync(home.log).size;
      const requests = Array.from({ length: answers }, () => request);
      const load = { port: service.port, requests, once: true, connections: 1, duration: MINUTE };
      const { bodyBytes } = await putLoad(load);
      return { entryBytes: Math.round((statSync(home.log).size - before) / answers), bodyBytes };
    };
    const one = await probe(reportRequest(), 100);
    add(nameOf(SINGLE, build), service, reportRequest(), 1);
    const takesBatches = await isTaken(service, batchRequest());
    if (takesBatches) add(nameOf(BATCHES, build), service, batchRequest(), BATCH);
    else process.stderr.write(`\nSKIPPED: ${BATCHES}: ${build.name} takes none\n`);
    if (build !== bench.builds[0]) continue;
    for (const [name, script] of [
      [FLOOR, 'floor.ts'],
      [KOA_FLOOR, 'koa-floor.ts'],
    ] as const) {
      add(name, await bench.startFloor(script, setting, one.entryBytes, one.bodyBytes), reportRequest(), 1);
    }
    if (!takesBatches) continue;
    const many = await probe(batchRequest(), 2);
    const floor = await bench.startFloor('floor.ts', setting, many.entryBytes, many.bodyBytes);
    add(BATCH_FLOOR, floor, batchRequest(), BATCH);
  }
  const rivals = setting === 'jit' ? await startRivals() : [];
  for (const rival of rivals) {
    const load = async (): Promise<Turn> => {
      const before = rival.processorTime;
      const { answers, perSecond } = await rival.load(CONNECTIONS, DURATION[setting]);
      return { perSecond, processorTime: ((rival.processorTime - before) / answers) * 1000 };
    };
    contenders.push({ name: rival.name, load });
  }
  const turns = new Map<string, Turn[]>(contenders.map(({ name }) => [name, []]));
  try {
    for (const { load } of contenders) await load();
    for (let round = 0; round < ROUNDS; round++) {
      for (const { name, load } of contenders) turns.get(name)!.push(await load());
    }
  } finally {
    for (const rival of rivals) await rival.stop();
  }
  for (const subject of subjects) await subject.stop();
  return new Map([...turns].map(([name, all]) => [name, medianTurn(all)]));
}

/** Loads a subject with requests of so many reports each, and counts in reports. */
async function loaded(
  subject: Subject,
  request: Buffer,
  reports: number,
  connections: number,
  duration: number,
): Promise<Turn> {
  const before = subject.processorTime;
  const seen = await putLoad({ port: subject.port, requests: [request], connections, duration });
  const taken = seen.answers - seen.refused;
  return {
    perSecond: seen.perSecond * (taken / seen.answers) * reports,
    processorTime: ((subject.processorTime - before) / (taken * reports)) * 1000,
    p99: seen.p99,
    refused: seen.refused,
  };
}

function medianTurn(turns: readonly Turn[]): Turn {
  const known = (values: readonly (number | undefined)[]): number[] => values.filter((value) => value !== undefined);
  const p99 = known(turns.map((turn) => turn.p99));
  return {
    perSecond: medianOf(turns.map((turn) => turn.perSecond)),
    processorTime: medianOf(turns.map((turn) => turn.processorTime)),
    ...(p99.length > 0 ? { p99: medianOf(p99) } : {}),
    refused: known(turns.map((turn) => turn.refused)).reduce((sum, one) => sum + one, 0),
  };
}

/** Whether all the reports in it are recorded. */
async function isTaken({ port }: Subject, batch: Buffer): Promise<boolean> {
  const body = batch.subarray(batch.indexOf('\r\n\r\n') + 4);
  const headers = Object.fromEntries(
    batch
      .subarray(0, batch.indexOf('\r\n\r\n'))
      .toString()
      .split('\r\n')
      .slice(1)
      .map((line) => line.split(': ') as [string, string])
      .filter(([name]) => name === 'Authorization' || name === 'Content-Type'),
  );
  const answer = await fetch(`http://127.0.0.1:${port}/api/v1/incidents/reports`, { method: 'POST', headers, body });
  if (answer.status !== 200) {
    await answer.body?.cancel();
    return false;
  }
  const items = (await answer.json()) as readonly { readonly status: number }[];
  if (items.length === BATCH && items.every(({ status }) => status === 201)) return true;
  throw new Error(`of ${BATCH} reports in a batch, not all are recorded: ${items.map(({ status }) => status).join()}`);
}

const nameOf = (what: string, build: Build): string => (build.isThis ? what : `${what}, ${build.name}`);

function rowsOf(setting: Setting, measured: ReadonlyMap<string, Turn>): Row[] {
  return [...measured].map(([name, turn]) => ({
    setting,
    what: name,
    'reports/s': turn.perSecond,
    'CPU µs': turn.processorTime,
    'of Koa floor, in CPU': name.startsWith(SINGLE) ? share(measured, KOA_FLOOR, name) : '',
    'of floor, in CPU': isOfService(name) ? share(measured, FLOOR, name) : '',
    'of floor for batches': name.startsWith(BATCHES) ? share(measured, BATCH_FLOOR, name) : '',
    'p99 ms': turn.p99 ?? '',
    refused: turn.refused ?? '',
  }));
}

const isOfService = (name: string): boolean => name.startsWith(SINGLE) || name.startsWith(BATCHES);

/** What a floor takes of the processors, as a share of what a contender takes. */
function share(measured: ReadonlyMap<string, Turn> | undefined, floor: string, name: string): number | string {
  const [above, below] = [measured?.get(floor), measured?.get(name)];
  return above === undefined || below === undefined ? '–' : above.processorTime / below.processorTime;
}

/** What a confirmation and a resolve take, beside the report before them. */
async function commands(bench: Bench): Promise<void> {
  const rows: Row[] = [];
  for (const setting of bench.settings) {
    for (const build of bench.builds) {
      const service = await bench.startService(bench.home(), setting, build);
      const once = async (requests: readonly Buffer[]): Promise<number | string> => {
        const before = service.processorTime;
        const load = { port: service.port, requests, once: true, connections: CONNECTIONS, duration: 2 * MINUTE };
        const { answers, refused } = await putLoad(load);
        return refused > 0 ? 'refused' : ((service.processorTime - before) / answers) * 1000;
      };
      const reports = Array.from({ length: WORKED[setting] }, reportRequest);
      await once(reports.slice(0, WORKED[setting] / 4));
      const report = await once(reports);
      const ids = await newestIncidents(service, WORKED[setting]);
      rows.push({
        setting,
        build: build.name,
        'report CPU µs': report,
        'confirmation CPU µs': await once(ids.map(confirmRequest)),
        'resolve CPU µs': await once(ids.map(resolveRequest)),
      });
      await service.stop();
    }
  }
  bench.report(`a report, then its confirmation, then its resolve, ${CONNECTIONS} connections`, rows);
}

async function newestIncidents({ port }: Subject, count: number): Promise<readonly string[]> {
  const ids: string[] = [];
  let path: string | undefined = '/api/v1/incidents?limit=100';
  while (path !== undefined && ids.length < count) {
    const answer: Response = await fetch(`http://127.0.0.1:${port}${path}`);
    ids.push(...((await answer.json()) as readonly { readonly id: string }[]).map(({ id }) => id));
    path = /<([^>]+)>; *rel="?next"?/.exec(answer.headers.get('link') ?? '')?.[1];
  }
  return ids.slice(0, count);
}

/** How long reporters wait in the box, and how much memory each kind of load takes there. */
async function box(bench: Bench): Promise<ReadonlyMap<string, InBox>> {
  const found = new Map<string, InBox>();
  const rows: Row[] = [];
  const start = (build: Build): Promise<Subject> => bench.startService(bench.home(), 'box', build);
  const waiting: {
    readonly build: Build;
    readonly service: Subject;
    readonly p50: number[];
    readonly p99: number[];
  }[] = [];
  for (const build of bench.builds) waiting.push({ build, service: await start(build), p50: [], p99: [] });
  const reports = { requests: [reportRequest()], connections: CONNECTIONS };
  for (let round = 0; round <= PACED_ROUNDS; round++) {
    for (const { service, p50, p99 } of waiting) {
      const seen = await putLoad({ port: service.port, ...reports, duration: PACED_DURATION, rate: PACE });
      if (round === 0) continue; // It warms up.
      p50.push(seen.p50);
      p99.push(seen.p99);
    }
  }
  for (const { service } of waiting) await service.stop();
  for (const { build, p50, p99 } of waiting) {
    const idling = await start(build);
    await pause(IDLE);
    const idle = idling.peakMemory;
    await putLoad({ port: idling.port, ...reports, duration: MEMORY_LOAD });
    const single = idling.peakMemory;
    await idling.stop();
    const batched = await start(build);
    const takesBatches = await isTaken(batched, batchRequest());
    if (takesBatches) {
      const load = { requests: [batchRequest()], connections: BATCH_CONNECTIONS, duration: MEMORY_LOAD };
      await putLoad({ port: batched.port, ...load });
    }
    const batches = takesBatches ? batched.peakMemory : undefined;
    await batched.stop();
    const measured = { p99: medianOf(p99), idle, single, ...(batches === undefined ? {} : { batches }) };
    found.set(build.name, measured);
    rows.push({
      build: build.name,
      [`p50 ms at ${PACE}/s`]: medianOf(p50),
      [`p99 ms at ${PACE}/s`]: measured.p99,
      'idle, MiB': idle,
      'single reports, MiB': single,
      [`${BATCHES}, MiB`]: batches ?? '–',
    });
  }
  bench.report('in the box: how long reporters wait, and the most memory resident', rows);
  return found;
}

/** One row for each thing wanted, with a column for each build. */
function wanted(bench: Bench, medians: Medians, inBox: ReadonlyMap<string, InBox>): readonly Row[] {
  const rate = (setting: Setting, name: string): number | string => medians.get(setting)?.get(name)?.perSecond ?? '–';
  const row = (what: string, aim: string, of: (build: Build) => number | string): Row => ({
    what,
    wanted: aim,
    ...Object.fromEntries(bench.builds.map((build) => [build.name, of(build)])),
  });
  const ratio = (setting: Setting, what: string, floor: string) => (build: Build) =>
    share(medians.get(setting), floor, nameOf(what, build));
  const rateOf = (setting: Setting, what: string) => (build: Build) => rate(setting, nameOf(what, build));
  const kept = (key: keyof InBox) => (build: Build) => inBox.get(build.name)?.[key] ?? '–';
  const rivals = [...(medians.get('jit')?.keys() ?? [])].filter((name) => /^(?:etcd|PostgreSQL)/.test(name));
  return [
    row('single report, JIT, of the Koa floor, CPU', '≥ 0.58', ratio('jit', SINGLE, KOA_FLOOR)),
    row('single report, JIT, of the floor, CPU', '', ratio('jit', SINGLE, FLOOR)),
    row('single report, jitless, of the Koa floor, CPU', '≥ 0.62', ratio('jitless', SINGLE, KOA_FLOOR)),
    row('single report, jitless, of the floor, CPU', '', ratio('jitless', SINGLE, FLOOR)),
    row('single report, box, of the Koa floor, CPU', '', ratio('box', SINGLE, KOA_FLOOR)),
    row('single report, box, of the floor, CPU', '', ratio('box', SINGLE, FLOOR)),
    row('single report, box, a second', '≥ 200', rateOf('box', SINGLE)),
    row(`${BATCHES}, box, reports a second`, '≥ 350', rateOf('box', BATCHES)),
    row(`${BATCHES}, box, of the floor, CPU`, '≥ 0.75', ratio('box', BATCHES, FLOOR)),
    row(`${BATCHES}, JIT, reports a second`, '≥ 8000, and ahead of:', rateOf('jit', BATCHES)),
    ...rivals.map((name) => row(name, '', ({ isThis }) => (isThis ? rate('jit', name) : ''))),
    row(`${BATCHES}, JIT, of the floor, CPU`, '', ratio('jit', BATCHES, FLOOR)),
    row(`p99 at ${PACE}/s in the box, ms`, '≤ 100', kept('p99')),
    row('memory in the box, idle, MiB', '≤ 62', kept('idle')),
    row('memory in the box, single reports, MiB', '≤ 85', kept('single')),
    row(`memory in the box, ${BATCHES}, MiB`, '≤ 100', kept('batches')),
  ];
}
