import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { readKey } from '../../src/audit/key.ts';
import { DAY, HOUR, SECOND } from '../../src/clock.ts';
import { generateLog } from '../bench/generate-log.ts';
import { ROOT, runningServices, ServiceHome } from '../support/running-service.ts';
import { answering, Target } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { forgive, type Tab, tabs } from './support/browser.ts';
import { addressOf, EACH, reportMany, rows, violations } from './support/console.ts';

/** A policy in which the target freezes the agent. */
const policyWith = ({ port }: Target): string => {
  const url = `{ url: 'http://127.0.0.1:${port}/freeze', action: freeze }`;
  return `version: 1\ntargets:\n  freeze_agent:\n    engage: ${url}\n    release: ${url}\n`;
};

/** The texts of the chart, and whether each lies within it. */
const DRAWN = `(() => {
  const place = document.querySelector('.hours').getBoundingClientRect();
  return [...document.querySelectorAll('.hours text')].map((text) => {
    const { left, right, top, bottom } = text.getBoundingClientRect();
    return {
      text: text.textContent,
      isWhole: left >= place.left && right <= place.right && top >= place.top && bottom <= place.bottom,
    };
  });
})()`;

/** What is cut off in the page: the texts that are wider than the box that hides the rest. */
const cutOff = (tab: Tab, selector: string): Promise<readonly string[]> =>
  tab.evaluate(`[...document.querySelectorAll(${JSON.stringify(selector)})]
    .filter((element) => element.scrollWidth > element.clientWidth + 1)
    .map((element) => element.textContent)`);

/** How much room the arrow of a select takes, in pixels. */
const ARROW = 16;

/** The selects that are narrower than the words that they show. */
const cutSelects = (tab: Tab): Promise<readonly string[]> =>
  tab.evaluate(`[...document.querySelectorAll('select')].filter((select) => {
    const style = getComputedStyle(select);
    const brush = document.createElement('canvas').getContext('2d');
    brush.font = style.fontSize + ' ' + style.fontFamily;
    const room = select.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - ${ARROW};
    return brush.measureText(select.selectedOptions[0].text).width > room;
  }).map((select) => select.selectedOptions[0].text)`);

/** What the list must show whole; where it is narrow, its head is for screen readers only. */
const CELLS = '.row:not(.head) :is(.age, .severity, .state, .times), .grid:not(.narrow) .head .cell';

describe('the console: figures and words', () => {
  const directory = temporaryDirectories();
  const open = tabs();
  const start = runningServices();
  const targets: Target[] = [];
  afterEach(async () => {
    for (const target of targets.splice(0)) await target.close();
  });

  it('draws each mark of the axes whole, however long a resolution took', async () => {
    const service = await start(new ServiceHome(directory()));
    await reportMany(service, 3);
    const tab = await open(addressOf(service, '#/statecharts'));
    await tab.route('**/api/v1/stats/hours*', async (route) => {
      const response = await route.fetch();
      const reading = await response.json();
      reading.reported.low.fill(1_200_000, 3, 6);
      reading.reported.low.fill(48_000_000, 9, 10);
      await route.fulfill({ response, json: reading });
    });
    await tab.route('**/api/v1/stats/compare*', async (route) => {
      const response = await route.fetch();
      const reading = await response.json();
      const { resolve } = reading.time_to;
      resolve.now = { ...resolve.now, count: 4, median_ms: 2 * SECOND, p95_ms: 115 * DAY + 17 * HOUR };
      await route.fulfill({ response, json: reading });
    });
    await tab.reload();
    await tab.goto(addressOf(service, '#/overview'));
    await tab.getByText('115 d 17 h').waitFor();
    // The hour that is higher than the scale carries its number.
    await tab.locator('.hours .number', { hasText: '48,000,000' }).waitFor();
    for (const width of [1280, 360]) {
      await tab.setViewportSize({ width, height: 800 });
      await tab.evaluate('new Promise((done) => setTimeout(done, 500))');
      const drawn = await tab.evaluate<readonly { readonly text: string; readonly isWhole: boolean }[]>(DRAWN);
      expect(drawn.map(({ text }) => text)).to.include('0');
      expect(drawn.length, 'marks').to.be.greaterThan(5);
      expect(
        drawn.filter(({ isWhole }) => !isWhole),
        `${width}`,
      ).to.deep.equal([]);
      expect(await cutOff(tab, '.times-table td'), 'figures that are cut').to.deep.equal([]);
    }
  });

  it('shows when each incident was reported, and how often, whole', async () => {
    const home = new ServiceHome(directory());
    await generateLog({ incidents: 300, path: home.log, hash: chainHash(readKey(home.key)) });
    const service = await start(home, { command: [join(ROOT, 'dist/service.cjs')] });
    const tab = await open(addressOf(service, '#/incidents'));
    await rows(tab)
      .getByText(/^\d+ d$/)
      .first()
      .waitFor();
    for (const width of [1280, 1100, 1000, 768, 640, 360, 320]) {
      await tab.setViewportSize({ width, height: 800 });
      await rows(tab).first().waitFor();
      expect(await cutOff(tab, CELLS), `${width}`).to.deep.equal([]);
      expect(await tab.evaluate('document.documentElement.scrollWidth - innerWidth'), `${width}`).to.equal(0);
      expect(await cutOff(tab, '.grid'), `the list at ${width}`).to.deep.equal([]);
    }
  });

  it('has all its views in reach on a narrow page, and on one at twice the size', async () => {
    const service = await start(new ServiceHome(directory()));
    await reportMany(service, 12);
    for (const width of [320, 360, 640]) {
      const tab = await open(addressOf(service), { viewport: { width, height: 700 } });
      await rows(tab).getByText('×12', { exact: true }).waitFor();
      const views = tab.getByRole('navigation', { name: 'Tabs' });
      for (const way of await views.locator('a, button').all()) {
        const box = (await way.boundingBox())!;
        expect(box.x, `${await way.textContent()} at ${width}`).to.be.at.least(0);
        expect(box.x + box.width, `${await way.textContent()} at ${width}`).to.be.at.most(width);
      }
      // What has no tab is in the palette.
      await views.getByRole('button', { name: 'More' }).click();
      await tab.getByRole('option', { name: 'Statecharts' }).click();
      await tab.getByRole('heading', { name: 'Statecharts' }).waitFor();
      expect(await cutSelects(tab), `cut off at ${width}`).to.deep.equal([]);
      await views.getByRole('link', { name: 'Audit' }).click();
      await tab.getByRole('heading', { name: 'Audit log' }).waitFor();
    }
  });

  it('counts the deliveries of an action by what is known of each, and does not tick what waits', async () => {
    const service = await start(new ServiceHome(directory()));
    const report = { class: 'tool_call_burst' };
    const { json } = await service.report(report);
    for (let n = 0; n < 3; n++) await service.report({ ...report, description: `number ${n}` });
    await service.post('/api/v1/containment/confirm', {
      action: 'freeze_agent',
      directive: 'engage',
      incident_id: json.id,
    });
    const tab = await open(addressOf(service, '#/posture'));
    const card = tab.getByRole('listitem').filter({ hasText: 'freeze_agent' });
    await card.getByText('3 wait to be fetched').waitFor();
    await card.locator('.mark.is-done', { hasText: '1 of 4 by its service' }).waitFor();
    await card.locator('.now .mark.is-unknown', { hasText: 'Not known for 3 of 4' }).waitFor();
    await tab.getByText('1 of 5 asked for').waitFor();
    await tab.locator('.sum').getByText('1 not known').waitFor();
    expect(await tab.locator('.sum').getByText('in force').count()).to.equal(0);
    expect(await card.locator('.now .is-done').count()).to.equal(0);
  });

  it('does not call in force in green what needs a person for one of its incidents', async () => {
    const service = await start(new ServiceHome(directory()));
    const { json } = await service.report({ class: 'model_behavior_anomaly' });
    await service.report({ class: 'model_behavior_anomaly', description: 'another model' });
    await service.post('/api/v1/containment/confirm', {
      action: 'quarantine_model',
      directive: 'engage',
      incident_id: json.id,
    });
    const tab = await open(addressOf(service, '#/posture'));
    const card = tab.getByRole('listitem').filter({ hasText: 'quarantine_model' });
    await card.getByText('1 of 2 by its service').waitFor();
    await card.locator('.now .mark.is-person', { hasText: '1 needs a person' }).waitFor();
    expect(await card.locator('.now .is-done').count()).to.equal(0);
  });

  it('says beside a time to containment who still waits', async () => {
    const service = await start(new ServiceHome(directory()));
    await service.report({ class: 'tool_call_burst' });
    const tab = await open(addressOf(service, '#/overview'));
    const times = tab
      .getByRole('region', { name: 'How long it takes' })
      .getByRole('row')
      .filter({ hasText: 'contain' });
    await times.getByText('1 still waiting').waitFor();
    await times.getByText(/^oldest \d+ (?:ms|s)$/).waitFor();
    expect(await times.getByText('–').count(), 'no time while nothing is contained').to.equal(2);
    await service.post('/api/v1/containment/confirm', { action: 'freeze_agent', directive: 'engage' });
    await times.getByText('nobody').waitFor();
    expect(await times.getByText('–').count()).to.equal(0);
  });

  it('gives the size of the file that it knows, and has nothing to verify before the log is read', async () => {
    const service = await start(new ServiceHome(directory()), { env: { AUDIT_SEGMENT_BYTES: '1024' } });
    await reportMany(service, 12);
    const tab = await open(addressOf(service, '#/audit'));
    await tab.getByText(/^\d+ files, the last with \d KiB$/).waitFor();
    await tab.route('**/api/v1/log*', (route) =>
      route.fulfill({ status: 503, json: { error: 'reading the log, 43 %' } }),
    );
    await tab.route('**/api/v1/events*', (route) =>
      route.fulfill({ status: 503, json: { error: 'reading the log, 43 %' } }),
    );
    await tab.reload();
    await tab.getByText('reading the log, 43 %').first().waitFor();
    expect(await tab.getByRole('button', { name: /^Verify/ }).allTextContents()).to.deep.equal(['Verify here']);
    forgive(tab, 'status of 503');
  });

  it('leads from the other holders of an action to all of them', async () => {
    const service = await start(new ServiceHome(directory()));
    for (let n = 0; n < 7; n++) await service.report({ class: 'tool_call_burst', description: `held ${n}` });
    await reportMany(service, 2);
    const tab = await open(addressOf(service, '#/posture'));
    const card = tab.getByRole('listitem').filter({ hasText: 'freeze_agent' });
    await card.locator('.now').getByText('Not known').waitFor();
    await card.getByRole('link', { name: /^7\s*tool_call_burst/ }).click();
    await tab.getByText('7 of 9 incidents', { exact: true }).waitFor();
    expect(
      await rows(tab)
        .getByText(/^number/)
        .count(),
    ).to.equal(0);
    // What asks for it later comes onto the list, and what is resolved leaves it.
    const { json } = await service.report({ class: 'tool_call_burst', description: 'one more' });
    await tab.getByText('8 of 10 incidents', { exact: true }).waitFor();
    await service.post('/api/v1/incidents/resolve', { id: json.id });
    await tab.getByText('7 of 10 incidents', { exact: true }).waitFor();
    expect(tab.url()).to.match(/holds=freeze_agent/);
  });

  it('lists the incidents of a source, chosen in the list, in an incident, or by name', async () => {
    const service = await start(new ServiceHome(directory()));
    await reportMany(service, 2, { source: 'vault' });
    const [id] = await reportMany(service, 1, { source: 'x'.repeat(200) });
    const tab = await open(addressOf(service, EACH));
    await tab.getByText('3 incidents', { exact: true }).waitFor();
    await rows(tab).getByRole('button', { name: 'vault' }).first().click();
    await tab.getByText('2 of 3 incidents', { exact: true }).waitFor();
    expect(tab.url()).to.match(/source=vault/);
    expect(await tab.getByRole('article').count()).to.equal(0);
    expect(await violations(tab)).to.deep.equal([]);
    await tab.getByRole('button', { name: 'source is vault: take this filter away' }).click();
    await tab.getByText('3 incidents', { exact: true }).waitFor();
    await rows(tab).getByRole('button', { name: 'xxx' }).click();
    await tab.getByText('1 of 3 incidents', { exact: true }).waitFor();

    await tab.goto(addressOf(service, `#/incidents/${id}`));
    await tab.getByRole('article').getByRole('link', { name: 'xxx' }).click();
    await tab.getByText('1 of 3 incidents', { exact: true }).waitFor();

    await tab.goto(addressOf(service, EACH));
    await tab.getByRole('combobox', { name: 'Filter and search' }).fill('source:vault');
    await tab.getByRole('option', { name: 'vault' }).waitFor();
    await tab.keyboard.press('Enter');
    await tab.getByText('2 of 3 incidents', { exact: true }).waitFor();
  });

  it('says that a next attempt is late, not that it is in the past', async () => {
    const target = await Target.listen(0, answering(503));
    targets.push(target);
    const home = new ServiceHome(directory());
    const policy = join(home.directory, 'policy.yaml');
    writeFileSync(policy, policyWith(target));
    const service = await start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });
    const { json } = await service.report({ class: 'tool_call_burst' });
    const tab = await open(addressOf(service, '#/statecharts'));
    await tab.route('**/api/v1/incidents/get*', async (route) => {
      const response = await route.fetch();
      const incident = await response.json();
      const [action] = incident.containment.actions;
      action.next_attempt_at = new Date(Date.now() - 41 * SECOND).toISOString();
      await route.fulfill({ response, json: incident });
    });
    await tab.goto(addressOf(service, `#/incidents/${json.id}`));
    await tab.getByText(/was due \d\d s ago/).waitFor();
    expect(await tab.getByText(/next \d+ \w+ ago/).count()).to.equal(0);
  });

  it('warns that an action failed as soon as that is on record', async () => {
    const target = await Target.listen(0, answering(400));
    targets.push(target);
    const home = new ServiceHome(directory());
    const policy = join(home.directory, 'policy.yaml');
    writeFileSync(policy, policyWith(target));
    const service = await start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });
    // The posture shows it itself.
    const tab = await open(addressOf(service, '#/overview'));
    await tab.getByText('Live', { exact: true }).waitFor();
    await service.report({ class: 'tool_call_burst' });
    const warning = tab.getByRole('region', { name: 'What does not do its work' }).getByText('freeze_agent');
    await warning.waitFor();
    target.behaviours = [answering(200, '{"success":true}')];
    await service.post('/api/v1/containment/retry', { action: 'freeze_agent' });
    await warning.waitFor({ state: 'detached' });
  });

  it('counts one entry as one', async () => {
    const service = await start(new ServiceHome(directory()));
    expect((await service.get('/health')).json.audit.last_seq).to.equal(1);
    const tab = await open(addressOf(service, '#/audit'));
    await tab.getByRole('button', { name: 'Verify this entry here', exact: true }).click();
    await tab.getByText('Entry 1 stands alone').waitFor();
  });
});
