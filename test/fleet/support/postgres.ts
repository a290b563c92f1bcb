/**
 * A PostgreSQL server of the tests' own: a cluster in a temporary directory, run as the user `postgres` where this is root,
 * as the server refuses to run as root. Where PostgreSQL is missing, whoever asks is told so, loudly.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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

  /** Starts a server. @param settings of postgresql.conf, besides those for tests */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<Postgres> {
    const programs = postgresPrograms();
    if (programs === undefined) throw new Error('PostgreSQL is not installed: apt-get install postgresql');
    const directory = mkdtempSync(join(tmpdir(), 'incident-fleet-postgres-'));
    if (process.getuid?.() === 0) {
      const [uid, gid] = ['-u', '-g'].map((flag) =>
        Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' })),
      );
      chownSync(directory, uid!, gid!);
    }
    const server = new Postgres(programs, directory, await freePort());
    server.#run('initdb', [
      '-D',
      join(directory, 'data'),
      '-A',
      'trust',
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

  #settings = '';

  start(): void {
    const options = `-p ${this.port} -k ${this.#directory} -c listen_addresses=127.0.0.1 ${this.#settings}`;
    this.#run('pg_ctl', [
      '-D',
      join(this.#directory, 'data'),
      '-l',
      join(this.#directory, 'log'),
      '-w',
      '-o',
      options,
      'start',
    ]);
  }

  /** The process that has started all others of the server. */
  get pid(): number {
    return Number(readFileSync(join(this.#directory, 'data/postmaster.pid'), 'utf8').split('\n')[0]);
  }

  /** @param how `fast`, or `immediate`: as if it was killed */
  stop(how: 'fast' | 'immediate' = 'fast'): void {
    this.#run('pg_ctl', ['-D', join(this.#directory, 'data'), '-m', how, '-w', 'stop']);
  }

  /** A new database. @returns its URL */
  database(): string {
    this.#databases += 1;
    const name = `fleet_${this.#databases}`;
    this.#run('createdb', ['-h', this.#directory, '-p', String(this.port), '-U', 'postgres', name]);
    return `postgres://postgres@127.0.0.1:${this.port}/${name}`;
  }

  end(): void {
    this.stop('immediate');
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #run(program: string, args: readonly string[]): void {
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
  }
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { readonly port: number };
      server.close(() => resolve(port));
    });
  });
