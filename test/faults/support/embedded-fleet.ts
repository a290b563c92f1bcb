/**
 * A fleet on PGlite, in a process that can be killed, and machines that send it their logs in small batches. What it has
 * acknowledged must be there afterwards.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { chainHash } from '../../../src/audit/chain-hash.ts';
import { systemClock } from '../../../src/clock.ts';
import type { Entry } from '../../../src/domain/entries.ts';
import { readFleetConfig } from '../../../src/fleet/config.ts';
import { openCore } from '../../../src/fleet/fleet.ts';
import { READ_MODELS } from '../../../src/fleet/ingest/batch-rows.ts';
import { generateLog } from '../../bench/generate-log.ts';
import { FLEET } from '../../support/programs.ts';
import { until } from './until.ts';

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const MACHINES = ['a', 'b', 'c', 'd'];
/** So that each machine sends some three thousand entries. */
const INCIDENTS = 800;
const BATCH = 20;
const TOKEN = 'a-token-of-a-machine-0123456789';

interface Machine {
  readonly name: string;
  readonly log: string;
  readonly lines: readonly string[];
  /** How many entries the fleet has said to have. */
  acknowledged: number;
}

/** Processes that have not ended: none may outlive the tests. */
const RUNNING = new Set<ChildProcess>();
process.once('exit', () => RUNNING.forEach((child) => child.kill('SIGKILL')));

export class EmbeddedFleet {
  readonly #directory: string;
  readonly #env: Readonly<Record<string, string>>;
  #machines: readonly Machine[] = [];
  #child: ChildProcess | undefined;
  #port = 0;
  /** What its process has written to standard error. */
  said = '';
  /** The exit code. */
  ended: Promise<number | null> = Promise.resolve(null);
  listening: Promise<void> = Promise.resolve();
  /** What machines were answered when their entries were not taken, each text once. */
  readonly refusals = new Set<string>();

  constructor(directory: string) {
    this.#directory = directory;
    this.#env = {
      FLEET_BIND: '127.0.0.1:0',
      FLEET_NAME: 'fleet.test',
      FLEET_READ_ACCESS: 'open',
      FLEET_MACHINE_ENTRIES_PER_SECOND: '1000000',
      LOG_LEVEL: 'info',
    };
  }

  /** A fleet with machines, which have sent nothing. */
  static async make(directory: string): Promise<EmbeddedFleet> {
    mkdirSync(directory, { recursive: true });
    const fleet = new EmbeddedFleet(directory);
    const core = await fleet.#core();
    fleet.#machines = await Promise.all(MACHINES.map((name, at) => makeMachine(name, at)));
    for (const { name } of fleet.#machines) {
      const secret = await core.enrolment.invite(name, {}, 'test');
      const token_sha256 = createHash('sha256').update(TOKEN).digest('hex');
      await core.enrolment.enrol({ machine: name, secret, token_sha256, public_key: 'none' });
    }
    await core.db.destroy();
    return fleet;
  }

  #core() {
    return openCore(readFleetConfig(this.#env, this.#directory), systemClock, SILENT);
  }

  /** Starts its process. @param under a program that runs it, with arguments */
  launch(under: readonly string[] = []): void {
    const [program, ...args] = [...under, process.execPath, FLEET, 'serve'];
    const child = spawn(program, args, {
      cwd: this.#directory,
      env: { PATH: process.env.PATH, ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    RUNNING.add(child);
    this.#child = child;
    this.said = '';
    child.stderr.on('data', (data: Buffer) => void (this.said += data.toString()));
    this.ended = once(child, 'close').then(([code]) => {
      RUNNING.delete(child);
      return code as number | null;
    });
    this.listening = new Promise((resolve, reject) => {
      child.once('close', (code) => reject(new Error(`the fleet has ended (${code}): ${this.said}`)));
      createInterface({ input: child.stdout }).on('line', (line) => {
        const [, port] = /"port":(\d+).*"msg":"listening"/.exec(line) ?? [];
        if (port === undefined) return;
        this.#port = Number(port);
        resolve();
      });
    });
    // Who does not wait for it does not care either.
    this.listening.catch(() => undefined);
  }

  /** Starts its process, and waits until it listens. */
  async start(under: readonly string[] = []): Promise<void> {
    this.launch(under);
    await this.listening;
  }

  /** Kills its process, when it has one. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.ended;
  }

  /** Asks its process to stop. @returns its exit code */
  async stop(): Promise<number | null> {
    this.#child?.kill('SIGTERM');
    return this.ended;
  }

  /** Stops its process where it is: system calls that are under way end. */
  async pause(): Promise<void> {
    const { pid } = this.#child!;
    process.kill(pid!, 'SIGSTOP');
    const stateOf = (task: string): string =>
      readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8').replace(/.*\) /, '')[0]!;
    await until(() => Promise.resolve(readdirSync(`/proc/${pid}/task`).every((task) => stateOf(task) === 'T')));
  }

  /** Waits until each machine has had one more batch acknowledged, or has sent all. */
  async takes(): Promise<void> {
    const before = this.#machines.map(({ acknowledged }) => acknowledged);
    const hasSent = ({ acknowledged, lines }: Machine, at: number): boolean =>
      acknowledged > before[at]! || acknowledged === lines.length;
    await until(() => Promise.resolve(this.#machines.every(hasSent)));
  }

  /** All machines send, each batch after batch, until something has happened, or they have sent all. */
  async load(something: () => Promise<unknown>): Promise<void> {
    let isOver = false;
    const sending = this.#machines.map((machine) => this.#send(machine, () => isOver));
    await something();
    isOver = true;
    await Promise.all(sending);
  }

  async #send(machine: Machine, isOver: () => boolean): Promise<void> {
    while (!isOver() && machine.acknowledged < machine.lines.length) {
      const from = machine.acknowledged;
      const body = machine.lines.slice(from, from + BATCH).join('');
      try {
        const target = `/api/v1/machines/${machine.name}/logs/${machine.log}/entries?from=${from + 1}`;
        const answer = await this.#ask(target, { method: 'PUT', body });
        const text = await answer.text();
        expect(answer.status, text).to.be.oneOf([200, 503]);
        if (answer.status === 200) {
          machine.acknowledged = (JSON.parse(text) as { through: number }).through;
        } else {
          this.refusals.add(`${answer.headers.get('retry-after')} ${text}`);
          await pause(20);
        }
      } catch (error) {
        // The connection broke, with the process.
        if (!(error instanceof TypeError)) throw error;
        return;
      }
    }
  }

  #ask(target: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.#port}${target}`, {
      ...init,
      headers: { authorization: `Bearer ${TOKEN}`, connection: 'close' },
    });
  }

  /** @returns the status code of `/health`, and what it says */
  async health(): Promise<{ readonly code: number; readonly said: string }> {
    const answer = await this.#ask('/health');
    return { code: answer.status, said: await answer.text() };
  }

  /** How many entries of each machine it says to have. */
  async through(): Promise<readonly number[]> {
    const asked = this.#machines.map(async ({ name, log }) => {
      const answer = await this.#ask(`/api/v1/machines/${name}/logs/${log}`);
      expect(answer.status).to.equal(200);
      return ((await answer.json()) as { through: number }).through;
    });
    return Promise.all(asked);
  }

  /** After a start: the fleet has at least what it has acknowledged. Machines go on after what it has. */
  async expectAcknowledged(): Promise<void> {
    for (const machine of this.#machines) {
      const answer = await this.#ask(`/api/v1/machines/${machine.name}/logs/${machine.log}`);
      if (machine.acknowledged > 0) expect(answer.status).to.equal(200);
      const { through } = answer.status === 200 ? ((await answer.json()) as { through: number }) : { through: 0 };
      expect(through, `entries of ${machine.name}`).to.be.at.least(machine.acknowledged);
      machine.acknowledged = through;
    }
  }

  /**
   * Ends its process. Each line that was acknowledged is there once, as it was sent, and the read models are those that are made
   * again from the lines.
   */
  async expectNothingLost(): Promise<void> {
    this.#child?.kill('SIGTERM');
    await this.ended;
    const { db, ingest } = await this.#core();
    try {
      for (const { name, lines, acknowledged } of this.#machines) {
        expect(acknowledged, `entries of ${name}`).to.be.greaterThan(0);
        const stored = await db
          .selectFrom('entries')
          .select('line')
          .where('machine', '=', name)
          .orderBy('seq')
          .execute();
        expect(stored.map(({ line }) => `${line}\n`).join('') === lines.slice(0, acknowledged).join('')).to.equal(true);
      }
      const readModels = async (): Promise<readonly string[]> => {
        const all: string[] = [];
        for (const table of READ_MODELS) {
          const rows = await db.selectFrom(table).selectAll().execute();
          all.push(...rows.map((row) => `${table} ${JSON.stringify(row)}`));
        }
        return all.toSorted();
      };
      const before = await readModels();
      for (const { name } of this.#machines) await ingest.rebuild(name);
      expect(await readModels()).to.deep.equal(before);
    } finally {
      await db.destroy();
    }
  }

  async end(): Promise<void> {
    await this.kill();
  }
}

async function makeMachine(name: string, seed: number): Promise<Machine> {
  const directory = mkdtempSync(join(tmpdir(), 'incident-recorder-'));
  try {
    const path = join(directory, 'audit.jsonl');
    const hash = chainHash(Buffer.alloc(32, seed + 1));
    await generateLog({ incidents: INCIDENTS, path, hash, seed, segmentBytes: 1e12 });
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    const log = (JSON.parse(lines[0]!) as Entry).entry_hash;
    return { name, log, lines: lines.map((line) => `${line}\n`), acknowledged: 0 };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
