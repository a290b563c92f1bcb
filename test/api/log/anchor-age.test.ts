import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { LocalService } from '../../support/local-service.ts';
import { accessInFleet, Notary } from '../../support/notary.ts';
import { ServiceHome } from '../../support/service-home.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';

describe('the age of the last anchor', () => {
  const directory = temporaryDirectories();
  let service: LocalService;

  afterEach(() => service.stop());

  it('is that of what the fleet has signed, however late it is handed over', async () => {
    const home = new ServiceHome(directory());
    const notary = new Notary();
    writeFileSync(home.access, accessInFleet(notary), { mode: 0o600 });
    service = await LocalService.start(home);
    await notary.fetch(home.log);
    const time = new Date(Date.now() - 2 * 24 * 3_600_000).toISOString();
    const recorded = await service.post('/api/v1/log/anchors', { anchor: notary.note({ time }) });
    expect(recorded.status, recorded.text).to.equal(201);
    const { audit, warnings } = (await service.get('/health')).json;
    expect(audit.anchor).to.include({ at: recorded.json.at });
    expect(audit.anchor.age_seconds).to.be.within(172_800, 172_860);
    expect(warnings.join()).to.include('the last anchor of the audit log is');
  });
});
