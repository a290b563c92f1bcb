/** How late a reader of the fleet's event stream has what was reported at a machine: through a recorder and a shipper. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { sql } from 'kysely';
import { ROLES } from '../../../machines/vocabulary.ts';
import { MINUTE, SECOND } from '../../../src/clock.ts';
import type { FleetDatabase } from '../../../src/fleet/database.ts';
import { TABLES } from '../../../src/fleet/schema.ts';
import { LocalService } from '../../support/local-service.ts';
import { COMMAND_LINE } from '../../support/programs.ts';
import { ServiceHome } from '../../support/service-home.ts';
import type { Row } from '../bench.ts';
import { Random } from '../random.ts';

const MACHINE = 'reporting';
const TOKEN = 'the-token-of-a-machine-that-reports';
/** How many reports, and the longest pause between two, in milliseconds: at any time of the shipper's and the fleet's turns. */
const REPORTS = 40;
const LONGEST_PAUSE = 700;
const WANTED = SECOND;

/** @param token of a reader of all machines */
export async function streamed(port: number, db: FleetDatabase, directory: string, token: string): Promise<Row> {
  const folder = join(directory, MACHINE);
  mkdirSync(folder);
  const home = new ServiceHome(folder);
  const access = { version: 1, service_token: { roles: ROLES, sources: 'any', classes: 'any', actions: 'any' } };
  writeFileSync(home.access, JSON.stringify(access), { mode: 0o600 });
  const token_sha256 = createHash('sha256').update(TOKEN).digest('hex');
  await sql`
    INSERT INTO machines (machine, labels, enrolled_at, heard_at, token_sha256)
    VALUES (${MACHINE}, '{"site":"berlin"}', now(), now(), ${token_sha256})`.execute(db);
  const recorder = await LocalService.start(home, { env: { LOG_LEVEL: 'error' } });
  const shipper = ship(folder, port, recorder.port, home.token);
  try {
    const reader = await follow(port, token);
    const random = new Random(5);
    const times: number[] = [];
    // The first report comes when everything runs.
    for (let count = 0; count <= REPORTS; count++) {
      const description = `report ${count} of the bench`;
      const arrived = reader.waitFor(description);
      const begun = performance.now();
      await recorder.report({ class: 'prompt_injection', description });
      const at = await arrived;
      if (count > 0) times.push(at - begun);
      await pause(random.below(LONGEST_PAUSE));
    }
    reader.end();
    times.sort((one, other) => one - other);
    const worst = times.at(-1)!;
    return {
      question: 'stream, after the report at a machine',
      asked: times.length,
      'p50 ms': times[Math.floor(times.length / 2)]!,
      'p99 ms': worst,
      'max ms': worst,
      wanted: `≤ ${WANTED}`,
      '': worst <= WANTED ? '' : 'slow',
    };
  } finally {
    shipper.kill('SIGTERM');
    await once(shipper, 'exit');
    await recorder.stop();
    for (const table of TABLES) await sql`DELETE FROM ${sql.table(table)} WHERE machine = ${MACHINE}`.execute(db);
  }
}

function ship(folder: string, fleet: number, recorder: number, recorderToken: string): ChildProcess {
  const token = join(folder, 'fleet-token');
  writeFileSync(token, TOKEN, { mode: 0o600 });
  return spawn(process.execPath, [COMMAND_LINE, 'ship', '--no-prove'], {
    env: {
      PATH: process.env.PATH,
      FLEET_URL: `http://127.0.0.1:${fleet}`,
      FLEET_MACHINE: MACHINE,
      FLEET_TOKEN_PATH: token,
      INCIDENT_RECORDER_URL: `http://127.0.0.1:${recorder}`,
      INCIDENT_RECORDER_TOKEN_PATH: recorderToken,
    },
    stdio: 'ignore',
  });
}

async function follow(port: number, token: string) {
  const waiting = new Map<string, (at: number) => void>();
  const headers = { authorization: `Bearer ${token}` };
  const sent = request({ host: '127.0.0.1', port, path: '/api/v1/events', headers });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve).once('error', reject).end();
  });
  response.on('error', () => {});
  createInterface(response)
    .on('error', () => {})
    .on('line', (line) => {
      const [, description] = /"description":"(report \d+ of the bench)"/.exec(line) ?? [];
      if (description !== undefined) waiting.get(description)?.(performance.now());
    });
  return {
    /** @throws Error when it does not come in a minute */
    waitFor: (description: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${description} does not come`)), MINUTE);
        waiting.set(description, (at) => {
          clearTimeout(timer);
          waiting.delete(description);
          resolve(at);
        });
      }),
    end: () => void sent.destroy(),
  };
}
