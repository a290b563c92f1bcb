import { readFileSync, rmSync, truncateSync } from 'node:fs';
import { expect } from 'chai';
import { databasePath } from '../../src/projections/database.ts';
import { runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('given a change of several entries that a crash tore', () => {
  const start = runningServices();
  const directory = temporaryDirectories();

  it('between two of them, then the service comes back with all of the change or nothing', async () => {
    const home = new ServiceHome(directory());
    const first = await start(home);
    // Its rule asks for log_alert, so the report and the alert are entries of one change.
    expect((await first.report({ class: 'prompt_injection' })).json.version).to.equal(2);
    await first.end('SIGKILL');
    const log = readFileSync(home.log, 'utf8');
    truncateSync(home.log, Buffer.byteLength(log.slice(0, log.lastIndexOf('\n', log.length - 2) + 1)));
    // Entries get there only when the log has them on disk.
    rmSync(databasePath(home.log));

    const service = await start(home);
    const incidents = (await service.get('/api/v1/incidents')).json as { readonly version: number }[];
    expect(incidents.map(({ version }) => version)).to.be.deep.oneOf([[], [2]]);
    expect(await service.end()).to.equal(0);
    await home.expectSound();
  });
});
