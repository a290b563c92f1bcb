import { runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { forgive, tabs } from './support/browser.ts';
import { addressOf, giveToken, reportMany, rows } from './support/console.ts';

describe('the console: a service whose reads need the token', () => {
  const directory = temporaryDirectories();
  const open = tabs();
  const start = runningServices();

  it('asks for it once, streams with it, and waits for it when there is none', async () => {
    const home = new ServiceHome(directory());
    const env = { READ_ACCESS: 'token' };
    const service = await start(home, { env });
    await reportMany(service, 1, { description: 'before' });
    const tab = await open(addressOf(service));
    const dialog = tab.getByRole('dialog', { name: 'Service token' });
    await dialog.getByText('Reading and commands need the token').waitFor();
    forgive(tab, '403 (Forbidden)');

    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await tab.getByText('Reading needs a token', { exact: true }).waitFor();
    await dialog.waitFor({ state: 'detached' });

    await tab.getByRole('button', { name: 'Enter the token' }).click();
    await giveToken(tab, 'ada', 'a-wrong-token-0123456789');
    await tab.getByText('does not take that token').waitFor();
    await giveToken(tab);
    await rows(tab).getByText('before').waitFor();
    await tab.getByText('Live', { exact: true }).waitFor();
    await reportMany(service, 1, { description: 'live' });
    await rows(tab).getByText('live', { exact: true }).waitFor();

    await service.end('SIGKILL');
    await tab.getByText('The service does not answer.').waitFor();
    const again = await start(home, { env: { ...env, BIND_ADDR: `127.0.0.1:${service.port}` } });
    await reportMany(again, 1, { description: 'meanwhile' });
    await rows(tab).getByText('meanwhile').waitFor();
    await tab.getByText('Live', { exact: true }).waitFor();
    forgive(tab, 'net::ERR_');
  });

  it('reads the log in its views, too', async () => {
    const service = await start(new ServiceHome(directory()), { env: { READ_ACCESS: 'token' } });
    await reportMany(service, 3);
    const tab = await open(addressOf(service, '#/audit'));
    forgive(tab, '403 (Forbidden)');
    await tab.getByRole('dialog', { name: 'Service token' }).waitFor();
    await giveToken(tab);
    await tab.getByRole('button', { name: /^Verify these 4 entries here$/ }).click();
    await tab.getByText(/are linked without a gap/).waitFor();
    await tab.goto(addressOf(service, '#/statecharts'));
    await tab.locator('[data-state="superseded"]').waitFor();
  });
});
