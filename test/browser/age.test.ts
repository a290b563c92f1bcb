import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { type RunningService, runningServices, ServiceHome, TOKEN } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { forgive, type Tab, tabs } from './support/browser.ts';
import { addressOf, reportMany, rows, violations } from './support/console.ts';

const live = (tab: Tab): Promise<void> => tab.getByText('Live', { exact: true }).waitFor();

describe('the console: how old it is what it says', () => {
  const directory = temporaryDirectories();
  const open = tabs();
  const start = runningServices();

  const failed = (tab: Tab, service: RunningService): void => {
    expect(service.port).to.be.greaterThan(0);
    forgive(tab, 'net::ERR_');
    forgive(tab, 'status of 503');
  };

  it('says within seconds that the service is degraded, and when it is not any more', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    const tab = await open(addressOf(service));
    await live(tab);
    rmSync(home.token);
    await tab.getByText('The service is degraded:').waitFor();
    await tab.getByRole('banner').getByText('Degraded', { exact: true }).waitFor();
    expect(await tab.getByText('Live', { exact: true }).count()).to.equal(0);
    await tab
      .locator('.trouble', { hasText: 'degraded' })
      .getByText(/^as of \d\d:\d\d:\d\d$/)
      .waitFor();

    writeFileSync(home.token, `${TOKEN}\n`, { mode: 0o600 });
    await live(tab);
    await tab.getByText('The service is degraded:').waitFor({ state: 'detached' });
    failed(tab, service);
  });

  it('shows the warnings of the service, with their age', async () => {
    const service = await start(new ServiceHome(directory()), { env: { AUDIT_HMAC_KEY_PATH: '' } });
    const tab = await open(addressOf(service));
    const warnings = tab.getByRole('region', { name: 'What does not do its work' });
    await warnings.getByText('no audit key').waitFor();
    const age = warnings.getByText(/^as of \d\d:\d\d:\d\d$/);
    const before = await age.textContent();
    // It is read again without an entry that would cause it.
    await age.filter({ hasNotText: before! }).waitFor();
  });

  it('does not say that nothing needs attention when it does not know, and takes the colour from what is old', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    const tab = await open(addressOf(service));
    await tab.getByText('Nothing needs attention').waitFor();
    await live(tab);
    const views = ['posture', 'overview', 'statecharts', 'audit', 'incidents'];
    const show = async (view: string): Promise<void> => {
      await tab.getByRole('navigation', { name: 'Views' }).getByRole('link', { name: view }).click();
      await tab.getByRole('heading', { level: 1, name: view }).waitFor();
    };
    // Their scripts are read when the page has time: this must not depend on whether it had.
    for (const view of views) await show(view);
    await service.end('SIGKILL');
    await tab.getByText(/^Nothing needed attention at \d\d:\d\d:\d\d$/).waitFor();
    expect(await tab.getByText('Nothing needs attention').count()).to.equal(0);
    await tab
      .getByRole('banner')
      .getByText(/No stream · as of \d\d:\d\d:\d\d/)
      .waitFor();
    await tab
      .getByRole('alert')
      .getByText(/Nothing heard since \d\d:\d\d:\d\d/)
      .waitFor();
    await tab.getByRole('alert').getByText('What is below is from then and may have changed.').waitFor();
    for (const view of views) {
      await show(view);
      await tab.locator('main.old').waitFor();
      const style = (name: string): Promise<string> =>
        tab.evaluate(`getComputedStyle(document.querySelector('main')).${name}`);
      expect(await style('filter'), view).to.equal('grayscale(1)');
      // Nothing in it is red, and what is said stays as easy to read.
      const colours = (names: readonly string[]): Promise<readonly string[]> =>
        tab.evaluate(`${JSON.stringify(names)}.map((name) =>
          getComputedStyle(document.querySelector('main')).getPropertyValue(name).trim())`);
      const [muted, ...others] = await colours(['--muted', '--critical', '--overdue', '--done', '--contained']);
      expect(new Set(others), view).to.deep.equal(new Set([muted]));
      expect(Number(await style('opacity')), view).to.equal(1);
      expect(await violations(tab), view).to.deep.equal([]);
    }
    const again = await start(home, { env: { BIND_ADDR: `127.0.0.1:${service.port}` } });
    await live(tab);
    await tab.getByText('Nothing needs attention').waitFor();
    expect(await tab.locator('.old').count()).to.equal(0);
    failed(tab, again);
  });

  it('notices that a service has fallen silent without closing its connections', async () => {
    const service = await start(new ServiceHome(directory()));
    await reportMany(service, 1);
    const tab = await open(addressOf(service));
    await live(tab);
    service.process.kill('SIGSTOP');
    await tab.getByText('The service does not answer.').waitFor();
    await tab.locator('main.old').waitFor();
    // Ages go, exact times stay; and a command is refused with the reason.
    const age = rows(tab).getByText(/^\d+ (s|min)$/);
    expect(await age.isVisible()).to.equal(false);
    expect(
      await rows(tab)
        .getByText(/^\d\d:\d\d:\d\d$/)
        .isVisible(),
    ).to.equal(true);
    await tab.keyboard.press('j');
    await tab.keyboard.press('a');
    const dialog = tab.getByRole('dialog');
    await dialog.getByText('Acknowledge can’t be given: what is shown may have changed').waitFor();
    expect(await dialog.getByRole('button', { name: 'Acknowledge' }).isDisabled()).to.equal(true);
    await tab.keyboard.press('Escape');
    service.process.kill('SIGCONT');
    await live(tab);
    expect(await tab.locator('.old').count()).to.equal(0);
    failed(tab, service);
  });

  it('recovers in every view what could not be read for a moment', async () => {
    const service = await start(new ServiceHome(directory()));
    await reportMany(service, 1);
    for (const [view, path, sign] of [
      ['#/incidents', '**/api/v1/incidents?*', '1 incident'],
      ['#/posture', '**/api/v1/containment', 'Nothing is asked for'],
      ['#/overview', '**/api/v1/stats/hours*', 'Incidents each hour'],
    ] as const) {
      const tab = await open(addressOf(service, '#/statecharts'));
      await live(tab);
      const refuse = { status: 503, json: { error: 'not now' } };
      await tab.route(path, (route) => route.fulfill(refuse));
      await tab.goto(addressOf(service, view));
      // The posture is known already, since the top bar counts what is overdue: something has to change it.
      if (view === '#/posture') await reportMany(service, 1);
      await tab.getByText('not now').first().waitFor();
      await tab.unroute(path);
      await tab.getByText(sign).first().waitFor();
      await tab.getByText('not now').waitFor({ state: 'detached' });
      forgive(tab, 'status of 503');
    }
  });

  it('has a first heading also where the script of a view can’t be read', async () => {
    const service = await start(new ServiceHome(directory()));
    const tab = await open('about:blank');
    await tab.route(/\/statecharts-view-[^/]*\.js/, (route) => route.abort());
    await tab.goto(addressOf(service, '#/statecharts'));
    await tab.getByText('This view could not be read').waitFor();
    expect(await tab.getByRole('heading', { level: 1 }).allTextContents()).to.deep.equal(['Statecharts']);
    expect(await violations(tab)).to.deep.equal([]);
    tab.complaints.splice(0);
  });

  it('begins from the present state when its position has left the log', async () => {
    const service = await start(new ServiceHome(directory()));
    const tab = await open(addressOf(service));
    await live(tab);
    let refusals = 0;
    await tab.route('**/api/v1/events*', async (route) => {
      refusals += 1;
      if (refusals > 1) await route.continue();
      else await route.fulfill({ status: 410, json: { error: 'that is another log', first_seq: 1 } });
    });
    // A page that was shown again opens its stream again.
    await reportMany(service, 1, { description: 'meanwhile' });
    await tab.evaluate(`sessionStorage.setItem('incident-recorder.operator', '{"token":"${TOKEN}","name":"ada"}')`);
    await tab.reload();
    await rows(tab).getByText('meanwhile').waitFor();
    await live(tab);
    expect(refusals).to.equal(2);
    await reportMany(service, 1, { description: 'afterwards' });
    await rows(tab).getByText('afterwards').waitFor();
    forgive(tab, 'status of 410');
  });

  it('shows another log as another, even if it is longer', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    await reportMany(service, 1, { description: 'in the old log' });
    const tab = await open(addressOf(service));
    await rows(tab).getByText('in the old log').waitFor();
    await live(tab);
    await service.end('SIGKILL');
    await tab.getByText('The service does not answer.').waitFor();

    const other = new ServiceHome(directory());
    renameSync(home.key, other.key);
    const stand = await start(other);
    await reportMany(stand, 3, { description: 'in the new log' });
    await stand.end();
    const again = await start(other, { env: { BIND_ADDR: `127.0.0.1:${service.port}` } });
    await live(tab);
    await tab.getByText('3 incidents in 1 row', { exact: true }).waitFor();
    expect(await rows(tab).getByText('in the old log').count()).to.equal(0);
    failed(tab, again);
  });

  it('measures ages by the clock of the service', async () => {
    const service = await start(new ServiceHome(directory()));
    await reportMany(service, 1);
    const tab = await open('about:blank');
    await tab.addInitScript(`
      const behind = 3 * 3_600_000, Now = Date.now;
      Date.now = () => Now() - behind;`);
    await tab.goto(addressOf(service, '#/incidents?last=1h'));
    await tab.getByText('1 incident', { exact: true }).waitFor();
    await rows(tab)
      .getByText(/^\d+ s$/)
      .waitFor();
    tab.complaints.splice(0);
  });
});
