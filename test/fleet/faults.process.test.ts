/**
 * Faults, with a ledger: what the fleet has acknowledged is there, once, whatever is killed. The fleet is a process of its
 * own on PostgreSQL; it and the database are killed while machines send.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { READ_MODELS } from '../../src/fleet/ingest/batch-rows.ts';
import { systemClock } from '../../src/clock.ts';
import { openCore } from '../../src/fleet/fleet.ts';
import { ROOT } from '../support/running-service.ts';
import { Engine } from './support/engines.ts';
import { MachineLog } from './support/machine-log.ts';
import { postgresPrograms } from './support/postgres.ts';

const MACHINES = 4;
const ENTRIES = 1500;
const BATCH = 50;
const TOKEN = 'token';

(postgresPrograms() === undefined ? describe.skip : describe)('a fleet that is killed', () => {
  const engine = new Engine('PostgreSQL');
  let fleet: ChildProcess | undefined;

  before(() => engine.begin());

  after(() => {
    fleet?.kill('SIGKILL');
    engine.end();
  });

  it('loses nothing that it has acknowledged, doubles nothing, and reads the same when made again', async () => {
    const config = await engine.config();
    if (!('url' in config.database)) throw new Error('no server');
    const { url } = config.database;
    const core = await openCore(config, systemClock, { debug() {}, info() {}, warn() {}, error() {} });
    const logs = Array.from({ length: MACHINES }, (_, index) => new MachineLog(`k${index}`).fill(ENTRIES));
    const token_sha256 = createHash('sha256').update(TOKEN).digest('hex');
    for (let index = 0; index < MACHINES; index++) {
      const machine = `k${index}`;
      const secret = await core.enrolment.invite(machine, {}, 'test');
      await core.enrolment.enrol({ machine, secret, token_sha256, public_key: 'key' });
    }
    let port = 0;
    const start = async (): Promise<void> => {
      const env = { ...process.env, FLEET_DATABASE_URL: url, FLEET_KEY_PATH: config.keyPath, FLEET_NAME: config.name };
      fleet = spawn(process.execPath, [join(ROOT, 'src/fleet/main.ts'), 'serve'], {
        cwd: engine.directory(),
        env: { ...env, FLEET_BIND: `127.0.0.1:${port}`, LOG_LEVEL: 'info' },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const output = createInterface(fleet.stdout!);
      port = await new Promise<number>((resolve, reject) => {
        fleet!.once('exit', () => reject(new Error('it has not started')));
        output.on('line', (line) => {
          const [, found] = /"port":(\d+).*"msg":"listening"/.exec(line) ?? [];
          if (found !== undefined) resolve(Number(found));
        });
      });
    };
    const ask = (method: string, path: string, body?: Buffer): Promise<{ status: number; through: number }> =>
      new Promise((resolve, reject) => {
        const headers = { authorization: `Bearer ${TOKEN}` };
        const sent = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => (text += chunk.toString()));
          response.once('error', reject);
          response.once('end', () => {
            const { through = 0 } = JSON.parse(text) as { readonly through?: number };
            resolve({ status: response.statusCode!, through });
          });
        });
        sent.once('error', reject);
        sent.end(body);
      });
    /** How far each machine's log was acknowledged. */
    const ledger = new Map<string, number>();
    const ship = async (log: MachineLog, machine: string): Promise<void> => {
      for (let from: number | undefined; (ledger.get(machine) ?? 0) < log.through;) {
        try {
          const path = `/api/v1/machines/${machine}/logs/${log.id}`;
          if (from === undefined) {
            const held = await ask('GET', path);
            if (held.status !== 200 && held.status !== 404) throw new Error('not now');
            if (held.through < (ledger.get(machine) ?? 0))
              throw new RangeError(`${machine}: acknowledged entries are gone`);
            from = held.through + 1;
          }
          const to = Math.min(log.through, from + BATCH - 1);
          const { status, through } = await ask('PUT', `${path}/entries?from=${from}`, log.body(from, to));
          if (status !== 200) throw new Error('not now');
          ledger.set(machine, through);
          from = through + 1;
        } catch (error) {
          if (error instanceof RangeError) throw error;
          from = undefined;
          await pause(20);
        }
      }
    };
    const acknowledged = (): number => [...ledger.values()].reduce((sum, one) => sum + one, 0);
    const reached = async (share: number): Promise<void> => {
      while (acknowledged() < share * MACHINES * ENTRIES) await pause(5);
    };
    await start();
    const shipped = Promise.all(logs.map((log, index) => ship(log, `k${index}`)));
    for (const share of [0.1, 0.3]) {
      await reached(share);
      const ended = new Promise((resolve) => fleet!.once('exit', resolve));
      fleet!.kill('SIGKILL');
      await ended;
      await start();
    }
    await reached(0.5);
    engine.postgres!.stop('immediate');
    await pause(500);
    engine.postgres!.start();
    await shipped;
    for (const [index, log] of logs.entries()) {
      const machine = `k${index}`;
      const lines = await core.db
        .selectFrom('entries')
        .select('line')
        .where('machine', '=', machine)
        .orderBy('seq')
        .execute();
      expect(lines.map(({ line }) => line)).to.deep.equal(log.lines);
    }
    const read = async (): Promise<readonly string[]> => {
      const all: string[] = [];
      for (const table of [...READ_MODELS, 'fleet_incidents'] as const) {
        const rows = await core.db.selectFrom(table).selectAll().execute();
        all.push(...rows.map((row) => `${table} ${JSON.stringify(row)}`));
      }
      return all.toSorted();
    };
    const before = await read();
    for (let index = 0; index < MACHINES; index++) await core.ingest.rebuild(`k${index}`);
    expect(await read()).to.deep.equal(before);
    expect(before.some((row) => row.startsWith('fleet_incidents'))).to.equal(false);
    await core.db.destroy();
  });
});
