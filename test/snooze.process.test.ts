import { rmSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { SECOND } from '../src/clock.ts';
import type { Entry } from '../src/domain/entries.ts';
import type { Incident } from '../src/domain/incident.ts';
import { databasePath } from '../src/projections/database.ts';
import { EventReader } from './support/event-reader.ts';
import { type RunningService, runningServices, ServiceHome } from './support/running-service.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

describe('a snoozed incident, when the service is killed', () => {
  const start = runningServices();
  const directory = temporaryDirectories();

  const snooze = async (service: RunningService, milliseconds: number): Promise<{ id: string; until: string }> => {
    const { id } = (await service.report()).json as Incident;
    const until = new Date(Date.now() + milliseconds).toISOString();
    const { status, json } = await service.post('/api/v1/incidents/snooze', { id, until, note: 'a test', by: 'ada' });
    expect([status, json.state, json.snoozed_until]).to.deep.equal([200, 'acknowledged', until]);
    return { id, until };
  };
  const read = async (service: RunningService, id: string): Promise<Incident> =>
    (await service.get(`/api/v1/incidents/get?id=${id}`)).json;

  for (const database of ['is there', 'is lost'] as const) {
    it(`comes back by itself after the restart, at its time or at once, and the database ${database}`, async () => {
      const home = new ServiceHome(directory());
      const first = await start(home);
      const [over, soon] = [await snooze(first, 2 * SECOND), await snooze(first, 8 * SECOND)];
      await first.end('SIGKILL');
      if (database === 'is lost') {
        for (const end of ['', '-wal', '-shm']) rmSync(`${databasePath(home.log)}${end}`, { force: true });
      }

      await pause(Math.max(0, Date.parse(over.until) - Date.now()));

      const service = await start(home);
      const reader = await EventReader.open({ port: service.port, path: '/api/v1/events?after=0' });
      try {
        for (const { id, until } of [over, soon]) {
          const find = () => reader.events.find(({ event, data }) => event === 'incident.woken' && data.includes(id));
          await reader.until(() => find() !== undefined);
          const woken = JSON.parse(find()!.data) as Entry;
          expect(woken.data).to.deep.include({ why: 'due', state: 'contained' });
          const { state, note } = await read(service, id);
          expect([state, note]).to.deep.equal(['contained', 'a test']);
          expect(Date.parse(woken.timestamp)).to.be.at.least(Date.parse(until));
        }
      } finally {
        reader.leave();
      }
      expect(await service.end()).to.equal(0);
      await home.expectSound();
    });
  }
});
