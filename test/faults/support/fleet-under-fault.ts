/**
 * A fleet as it runs in earnest: processes of the fleet on a PostgreSQL server, and machines with a recorder and a shipper
 * of their own, all of which can be killed and started again. The ledgers of the machines say what must be there.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import { ROLES } from '../../../machines/vocabulary.ts';
import { systemClock } from '../../../src/clock.ts';
import { readFleetConfig } from '../../../src/fleet/config.ts';
import { openDatabase } from '../../../src/fleet/database.ts';
import { type FleetCore, openCore } from '../../../src/fleet/fleet.ts';
import { READ_MODELS } from '../../../src/fleet/ingest/batch-rows.ts';
import { migrate } from '../../../src/fleet/migrations.ts';
import { verifierKeyOf } from '../../../src/signed-note.ts';
import { COMMAND_LINE, FLEET, ROOT } from '../../support/programs.ts';
import { RunningService, ServiceHome } from '../../support/running-service.ts';
import { postgresPrograms } from '../../fleet/support/postgres.ts';
import { Ledger } from './ledger.ts';
import { until } from './until.ts';

/** Nobody confirms deliveries here; were they overdue, incidents would change after their ledger has noted them. */
const POLICY = join(ROOT, 'policy/incident-containment.yaml');

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** Runs tests of a fleet on PostgreSQL; says loudly where that is missing. */
export function onPostgres(title: string, tests: (this: Mocha.Suite) => void): void {
  if (postgresPrograms() === undefined)
    console.warn(`SKIPPED: ${title}: PostgreSQL is not installed (apt-get install postgresql)`);
  (postgresPrograms() === undefined ? describe.skip : describe)(title, tests);
}

/** Processes that have not ended: none may outlive the tests. */
const RUNNING = new Set<ChildProcess>();
process.once('exit', () => RUNNING.forEach((child) => child.kill('SIGKILL')));

function start(args: readonly string[], cwd: string, env: Readonly<Record<string, string>>): ChildProcess {
  const child = spawn(process.execPath, args, {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  RUNNING.add(child);
  child.once('exit', () => RUNNING.delete(child));
  return child;
}

async function kill(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'close');
  child.kill('SIGKILL');
  await ended;
}

/** One process of the fleet, on the same port each time. */
export class FleetProcess {
  readonly #directory: string;
  readonly #env: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;
  port = 0;

  constructor(directory: string, env: Readonly<Record<string, string>>) {
    this.#directory = directory;
    this.#env = env;
  }

  async start(): Promise<void> {
    const env = { ...this.#env, FLEET_BIND: `127.0.0.1:${this.port}`, LOG_LEVEL: 'info' };
    const child = start([FLEET, 'serve'], this.#directory, env);
    this.#child = child;
    const lines = createInterface({ input: child.stdout! });
    this.port = await new Promise<number>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`the fleet has ended (${code})`)));
      lines.on('line', (line) => {
        const [, found] = /"port":(\d+).*"msg":"listening"/.exec(line) ?? [];
        if (found !== undefined) resolve(Number(found));
      });
    });
  }

  kill(): Promise<void> {
    return kill(this.#child);
  }

  get hasEnded(): boolean {
    return this.#child !== undefined && (this.#child.exitCode !== null || this.#child.signalCode !== null);
  }

  /** The status of its health. */
  async health(): Promise<number> {
    const answer = await fetch(`http://127.0.0.1:${this.port}/health`);
    await answer.arrayBuffer();
    return answer.status;
  }
}

/** One machine: its recorder, its shipper, and the ledger of what was reported to it. */
export class MachineUnderFault {
  readonly name: string;
  readonly directory: string;
  readonly ledger = new Ledger(200);
  recorder!: RunningService;
  readonly #fleet: FleetProcess;
  readonly #shippers: ChildProcess[] = [];
  #port = 0;
  #loads: Promise<void>[] = [];
  #isLoaded = false;
  /** What both of its processes run under: a clock of their own. */
  clock: Readonly<Record<string, string>> = {};

  constructor(name: string, directory: string, fleet: FleetProcess, token: string, access: object) {
    this.name = name;
    this.directory = directory;
    this.#fleet = fleet;
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'policy.yaml'), `${readFileSync(POLICY, 'utf8')}\noverdue_after: 86400s\n`);
    writeFileSync(this.home.access, JSON.stringify(access), { mode: 0o600 });
    writeFileSync(join(directory, 'fleet-token'), token, { mode: 0o600 });
  }

  get home(): ServiceHome {
    return new ServiceHome(this.directory);
  }

  async record(): Promise<void> {
    this.recorder = await RunningService.start(this.home, {
      env: {
        BIND_ADDR: `127.0.0.1:${this.#port}`,
        CONTAINMENT_POLICY_PATH: join(this.directory, 'policy.yaml'),
        ...this.clock,
      },
    });
    this.#port = this.recorder.port;
  }

  ship(): void {
    const shipper = start([COMMAND_LINE, 'ship', '--no-prove'], this.directory, {
      FLEET_URL: `http://127.0.0.1:${this.#fleet.port}`,
      FLEET_MACHINE: this.name,
      FLEET_TOKEN_PATH: join(this.directory, 'fleet-token'),
      INCIDENT_RECORDER_URL: `http://127.0.0.1:${this.#port}`,
      INCIDENT_RECORDER_TOKEN_PATH: this.home.token,
      ...this.clock,
    });
    shipper.stdout!.resume();
    this.#shippers.push(shipper);
  }

  /** Lets somebody report, one report after the other, until `rest` or until the recorder ends. */
  load(): void {
    this.#isLoaded = true;
    this.#loads.push(this.ledger.load(this.recorder, () => this.#isLoaded, 1));
  }

  async rest(): Promise<void> {
    this.#isLoaded = false;
    await Promise.all(this.#loads);
    this.#loads = [];
  }

  async killShippers(): Promise<void> {
    await Promise.all(this.#shippers.splice(0).map(kill));
  }

  async killRecorder(): Promise<void> {
    await this.recorder.end('SIGKILL');
  }

  /** After `killRecorder`: starts it again, and holds the ledger against it. */
  async recordAgain(): Promise<void> {
    await this.rest();
    await this.record();
    await this.ledger.check(this.recorder);
  }

  /** The lines of its log. */
  get lines(): readonly string[] {
    return readFileSync(this.home.log, 'utf8').trimEnd().split('\n');
  }

  /** Takes an image of it, as it runs. @returns what puts it back, while nothing runs there */
  image(directory: string): () => void {
    this.home.copyTo(directory);
    return () => {
      rmSync(this.directory, { recursive: true });
      new ServiceHome(directory).copyTo(this.directory);
    };
  }

  async end(): Promise<void> {
    this.#isLoaded = false;
    await this.killShippers();
    await this.recorder?.end('SIGKILL');
    await Promise.all(this.#loads);
  }
}

export class FleetUnderFault {
  readonly processes: readonly FleetProcess[];
  readonly machines: MachineUnderFault[] = [];
  readonly core: FleetCore;
  readonly #directory: string;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(directory: string, env: Readonly<Record<string, string>>, core: FleetCore, processes: number) {
    this.#directory = directory;
    this.#env = env;
    this.core = core;
    this.processes = Array.from({ length: processes }, () => new FleetProcess(directory, env));
  }

  /** Starts so many processes on a database, which is empty. */
  static async start(directory: string, url: string, processes = 1): Promise<FleetUnderFault> {
    const env = {
      FLEET_DATABASE_URL: url,
      FLEET_KEY_PATH: join(directory, 'fleet-key'),
      FLEET_NAME: 'fleet.test',
      FLEET_READ_ACCESS: 'open',
    };
    const config = readFleetConfig(env, directory);
    const db = await openDatabase(config.database);
    await migrate(db);
    await db.destroy();
    const core = await openCore(config, systemClock, SILENT);
    const fleet = new FleetUnderFault(directory, env, core, processes);
    await Promise.all(fleet.processes.map((one) => one.start()));
    return fleet;
  }

  /** Enrols a machine, and starts its recorder and its shipper. */
  async add(name: string, clock: Readonly<Record<string, string>> = {}): Promise<MachineUnderFault> {
    const { enrolment, signer } = this.core;
    const token = `token-of-${name}-0123456789abcdef`;
    const token_sha256 = createHash('sha256').update(token).digest('hex');
    const secret = await enrolment.invite(name, {}, 'test');
    await enrolment.enrol({ machine: name, secret, token_sha256, public_key: 'none' });
    const access = {
      version: 1,
      service_token: { roles: ROLES, sources: 'any', classes: 'any', actions: 'any' },
      fleet_key: verifierKeyOf(signer),
      fleet: { machine: name, roles: ['operator'] },
    };
    const process = this.processes[this.machines.length % this.processes.length]!;
    const machine = new MachineUnderFault(name, join(this.#directory, name), process, token, access);
    machine.clock = clock;
    this.machines.push(machine);
    await machine.record();
    machine.ship();
    return machine;
  }

  /** How many entries of a machine the fleet has stored. */
  async stored(machine: string): Promise<number> {
    const { db } = this.core;
    const row = await db
      .selectFrom('entries')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('machine', '=', machine)
      .executeTakeFirst();
    return row?.count ?? 0;
  }

  /** Waits until it has so many more entries of each machine than now. */
  async takes(entries: number): Promise<void> {
    const before = await Promise.all(this.machines.map(({ name }) => this.stored(name)));
    await until(async () => {
      const now = await Promise.all(this.machines.map(({ name }) => this.stored(name)));
      return now.every((count, index) => count >= before[index]! + entries);
    });
  }

  /**
   * Ends the shippers of a machine when the fleet has all of its log, so that it stays so: an anchor of the fleet, which is an
   * entry, may come at any time.
   * @param besides how many more entries the fleet has of another past
   * @returns the lines that the machine and the fleet have
   */
  async caughtUp(machine: MachineUnderFault, besides = 0): Promise<readonly string[]> {
    for (;;) {
      await until(async () => (await this.stored(machine.name)) === machine.lines.length + besides);
      await machine.killShippers();
      const { lines } = machine;
      if ((await this.stored(machine.name)) === lines.length + besides) {
        await until(() => this.#isBuilt(machine.name));
        return lines;
      }
      machine.ship();
    }
  }

  /** Whether the read models hold all that is stored of a machine: after a divergence, they come a little later. */
  async #isBuilt(machine: string): Promise<boolean> {
    const unbuilt = await this.core.db
      .selectFrom('logs')
      .select('log')
      .where('machine', '=', machine)
      .whereRef('built', '<', 'through')
      .execute();
    return unbuilt.length === 0;
  }

  /** The alarms about a machine. */
  async alarms(machine: string) {
    return this.core.db
      .selectFrom('fleet_incidents')
      .select(['kind', 'detail', 'closed_at'])
      .where('machine', '=', machine)
      .execute();
  }

  /**
   * What must hold after every fault: what a recorder has acknowledged is in the fleet, once, line by line as it is on the
   * machine; and the read models are those that `fleet rebuild` makes.
   */
  async expectNothingLost(): Promise<void> {
    for (const machine of this.machines) {
      await machine.rest();
      await machine.ledger.check(machine.recorder);
      // An anchor of the fleet may come at any time, and is an entry, too.
      const written = machine.lines;
      await until(async () => (await this.stored(machine.name)) >= written.length);
      const lines = await this.core.db
        .selectFrom('entries')
        .select('line')
        .where('machine', '=', machine.name)
        .orderBy('seq')
        .execute();
      expect(lines.map(({ line }) => line)).to.deep.equal(machine.lines.slice(0, lines.length));
      expect(
        await this.alarms(machine.name).then((all) => all.filter(({ kind }) => kind === 'log_diverged')),
      ).to.have.length(0);
      await this.expectLedger(machine);
    }
    await this.expectSameWhenMadeAgain();
  }

  /** Each report that was acknowledged, and none other, is there once. */
  async expectLedger(machine: MachineUnderFault): Promise<void> {
    const incidents = await this.core.db
      .selectFrom('incidents as i')
      .innerJoin('documents as d', (on) =>
        on.onRef('d.machine', '=', 'i.machine').onRef('d.log', '=', 'i.log').onRef('d.id', '=', 'i.id'),
      )
      .select('d.document')
      .where('i.machine', '=', machine.name)
      .where('i.current', '=', true)
      .execute();
    const found = incidents.map(({ document }) => (JSON.parse(document) as { description: string }).description);
    const acknowledged = machine.ledger.accounts.filter(({ standing }) => standing === 'acknowledged');
    expect(acknowledged.length, 'reports that were acknowledged').to.be.greaterThan(0);
    expect(found.toSorted()).to.deep.equal(acknowledged.map(({ report }) => report.description).toSorted());
  }

  async expectSameWhenMadeAgain(): Promise<void> {
    const before = await this.#readModels();
    // By the command, for one machine: it is what an operator has.
    const [first, ...others] = this.machines;
    const command = start([FLEET, 'rebuild', first!.name], this.#directory, this.#env);
    command.stdout!.resume();
    const [code] = (await once(command, 'close')) as [number];
    expect(code, 'the exit code of fleet rebuild').to.equal(0);
    for (const { name } of others) await this.core.ingest.rebuild(name);
    expect(await this.#readModels()).to.deep.equal(before);
  }

  async #readModels(): Promise<readonly string[]> {
    const all: string[] = [];
    for (const table of READ_MODELS) {
      const rows = await this.core.db.selectFrom(table).selectAll().execute();
      all.push(...rows.map((row) => `${table} ${JSON.stringify(row)}`));
    }
    return all.toSorted();
  }

  async end(): Promise<void> {
    await Promise.all(this.machines.map((machine) => machine.end()));
    await Promise.all(this.processes.map((one) => one.kill()));
    await this.core.db.destroy();
  }
}
