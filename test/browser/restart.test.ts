import { runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { forgive, tabs } from './support/browser.ts';
import { addressOf, reportMany, rows } from './support/console.ts';

describe('the console: a service that goes away', () => {
  const directory = temporaryDirectories();
  const open = tabs();
  const start = runningServices();

  it('says so, comes back by itself, and shows what happened meanwhile', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    await reportMany(service, 1, { description: 'before' });
    const tab = await open(addressOf(service));
    await rows(tab).getByText('before').waitFor();
    await tab.getByText('Live', { exact: true }).waitFor();

    await service.end('SIGKILL');
    await tab.getByText('The service does not answer.').waitFor();
    await rows(tab).getByText('before').waitFor();

    const again = await start(home, { env: { BIND_ADDR: `127.0.0.1:${service.port}` } });
    await reportMany(again, 1, { description: 'meanwhile' });
    await rows(tab).getByText('meanwhile').waitFor();
    await tab.getByText('Live', { exact: true }).waitFor();
    await tab.getByText('The service does not answer.').waitFor({ state: 'detached' });
    await tab.getByText('2 incidents', { exact: true }).waitFor();
    forgive(tab, 'net::ERR_');
  });
});
