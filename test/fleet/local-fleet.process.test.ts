/** `npm run fleet`, as somebody tries it first: on PGlite, and then on a server of their own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import { ROOT } from '../support/programs.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Postgres, postgresPrograms } from './support/postgres.ts';

const PROGRAM = join(ROOT, 'src/fleet/local-fleet.ts');

/** Runs it until every machine has shipped its log. */
async function look(
  directory: string,
  env: Readonly<Record<string, string>>,
  end: NodeJS.Signals = 'SIGTERM',
): Promise<readonly object[]> {
  const child = spawn(process.execPath, [PROGRAM], {
    cwd: directory,
    env: { PATH: process.env.PATH, FLEET_BIND: '127.0.0.1:0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close');
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  try {
    const origin = await new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const [, url] = /^Console: (\S+)\/$/.exec(line) ?? [];
        if (url !== undefined) resolve(url);
      });
      void ended.then(() => reject(new Error(`it has ended: ${said}`)));
    });
    for (;;) {
      const response = await fetch(`${origin}/api/v1/machines`);
      const machines = (await response.json()) as { incidents: { unresolved: number } }[];
      if (machines.length === 3 && machines.every(({ incidents }) => incidents.unresolved === 3)) return machines;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  } finally {
    child.kill(end);
    await ended;
  }
}

describe('npm run fleet', () => {
  const directories = temporaryDirectories();
  let postgres: Postgres | undefined;
  after(() => postgres?.end());

  it('shows three machines on PGlite, and the same on an empty server that FLEET_DATABASE_URL names', async function () {
    this.timeout(300_000);
    const directory = directories();
    for (const name of ['dist', 'policy']) symlinkSync(join(ROOT, name), join(directory, name));
    expect(await look(directory, {}, 'SIGKILL')).to.have.length(3);
    // Its recorders end with it, so that others can have their logs.
    expect(await look(directory, {})).to.have.length(3);
    const unreachable = await look(directory, { FLEET_DATABASE_URL: 'postgres://fleet@127.0.0.1:1/fleet' }).catch(
      String,
    );
    expect(unreachable).to.match(/npm run fleet: the database is not reachable: .*FLEET_DATABASE_URL\n$/);
    if (postgresPrograms() === undefined) {
      console.warn('SKIPPED: npm run fleet on a server: PostgreSQL is not installed (apt-get install postgresql)');
      this.skip();
    }
    postgres = await Postgres.start({ fsync: 'off' });
    const url = postgres.database();
    expect(await look(directory, { FLEET_DATABASE_URL: url })).to.have.length(3);
    // Then back, and once more: nothing is enrolled again.
    expect(await look(directory, { FLEET_DATABASE_URL: url })).to.have.length(3);
  });
});
