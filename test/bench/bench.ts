/** What the suites share: where they work, what they measure, and where their figures go. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { MINUTE } from '../../src/clock.ts';
import { ROOT, ServiceHome } from '../support/running-service.ts';
import { bundle } from './bundle.ts';
import { availableSettings, type Setting } from './setting.ts';
import { Subject, type SubjectOptions } from './subject.ts';

export type Row = Readonly<Record<string, string | number>>;

export interface BenchOptions {
  /** Whether a million incidents are measured too. */
  readonly large: boolean;
  /** How large a fleet is measured: 1 is a thousand machines with a million incidents. */
  readonly scale: number;
  /** The built service; its command line is taken from beside it. */
  readonly service: string;
  /** The `dist` folders of other builds that are measured in turn with it. */
  readonly against: readonly string[];
}

/** A service that has been built. */
export interface Build {
  readonly name: string;
  readonly service: string;
  /** Whether it is the one that is measured, not one that it is measured against. */
  readonly isThis: boolean;
}

export const LARGE = 1_000_000;
const RESULTS = join(ROOT, 'var/bench.json');

/** How long a service may take to read a million incidents without compilers. */
const PATIENCE = 60 * MINUTE;

export class Bench {
  readonly large: boolean;
  readonly scale: number;
  readonly service: string;
  /** The one that is measured, then those that it is measured against. */
  readonly builds: readonly Build[];
  readonly settings: readonly Setting[] = availableSettings();
  /** A directory that goes when the benchmarks end. */
  readonly directory = mkdtempSync(join(tmpdir(), 'incident-recorder-bench-'));
  readonly #results: Record<string, readonly Row[]> = {};
  readonly #subjects: Subject[] = [];

  constructor({ large, scale, service, against }: BenchOptions) {
    this.large = large;
    this.scale = scale;
    this.service = service;
    this.builds = [
      { name: 'this build', service, isThis: true },
      ...against.map((dist) => ({
        name: basename(dirname(resolve(dist))),
        service: join(resolve(dist), 'service.cjs'),
        isThis: false,
      })),
    ];
    const missing = this.builds.find((build) => !existsSync(build.service));
    if (missing !== undefined) throw new Error(`${missing.service} is not there: run npm run build first`);
    if (new Set(this.builds.map(({ name }) => name)).size < this.builds.length) {
      throw new Error('two builds have the same name, that of the folder around `dist`');
    }
  }

  /** A new directory with the files that a service needs. */
  home(): ServiceHome {
    return new ServiceHome(mkdtempSync(join(this.directory, 'home-')));
  }

  /** Starts a build, this one by default, on a home and waits until it is up. */
  startService(home: ServiceHome, setting: Setting, build: Build = this.builds[0]!): Promise<Subject> {
    return this.#start({
      setting,
      command: () => [build.service],
      env: (port) => ({ ...home.env, ...policyOf(build), BIND_ADDR: `127.0.0.1:${port}` }),
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

/** An older build refuses what is new in the policy, so it gets the one from beside it. */
function policyOf({ service, isThis }: Build): Readonly<Record<string, string>> {
  const policy = join(dirname(dirname(service)), 'policy/incident-containment.yaml');
  return !isThis && existsSync(policy) ? { CONTAINMENT_POLICY_PATH: policy } : {};
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
