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
    await tab.getByText(/^2 incidents in/).waitFor();
    forgive(tab, 'net::ERR_');
  });

  it('reads everything again when an older copy of the log was put back, also when that has grown past', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    await reportMany(service, 1, { description: 'in the copy' });
    const copy = home.copyTo(directory());
    await reportMany(service, 1, { description: 'after the copy' });
    const tab = await open(addressOf(service));
    await rows(tab).getByText('after the copy').waitFor();
    await tab.getByText('Live', { exact: true }).waitFor();

    await service.end('SIGKILL');
    await tab.getByText('The service does not answer.').waitFor();
    const other = await start(copy);
    await reportMany(other, 3, { description: 'in the other log' });
    await other.end();
    await start(copy, { env: { BIND_ADDR: `127.0.0.1:${service.port}` } });
    await rows(tab).getByText('in the other log').first().waitFor();
    await rows(tab).getByText('after the copy').waitFor({ state: 'detached' });
    await tab.getByText(/^4 incidents in/).waitFor();
    forgive(tab, 'net::ERR_');
    forgive(tab, '410');
  });
});
