/**
 * Stores that could be used instead, each with its own way of being durable: etcd's put (the body of a report as value)
 * and PostgreSQL's insert of a `jsonb` with indexes on what incidents are looked for by. Both from Debian, in a directory of
 * their own, on the loopback, and measured only where they are installed.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { MINUTE, SECOND } from '../../src/clock.ts';
import { putLoad, requestBytes } from './load.ts';
import { processorTimeOfFamily } from './processor-time.ts';
import { REPORT } from './sending.ts';
import { freePort } from './subject.ts';

const POLL_INTERVAL = 20;
/** So many keys that none is written twice for a while. */
const KEYS = 5000;

export interface Rival {
  readonly name: string;
  /** Milliseconds, over all its processes. */
  readonly processorTime: number;
  /** Stores the report over and over on so many connections for so many milliseconds, and says how often. */
  load(connections: number, duration: number): Promise<{ readonly answers: number; readonly perSecond: number }>;
  stop(): Promise<void>;
}

/** Starts those that are installed, and says loudly which are not. */
export async function startRivals(): Promise<readonly Rival[]> {
  const rivals: Rival[] = [];
  for (const start of [Etcd.start, Postgres.start]) {
    const rival = await start();
    if (rival !== undefined) rivals.push(rival);
  }
  return rivals;
}

const skipped = (name: string, debianPackage: string): undefined => {
  process.stderr.write(`\nSKIPPED: ${name}: the package ${debianPackage} is not installed\n`);
};

class Etcd implements Rival {
  readonly name = "etcd, synced put of the report's body";
  readonly #server: Server;
  readonly #requests: readonly Buffer[];

  private constructor(server: Server) {
    this.#server = server;
    const value = Buffer.from(JSON.stringify(REPORT)).toString('base64');
    this.#requests = Array.from({ length: KEYS }, (_, at) => {
      const key = Buffer.from(`incident-${at}`).toString('base64');
      return requestBytes('POST', '/v3/kv/put', { 'Content-Type': 'application/json' }, JSON.stringify({ key, value }));
    });
  }

  static async start(this: void): Promise<Etcd | undefined> {
    if (spawnSync('etcd', ['--version']).status !== 0) return skipped('etcd', 'etcd-server');
    const [port, peers] = [await freePort(), await freePort()];
    const [client, peer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peers}`];
    const server = Server.start(port, (directory) => ({
      command: [
        'etcd',
        `--data-dir=${join(directory, 'data')}`,
        `--listen-client-urls=${client}`,
        `--advertise-client-urls=${client}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=default=${peer}`,
      ],
    }));
    await server.until(() => answersHealth(port));
    return new Etcd(server);
  }

  get processorTime(): number {
    return this.#server.processorTime;
  }

  async load(connections: number, duration: number) {
    const measured = await putLoad({ port: this.#server.port, requests: this.#requests, connections, duration });
    if (measured.refused > 0) throw new Error(`etcd refused ${measured.refused} puts`);
    return measured;
  }

  stop(): Promise<void> {
    return this.#server.stop('SIGTERM');
  }
}

const SCHEMA = `
  CREATE TABLE incidents (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), report jsonb NOT NULL);
  CREATE INDEX ON incidents (at);
  CREATE INDEX ON incidents ((report->>'class'), id);
  CREATE INDEX ON incidents ((report->>'source'), id);
  CREATE INDEX ON incidents ((report->>'severity'), id);
`;

class Postgres implements Rival {
  readonly name = 'PostgreSQL, insert of a jsonb with five indexes';
  readonly #server: Server;
  readonly #clients: Client[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(this: void): Promise<Postgres | undefined> {
    const programs = newestPostgres();
    if (programs === undefined) return skipped('PostgreSQL', 'postgresql');
    const port = await freePort();
    const user = process.getuid?.() === 0 ? userOf('postgres') : {};
    const server = Server.start(port, (directory) => {
      if (user.uid !== undefined) chownSync(directory, user.uid, user.gid!);
      const data = join(directory, 'data');
      const made = spawnSync(join(programs, 'initdb'), ['-A', 'trust', '-U', 'postgres', '-D', data], {
        ...user,
        cwd: directory,
        encoding: 'utf8',
      });
      if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`);
      return {
        command: [join(programs, 'postgres'), '-D', data, '-p', String(port), '-k', directory, '-h', '127.0.0.1'],
        user,
      };
    });
    const postgres = new Postgres(server);
    await server.until(async () => {
      try {
        await postgres.#client(0);
        return true;
      } catch {
        return false;
      }
    });
    await (await postgres.#client(0)).query(SCHEMA);
    return postgres;
  }

  get processorTime(): number {
    return this.#server.processorTime;
  }

  async load(connections: number, duration: number) {
    const clients = await Promise.all(Array.from({ length: connections }, (_, at) => this.#client(at)));
    const insert = {
      name: 'insert',
      text: 'INSERT INTO incidents (report) VALUES ($1)',
      values: [JSON.stringify(REPORT)],
    };
    const start = performance.now();
    let answers = 0;
    await Promise.all(
      clients.map(async (client) => {
        while (performance.now() - start < duration) {
          await client.query(insert);
          answers += 1;
        }
      }),
    );
    return { answers, perSecond: (answers / (performance.now() - start)) * SECOND };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.end()));
    await this.#server.stop('SIGINT');
  }

  /** Each connection is one process of the server, which stays, so that its time is counted. */
  async #client(at: number): Promise<Client> {
    const known = this.#clients[at];
    if (known !== undefined) return known;
    const client = new Client({ host: '127.0.0.1', port: this.#server.port, user: 'postgres', database: 'postgres' });
    await client.connect();
    return (this.#clients[at] = client);
  }
}

/** Where Debian puts the programs of the newest version that is installed. */
function newestPostgres(): string | undefined {
  const versions = '/usr/lib/postgresql';
  if (!existsSync(versions)) return undefined;
  const newest = readdirSync(versions).toSorted((one, other) => Number(other) - Number(one));
  return newest.map((version) => join(versions, version, 'bin')).find((path) => existsSync(join(path, 'initdb')));
}

function userOf(name: string): { readonly uid?: number; readonly gid?: number } {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  if (uid === undefined || gid === undefined) throw new Error(`there is no user ${name}`);
  return { uid: Number(uid), gid: Number(gid) };
}

const answersHealth = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const asked = get({ port, host: '127.0.0.1', path: '/health', agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.on('error', () => resolve(false));
  });

interface ServerCommand {
  readonly command: readonly string[];
  readonly user?: { readonly uid?: number; readonly gid?: number };
}

/** A server with a directory of its own, which goes with it. */
class Server {
  readonly port: number;
  readonly #directory: string;
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(port: number, directory: string, child: ChildProcess) {
    this.port = port;
    this.#directory = directory;
    this.#process = child;
    this.#ended = once(child, 'exit');
  }

  static start(port: number, commandIn: (directory: string) => ServerCommand): Server {
    const directory = mkdtempSync(join(tmpdir(), 'incident-recorder-rival-'));
    const { command, user } = commandIn(directory);
    const [program = '', ...args] = command;
    const output = openSync(join(directory, 'output'), 'a');
    return new Server(
      port,
      directory,
      spawn(program, args, { ...user, cwd: directory, stdio: ['ignore', output, output] }),
    );
  }

  /** Waits until it is up; throws what it said when it ends or does not come up. */
  async until(isUp: () => Promise<boolean>): Promise<void> {
    const began = performance.now();
    while (!(await isUp())) {
      if (this.#process.exitCode !== null || performance.now() - began > MINUTE) {
        const said = readFileSync(join(this.#directory, 'output'), 'utf8').slice(-1000);
        await this.stop('SIGKILL');
        throw new Error(`${this.#process.spawnfile} did not start: ${said}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
    }
  }

  get processorTime(): number {
    return processorTimeOfFamily(this.#process.pid!);
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    this.#process.kill(signal);
    await this.#ended;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
