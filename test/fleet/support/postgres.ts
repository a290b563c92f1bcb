/**
 * A PostgreSQL server of the tests' own: a cluster in a temporary directory, run as the user `postgres` where this is root,
 * as the server refuses to run as root. Where PostgreSQL is missing, that is said loudly.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { quietPort } from '../../support/quiet-port.ts';

const VERSIONS = '/usr/lib/postgresql';

/** The directory with the server's programs; undefined where it is not installed. */
export function postgresPrograms(): string | undefined {
  const found = existsSync(VERSIONS) ? readdirSync(VERSIONS).map((version) => join(VERSIONS, version, 'bin')) : [];
  return found.toReversed().find((directory) => existsSync(join(directory, 'initdb')));
}

export class Postgres {
  readonly #programs: string;
  readonly #directory: string;
  readonly port: number;
  #databases = 0;

  private constructor(programs: string, directory: string, port: number) {
    this.#programs = programs;
    this.#directory = directory;
    this.port = port;
  }

  /**
   * Starts a server.
   * @param settings of postgresql.conf, besides those for tests
   * @param place an empty directory for its data, which stays; by default one of its own, which goes when it ends
   */
  static async start(settings: Readonly<Record<string, string>> = {}, place?: string): Promise<Postgres> {
    const server = await Postgres.#make(place);
    server.#run('initdb', [
      '-D',
      server.#data,
      '-A',
      'trust',
      // Small files of the log, for a disk that is small.
      '--wal-segsize=1',
      '-U',
      'postgres',
      '--no-sync',
      '-E',
      'UTF8',
      '--locale=C.UTF-8',
    ]);
    server.#settings = Object.entries(settings)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' ');
    server.start();
    return server;
  }

  static async #make(place?: string): Promise<Postgres> {
    const programs = postgresPrograms();
    if (programs === undefined) throw new Error('PostgreSQL is not installed: apt-get install postgresql');
    const directory = place ?? mkdtempSync(join(tmpdir(), 'incident-fleet-postgres-'));
    if (process.getuid?.() === 0) {
      const [uid, gid] = ['-u', '-g'].map((flag) =>
        Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' })),
      );
      chownSync(directory, uid!, gid!);
    }
    const server = new Postgres(programs, directory, await quietPort());
    server.#isPlaced = place !== undefined;
    return server;
  }

  #settings = '';
  #isPlaced = false;

  get #data(): string {
    return join(this.#directory, 'data');
  }

  /** A second server that has all that this one has, before a transaction is acknowledged. */
  async standby(): Promise<Postgres> {
    const standby = await Postgres.#make();
    standby.#settings = this.#settings;
    standby.#databases = this.#databases;
    standby.#run('pg_basebackup', [
      '--pgdata',
      standby.#data,
      '--host=127.0.0.1',
      `--port=${this.port}`,
      '--username=postgres',
      '--write-recovery-conf',
      '--checkpoint=fast',
      '--no-sync',
    ]);
    standby.start();
    this.#sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
    this.#sql('SELECT pg_reload_conf()');
    while (this.#sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") !== '1') await pause(50);
    return standby;
  }

  /** Makes a standby the server that takes transactions. */
  promote(): void {
    this.#sql('ALTER SYSTEM RESET synchronous_standby_names');
    this.#sql('SELECT pg_promote(true, 60)');
  }

  /** Kills all of its processes at once, as a power cut does. */
  async kill(): Promise<void> {
    const pid = this.#pid();
    if (pid === undefined) return;
    const pids = [pid, ...childrenOf(pid)];
    for (const one of pids) signal(one, 'SIGKILL');
    while (pids.some((one) => signal(one, 0))) await pause(10);
  }

  get isRunning(): boolean {
    const pid = this.#pid();
    return pid !== undefined && signal(pid, 0);
  }

  #pid(): number | undefined {
    const path = join(this.#data, 'postmaster.pid');
    return existsSync(path) ? Number(readFileSync(path, 'utf8').split('\n')[0]) : undefined;
  }

  #sql(statement: string): string {
    const options = ['-h', this.#directory, '-p', String(this.port), '-U', 'postgres', '-d', 'postgres'];
    return this.#run('psql', [...options, '-X', '-A', '-t', '-c', statement]).trim();
  }

  start(): void {
    const options = `-p ${this.port} -k ${this.#directory} -c listen_addresses=127.0.0.1 ${this.#settings}`;
    this.#run('pg_ctl', ['-D', this.#data, '-l', join(this.#directory, 'log'), '-w', '-o', options, 'start']);
  }

  /** The process that has started all others of the server. */
  get pid(): number {
    return Number(readFileSync(join(this.#directory, 'data/postmaster.pid'), 'utf8').split('\n')[0]);
  }

  /** @param how `fast`, or `immediate`: as if it was killed */
  stop(how: 'fast' | 'immediate' = 'fast'): void {
    this.#run('pg_ctl', ['-D', this.#data, '-m', how, '-w', 'stop']);
  }

  /** A new database. @returns its URL */
  database(): string {
    this.#databases += 1;
    const name = `fleet_${this.#databases}`;
    this.#run('createdb', ['-h', this.#directory, '-p', String(this.port), '-U', 'postgres', name]);
    return `postgres://postgres@127.0.0.1:${this.port}/${name}`;
  }

  end(): void {
    if (this.isRunning) this.stop('immediate');
    if (!this.#isPlaced) rmSync(this.#directory, { recursive: true, force: true });
  }

  #run(program: string, args: readonly string[]): string {
    const command = [join(this.#programs, program), ...args];
    const asPostgres =
      process.getuid?.() === 0
        ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', ...command]
        : command;
    const [name, ...rest] = asPostgres as [string, ...string[]];
    const { status, stderr, stdout } = spawnSync(name, rest, {
      encoding: 'utf8',
      cwd: this.#directory,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    if (status !== 0) throw new Error(`${program} failed: ${stderr}${stdout}`);
    return stdout;
  }
}

/** Sends a signal. @returns whether the process was there */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}

const childrenOf = (pid: number): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
