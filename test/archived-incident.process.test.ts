import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { run } from './cli/support/command-line.ts';
import { accessInFleet, Notary } from './support/notary.ts';
import { Recording } from './support/recording.ts';
import { runningServices, ServiceHome } from './support/running-service.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

const REPORT = { class: 'forbidden_airlock_request', source: 'airlock', description: 'old'.repeat(500) } as const;

describe('an incident that was archived', () => {
  const directory = temporaryDirectories();
  const start = runningServices();

  it('is gone and not unknown, in every answer and on the command line, also after the database was rebuilt', async () => {
    const home = new ServiceHome(directory());
    const recording = await Recording.open(home.directory, { segmentBytes: 10_000 });
    const ids: string[] = [];
    for (let n = 0; n < 8; n++) {
      const { id } = (await recording.recorder.report(REPORT)).incident;
      await recording.recorder.perform('resolve', { id });
      recording.clock.milliseconds += 60_000;
      ids.push(id);
    }
    await recording.close();
    const [id, last] = [ids[0]!, ids.at(-1)!];
    const env = { AUDIT_HMAC_KEY_PATH: join(home.directory, 'audit-key') };
    const service = await start(home, { env });
    const { archived } = (await service.post('/api/v1/archive', { before: '2026-11-29T00:00:00Z' })).json;
    const { first_seq, last_seq } = { first_seq: 1, last_seq: archived.at(-1).last_seq };
    const error = `${id} is not on record: if it existed, it is in the archive, entries 1 to ${last_seq}`;

    const check = async (answer: Promise<{ status: number; json: unknown }>): Promise<void> => {
      const { status, json } = await answer;
      expect([status, json]).to.deep.equal([410, { error, archived: { first_seq, last_seq } }]);
    };
    const everywhere = async (on: typeof service): Promise<void> => {
      for (const path of ['get', 'history', 'transitions', 'statechart']) {
        await check(on.get(`/api/v1/incidents/${path}?id=${id}`));
      }
      for (const command of ['contain', 'acknowledge', 'resolve']) {
        await check(on.post(`/api/v1/incidents/${command}`, { id }));
      }
      for (const [act, more] of [
        ['note', { note: 'a test' }],
        ['assign', { to: 'ada' }],
        ['snooze', { until: null }],
        ['reopen', {}],
      ] as const) {
        await check(on.post(`/api/v1/incidents/${act}`, { id, ...more }));
      }
      await check(on.post('/api/v1/containment/retry', { action: 'freeze_agent', incident_id: id }));
      // One that is on record, and ones that are neither there nor from a time that is archived.
      expect((await on.get(`/api/v1/incidents/get?id=${last}`)).status).to.equal(200);
      const never = ['INC-20200101-000000000000', `${last.slice(0, -1)}${last.endsWith('0') ? '1' : '0'}`, 'nonsense'];
      for (const other of never) {
        expect((await on.get(`/api/v1/incidents/get?id=${other}`)).json, other).to.deep.equal({
          error: 'incident not found',
        });
      }
      const url = `http://127.0.0.1:${on.port}`;
      const shown = await run(['show', id, '--url', url, '--token-file', home.token]);
      expect([shown.status, shown.stderr.trim()]).to.deep.equal([1, error]);
    };
    await everywhere(service);
    await service.end('SIGKILL');
    for (const name of readdirSync(home.directory)) {
      if (name.startsWith('audit.') && !name.includes('.jsonl')) rmSync(join(home.directory, name));
    }
    await everywhere(await start(home, { env }));
  });

  it('takes along how old a command of the fleet may be, so that none is carried out twice', async () => {
    const home = new ServiceHome(directory());
    const recording = await Recording.open(home.directory, { segmentBytes: 10_000 });
    const issued = new Date(recording.clock.now()).toISOString();
    const caller = {
      principal: 'fleet:ada',
      role: 'operator',
      by: 'fleet:ada',
      fleet_command: 'CMD-old',
      fleet_command_issued: issued,
    } as const;
    for (let n = 0; n < 8; n++) {
      const { id } = (await recording.recorder.report(REPORT)).incident;
      await recording.recorder.perform('resolve', { id, ...(n === 0 ? { caller } : {}) });
      recording.clock.milliseconds += 60_000;
    }
    await recording.close();
    const notary = new Notary();
    writeFileSync(home.access, accessInFleet(notary), { mode: 0o600 });
    const env = { AUDIT_HMAC_KEY_PATH: join(home.directory, 'audit-key') };
    const service = await start(home, { env });
    await notary.fetch(home.log);
    const hand = (on: typeof service, changes: object) => {
      const command = notary.command(
        'retry',
        { action: 'freeze_agent' },
        { expires: '2100-01-01T00:00:00Z', ...changes },
      );
      return on.post('/api/v1/fleet/commands', { command });
    };
    await service.post('/api/v1/archive', { before: '2026-11-29T00:00:00Z' });
    await service.end('SIGKILL');
    for (const name of readdirSync(home.directory)) {
      if (name.startsWith('audit.') && !name.includes('.jsonl')) rmSync(join(home.directory, name));
    }
    const rebuilt = await start(home, { env });
    expect((await hand(rebuilt, { id: 'CMD-old', issued })).status).to.equal(410);
    expect((await hand(rebuilt, { issued: new Date().toISOString() })).status).to.equal(200);
  });
});
