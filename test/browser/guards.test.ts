import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { runningServices, ServiceHome } from '../support/running-service.ts';
import { listeningTargets } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { tabs, type Tab } from './support/browser.ts';
import { addressOf, giveToken, violations } from './support/console.ts';

describe('the console: guards, drills, runbooks and resolutions', () => {
  const directory = temporaryDirectories();
  const open = tabs();
  const start = runningServices();
  const listen = listeningTargets();

  const startWith = (policy: string) => {
    const home = new ServiceHome(directory());
    const path = join(home.directory, 'policy.yaml');
    writeFileSync(path, policy);
    return start(home, { env: { CONTAINMENT_POLICY_PATH: path } }).then((service) => ({ service, path }));
  };

  const shoot = async (tab: Tab, name: string): Promise<void> => {
    const { SCREENSHOTS } = process.env;
    if (SCREENSHOTS !== undefined) await tab.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
  };

  it('shows the guards, and says above every view that one is silent', async () => {
    const { service } = await startWith(
      `version: 1\nexpect: [{ source: runtime-attestor, every: 1s }, { source: canary-tripwire, every: 1h }, { source: ${'long-'.repeat(20)}, every: 1h }]\n`,
    );
    await service.post('/api/v1/heartbeat', { source: 'canary-tripwire' });
    const tab = await open(addressOf(service, '#/overview'));
    const guards = tab.getByRole('region', { name: 'Guards' });
    await guards.getByRole('listitem').filter({ hasText: 'runtime-attestor' }).getByText('silent').waitFor();
    await guards
      .getByRole('listitem')
      .filter({ hasText: 'canary-tripwire' })
      .getByText('heard', { exact: true })
      .waitFor();
    // Before what the configuration lacks: only the worst is shown at once. This view shows it itself.
    await tab.goto(addressOf(service, '#/posture'));
    const banner = tab.getByRole('region', { name: 'What does not do its work' });
    await banner.getByText('A guard is silent').waitFor();
    await banner.getByText('runtime-attestor').waitFor();
    await banner.getByRole('link', { name: 'Open overview' }).click();
    await banner.getByText('A guard is silent').waitFor({ state: 'detached' });
    await guards.first().waitFor();
    await shoot(tab, 'guards');
    expect(await violations(tab)).to.deep.equal([]);
    for (const width of [360, 1280]) {
      await tab.setViewportSize({ width, height: 800 });
      const beyond = `[...document.querySelectorAll('.guards li > *')].filter(
        (one) => one.getBoundingClientRect().right > one.closest('.guards').getBoundingClientRect().right,
      ).length`;
      expect(await tab.evaluate(beyond), `beyond the card at ${width}`).to.equal(0);
    }
    await service.report({ source: 'runtime-attestor', class: 'forbidden_airlock_request' });
    await guards
      .getByRole('listitem')
      .filter({ hasText: 'runtime-attestor' })
      .getByText('heard', { exact: true })
      .waitFor();
  });

  it('shows that an incident is a drill, in the list and in itself, with what was released again', async () => {
    const target = await listen();
    const { service } = await startWith(`version: 1
targets:
  freeze_agent:
    engage: { url: "${target.url('/freeze')}", action: freeze }
    release: { url: "${target.url('/unfreeze')}", action: unfreeze }
    drill: true
`);
    const { json } = await service.post('/api/v1/drill', { class: 'attestation_failure', note: 'the monthly one' });
    const { id } = json as { readonly id: string };
    const tab = await open(addressOf(service, `#/incidents/${id}`));
    const article = tab.getByRole('article');
    await article.getByText('This is a drill.').waitFor();
    await article.getByText('Released again').waitFor();
    const released = article.locator('.truths').nth(1);
    await released.locator('.now').getByText('Released', { exact: true }).waitFor();
    await article
      .locator('.delivery', { hasText: 'disable_airlock' })
      .getByText('not asked: this is a drill')
      .waitFor();
    await shoot(tab, 'drill');
    expect(await violations(tab)).to.deep.equal([]);
    // As it was after its report.
    await article.getByLabel('Replay').fill('1');
    await article.getByText('As it was after entry 1').waitFor();
    await article.getByText('This is a drill.').waitFor();
    await tab.goto(addressOf(service, '#/incidents'));
    const row = tab.getByRole('grid').getByRole('row').filter({ hasText: 'attestation_failure' });
    await row.locator('.drill').waitFor();
    await shoot(tab, 'drill-list');
    await tab.goto(addressOf(service, '#/overview'));
    await tab.getByText('0 incidents open or contained').waitFor();
  });

  it('shows what to do, as a link only where it is one, and at once when the policy changes', async () => {
    const runbook = (text: string): string => `version: 1\nrules: { tool_call_burst: { runbook: '${text}' } }\n`;
    const { service, path } = await startWith(runbook('https://runbooks.example/bursts'));
    const { json } = await service.report({ class: 'tool_call_burst' });
    const { id } = json as { readonly id: string };
    const tab = await open(addressOf(service, `#/incidents/${id}`));
    const link = tab.getByRole('article').getByRole('link', { name: 'https://runbooks.example/bursts' });
    await link.waitFor();
    expect(await link.getAttribute('rel')).to.equal('noopener noreferrer nofollow');
    expect(await link.getAttribute('href')).to.equal('https://runbooks.example/bursts');
    await shoot(tab, 'runbook');
    writeFileSync(path, runbook('javascript:alert(1)'));
    await service.post('/api/v1/reload');
    await tab.getByRole('article').getByText('javascript:alert(1)').waitFor();
    expect(await tab.locator('.runbook a').count()).to.equal(0);
    writeFileSync(path, 'version: 1\n');
    await service.post('/api/v1/reload');
    await tab.locator('.runbook').waitFor({ state: 'detached' });
  });

  it('asks what an incident was when it is resolved', async () => {
    const { service } = await startWith('version: 1\n');
    const { json } = await service.report({ class: 'forbidden_airlock_request' });
    const { id } = json as { readonly id: string };
    const tab = await open(addressOf(service, `#/incidents/${id}`));
    await tab.getByRole('article').getByRole('button', { name: 'Acknowledge' }).click();
    const acknowledging = tab.getByRole('dialog', { name: 'Acknowledge' });
    await acknowledging.waitFor();
    expect(await acknowledging.getByRole('radio').count()).to.equal(0);
    await acknowledging.getByRole('button', { name: 'Cancel' }).click();
    await tab.getByRole('article').getByRole('button', { name: 'Resolve' }).click();
    const dialog = tab.getByRole('dialog', { name: 'Resolve' });
    await dialog.getByText('False positive').click();
    await shoot(tab, 'resolution');
    await dialog.getByRole('button', { name: 'Resolve' }).click();
    await giveToken(tab);
    await tab.getByRole('article').locator('.facts').getByText('False positive').waitFor();
    await tab.getByRole('article').locator('.timeline').getByText('as false positive').waitFor();
    const { json: stats } = await service.get('/api/v1/stats');
    expect(stats.by_resolution.false_positive).to.equal(1);
  });
});
