import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { forgive, tabs } from './support/browser.ts';
import { addressOf } from './support/console.ts';

const nested = (depth: number, innermost: unknown): unknown =>
  depth === 0 ? innermost : { level: nested(depth - 1, innermost) };

/** The deepest that evidence may go, below the object that it is and the member that holds these. */
const LEVELS = 30;

describe('the console: one incident', () => {
  const directory = temporaryDirectories();
  const open = tabs();
  const start = runningServices();

  it('can be replayed: record, chart and containment are shown as they were', async () => {
    const service = await start(new ServiceHome(directory()));
    const { json } = await service.report({ class: 'forbidden_airlock_request', description: 'an unknown host' });
    const { id } = json as { readonly id: string };
    await service.post('/api/v1/incidents/contain', { id, by: 'ada', note: 'shut it' });
    await service.post('/api/v1/incidents/acknowledge', { id, by: 'bob' });
    await service.post('/api/v1/incidents/resolve', { id, by: 'ada', note: 'a typing error' });

    const tab = await open(addressOf(service, `#/incidents/${id}`));
    const article = tab.getByRole('article');
    const slider = article.getByLabel('Replay');
    const chart = article.getByRole('img', { name: 'Statechart' });
    await article.getByText('5 of 5: Resolved').waitFor();
    await article.locator('.statechart .state.current', { hasText: 'resolved' }).waitFor();
    expect(await chart.getAttribute('aria-label')).to.contain('open, contained, acknowledged, resolved');

    await slider.fill('1');
    await article.getByText('As it was after entry 1 of 5: Reported').waitFor();
    await article.getByText('Nothing has been contained.').waitFor();
    await article.locator('.statechart .state.current', { hasText: 'open' }).waitFor();
    expect(await article.locator('.commands').count()).to.equal(0);
    expect(await article.locator('.facts').getByText('a typing error').count()).to.equal(0);

    await slider.press('ArrowRight');
    await article.getByText('As it was after entry 2 of 5: Contained').waitFor();
    await article.locator('.facts').getByText('shut it').waitFor();
    await article.locator('.containment').getByText('log_alert').waitFor();
    await article.getByRole('button', { name: 'Acknowledged', exact: true }).click();
    await article.getByText('As it was after entry 4 of 5: Acknowledged').waitFor();
    await article.locator('.facts').getByText('by bob').waitFor();

    await article.getByRole('button', { name: 'Back to now' }).click();
    await article.locator('.facts').getByText('a typing error').waitFor();
  });

  it('says in its timeline by which rule it was raised, and what an alert is about', async () => {
    const home = new ServiceHome(directory());
    const policy = join(home.directory, 'policy.yaml');
    writeFileSync(
      policy,
      'version: 1\nescalate: [{ class: tool_call_burst, reports: 2, within: 300s, to: critical }]\n',
    );
    const service = await start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });
    const burst = { class: 'tool_call_burst', dedup_key: 'agent-7' };
    await service.report(burst);
    const { json } = await service.report(burst);
    const tab = await open(addressOf(service, `#/incidents/${json.id}`));
    const timeline = tab.getByRole('region', { name: 'Timeline' });
    await timeline.getByText('Escalated to critical by the rule tool_call_burst: 2 reports within 300 s.').waitFor();
    await timeline.locator('.cause').getByText('2 reports within 300 s').waitFor();
  });

  it('shows what happens to it while it is looked at', async () => {
    const service = await start(new ServiceHome(directory()));
    const { json } = await service.report({ class: 'tool_call_burst', description: '412 calls in 10 s' });
    const { id } = json as { readonly id: string };
    const tab = await open(addressOf(service, `#/incidents/${id}`));
    const article = tab.getByRole('article');
    await article.locator('.delivery', { hasText: 'freeze_agent' }).getByText('waits to be fetched').waitFor();
    await service.post('/api/v1/containment/confirm', { action: 'freeze_agent', directive: 'engage' });
    await article.locator('.delivery', { hasText: 'freeze_agent' }).getByText('In force').waitFor();
    await article.locator('.statechart .state.current', { hasText: 'confirmed' }).waitFor();
    await tab.goto(addressOf(service, '#/posture'));
    const card = tab.getByRole('listitem').filter({ hasText: 'freeze_agent' });
    await card.locator('.now').getByText('In force', { exact: true }).waitFor();
    await service.post('/api/v1/incidents/resolve', { id });
    await card.locator('.now').getByText('Release not known').waitFor();
    await service.post('/api/v1/containment/confirm', { action: 'freeze_agent', directive: 'release' });
    await card.locator('.now').getByText('Released', { exact: true }).waitFor();
  });

  it('shows in red what nobody confirms, claims nothing of it, and clears when it is confirmed', async () => {
    const home = new ServiceHome(directory());
    const policy = join(home.directory, 'policy.yaml');
    writeFileSync(policy, 'version: 1\noverdue_after: 1s\n');
    const service = await start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });
    const { json: known } = await service.report({ class: 'tool_call_burst' });
    await service.post('/api/v1/containment/confirm', { action: 'freeze_agent', directive: 'engage' });
    const { json } = await service.report({ class: 'tool_call_burst' });
    const { id } = json as { readonly id: string };
    const tab = await open(addressOf(service, `#/incidents/${id}`));
    const article = tab.getByRole('article');
    await article.locator('.truth-row .mark.is-overdue', { hasText: 'Overdue' }).waitFor();
    const colourOf = (element: string): Promise<unknown> => tab.evaluate(`getComputedStyle(${element}).color`);
    await tab.evaluate(`document.body.append(Object.assign(document.createElement('i'), { id: 'red' }))`);
    await tab.evaluate(`document.querySelector('#red').style.color = 'var(--bad)'`);
    expect(await colourOf(`document.querySelector('.truth-row .mark.is-overdue')`)).to.equal(
      await colourOf(`document.querySelector('#red')`),
    );
    await article.locator('.delivery.is-overdue', { hasText: 'waits to be fetched' }).waitFor();
    await article.locator('.statechart .state.current', { hasText: 'overdue' }).waitFor();
    await article.getByText('freeze_agent: overdue, not confirmed in time').first().waitFor();
    await tab.goto(addressOf(service, '#/posture'));
    const card = tab.getByRole('listitem').filter({ hasText: 'freeze_agent' });
    await card.locator('.now .mark.is-overdue', { hasText: 'Overdue' }).waitFor();
    await card.getByText('1 of 2 by its service').waitFor();
    await card.getByText('1 waits to be fetched, 1 overdue').waitFor();
    expect(await card.locator('.now .is-done').count(), 'ticks').to.equal(0);
    await service.post('/api/v1/containment/confirm', { action: 'freeze_agent', directive: 'engage' });
    await card.locator('.now').getByText('In force', { exact: true }).waitFor();
    await card.getByText('2 of 2 by its service').waitFor();
    expect(await card.locator('.is-overdue').count()).to.equal(0);
    const { id: first } = known as { readonly id: string };
    for (const one of [first, id]) await service.post('/api/v1/incidents/resolve', { id: one });
    await card.locator('.now .mark.is-overdue', { hasText: 'Release overdue' }).waitFor();
    await tab.goto(addressOf(service, `#/incidents/${id}`));
    await article.locator('.mark.is-overdue', { hasText: 'Release overdue' }).waitFor();
    await service.post('/api/v1/containment/confirm', { action: 'freeze_agent', directive: 'release' });
    await article.locator('.mark.is-released', { hasText: 'Released' }).waitFor();
  });

  it('leaves what was reported text, whatever it is', async () => {
    const service = await start(new ServiceHome(directory()));
    const script = '<script>window.broken = 1</script><img src=x onerror="window.broken = 1">';
    const { status } = await service.report({
      source: 'f\u0456rewall',
      description: `${script}\u0007 \u202eabc שלום`,
      evidence: {
        [script]: script,
        'turned \u2066key\u2069': '\u202egnp.exe',
        long: 'y'.repeat(60 * 1024 - 3000),
        deep: nested(LEVELS, 'the bottom'),
        controls: 'a\u0000b\u001b[31m\u200b',
        many: Array.from({ length: 300 }, (_, index) => index),
      },
    });
    expect(status).to.equal(201);
    const tab = await open(addressOf(service));
    const row = tab.getByRole('gridcell').getByText('<script>');
    await row.click();
    const article = tab.getByRole('article');
    await article.locator('.description').getByText(script).waitFor();
    await article.getByText('suspicious').waitFor();
    for (const name of ['U+202E', 'U+0007', 'U+0000', 'U+001B', 'U+200B', 'U+2066']) {
      await article.getByText(name, { exact: true }).first().waitFor();
    }
    await article.getByRole('button', { name: /show all 58,440 characters/ }).click();
    await article.getByText('y'.repeat(1000)).first().waitFor();
    await article.getByRole('group').filter({ hasText: 'many' }).getByText('300 items').click();
    await article.getByRole('button', { name: '… 200 more' }).waitFor();
    const bottom = article.getByText('the bottom');
    const closed = article.locator('.tree details:not([open])', { hasText: 'level' });
    // Two of them are open from the start.
    for (let level = 3; level <= LEVELS; level++) await closed.first().locator('summary').click();
    await bottom.waitFor();
    expect(await tab.evaluate('window.broken')).to.equal(undefined);
    expect(await tab.evaluate('document.querySelectorAll("main script, main img").length')).to.equal(0);
    expect(await tab.evaluate('document.documentElement.scrollWidth - innerWidth'), 'overhang').to.equal(0);
  });

  it('says so when there is no such incident', async () => {
    const service = await start(new ServiceHome(directory()));
    const tab = await open(addressOf(service, '#/incidents/INC-20261122-000000000000'));
    await tab.getByRole('alert').getByText('incident not found').waitFor();
    forgive(tab, 'status of 404');
  });
});
