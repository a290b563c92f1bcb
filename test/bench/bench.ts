/** What the suites share: where they work, what they measure, and where their figures go. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { MINUTE } from '../../src/clock.ts';
import { ROOT, ServiceHome } from '../support/running-service.ts';
import { bundle } from './bundle.ts';
import { availableSettings, type Setting } from './setting.ts';
import { Subject, type SubjectOptions } from './subject.ts';

export type Row = Readonly<Record<string, string | number>>;

export interface BenchOptions {
  /** Whether a million incidents are measured too. */
  readonly large: boolean;
  /** The built service; its command line is taken from beside it. */
  readonly service: string;
}

export const LARGE = 1_000_000;
const RESULTS = join(ROOT, 'var/bench.json');

/** How long a service may take to read a million incidents without compilers. */
const PATIENCE = 60 * MINUTE;

export class Bench {
  readonly large: boolean;
  readonly service: string;
  readonly settings: readonly Setting[] = availableSettings();
  /** A directory that goes when the benchmarks end. */
  readonly directory = mkdtempSync(join(tmpdir(), 'incident-recorder-bench-'));
  readonly #results: Record<string, readonly Row[]> = {};
  readonly #subjects: Subject[] = [];

  constructor({ large, service }: BenchOptions) {
    if (!existsSync(service)) throw new Error(`${service} is not there: run npm run build first`);
    this.large = large;
    this.service = service;
  }

  /** A new directory with the files that a service needs. */
  home(): ServiceHome {
    return new ServiceHome(mkdtempSync(join(this.directory, 'home-')));
  }

  /** Starts the service on a home and waits until it is up. */
  startService(home: ServiceHome, setting: Setting): Promise<Subject> {
    return this.#start({
      setting,
      command: () => [this.service],
      env: (port) => ({ ...home.env, BIND_ADDR: `127.0.0.1:${port}` }),
      output: join(home.directory, 'output'),
      patience: PATIENCE,
    });
  }

  /** Starts a floor beside a service, appending and answering as many bytes. */
  async startFloor(
    floor: 'floor.ts' | 'koa-floor.ts',
    setting: Setting,
    entryBytes: number,
    answerBytes: number,
  ): Promise<Subject> {
    const script = await bundle(floor, this.directory);
    const log = join(mkdtempSync(join(this.directory, 'floor-')), 'log');
    return this.#start({
      setting,
      command: (port) => [script, String(port), log, String(entryBytes), String(answerBytes)],
      output: join(this.directory, 'floor-output'),
    });
  }

  /** Prints figures and keeps them for the file. */
  report(title: string, rows: readonly Row[]): void {
    this.#results[title] = rows;
    process.stdout.write(`\n${title}\n${tableOf(rows)}\n`);
  }

  /** Writes all figures, with what they were measured on, and leaves nothing else behind, running or on disk. */
  async end(): Promise<void> {
    for (const subject of this.#subjects) await subject.stop();
    const machine = {
      node: process.version,
      processor: cpus()[0]?.model,
      processors: availableParallelism(),
      load: loadavg(),
      date: new Date().toISOString(),
    };
    mkdirSync(dirname(RESULTS), { recursive: true });
    writeFileSync(RESULTS, `${JSON.stringify({ machine, results: this.#results }, undefined, 2)}\n`);
    rmSync(this.directory, { recursive: true, force: true });
    process.stdout.write(`\nfigures: ${RESULTS}\n`);
  }

  async #start(options: SubjectOptions): Promise<Subject> {
    const subject = await Subject.start(options);
    this.#subjects.push(subject);
    return subject;
  }
}

/** Three digits that count, as many as are steady from one run to the next. */
const shown = (value: string | number | undefined): string => {
  if (typeof value !== 'number') return value ?? '';
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
};

function tableOf(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [columns, ...rows.map((row) => columns.map((column) => shown(row[column])))];
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => line[at]!.length)));
  const pad = (text: string, at: number): string => (at === 0 ? text.padEnd(widths[at]!) : text.padStart(widths[at]!));
  return lines.map((line) => `  ${line.map(pad).join('  ')}`).join('\n');
}
