import { expect } from 'chai';
import { RecorderClient } from '../../src/client/index.ts';
import { localServices, type LocalService } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

/** With so many the proof of the database takes much longer than the start waits for it. */
const REPORTS = 1500;

describe('the posture while the database is not proved', () => {
  const directory = temporaryDirectories();
  const start = localServices();

  it('is marked, engages at once, and releases nothing for a client until it is', async function test() {
    this.timeout(60_000);
    const home = new ServiceHome(directory());
    const first = await start(home);
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        for (let n = 0; n < REPORTS / 20; n++) {
          const body = { class: 'forbidden_airlock_request', source: 's', description: `report ${n}` };
          await first.post('/api/v1/incidents/report', body);
        }
      }),
    );
    await first.post('/api/v1/incidents/report', { class: 'tool_call_burst', source: 's', description: 'd' });
    await first.stop();

    const service = await start(home);
    const read = async (action: string) => {
      const { json, headers } = await service.get(`/api/v1/containment/${action}`);
      return { engaged: json.engaged as boolean, verified: json.verified as unknown, etag: headers.etag };
    };
    expect(await read('disable_airlock')).to.deep.equal({ engaged: false, verified: false, etag: undefined });
    expect(await read('freeze_agent')).to.include({ engaged: true, verified: false });

    const client = new RecorderClient({ url: urlOf(service), tokenPath: home.token });
    const stop = new AbortController();
    const next = async (action: 'freeze_agent' | 'disable_airlock') => {
      const { value } = await client.follow(action, { signal: stop.signal }).next();
      return { engaged: value?.engaged, isProved: service.output.some((line) => line.includes('is verified')) };
    };
    expect(await next('freeze_agent')).to.deep.equal({ engaged: true, isProved: false });
    expect(await next('disable_airlock')).to.deep.equal({ engaged: false, isProved: true });
    expect(await read('disable_airlock'))
      .to.include({ engaged: false, verified: undefined })
      .and.property('etag');
    client.close();
  });
});

const urlOf = (service: LocalService): string => `http://127.0.0.1:${service.port}`;
