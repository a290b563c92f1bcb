import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { ATTESTATION_KEY, ATTESTOR_TOKEN, attesting, listeningAttestors } from '../support/attestor.ts';
import { type RunningService, runningServices, ServiceHome } from '../support/running-service.ts';
import { answering, listeningTargets } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { tabs } from './support/browser.ts';
import { addressOf, keepToken, reportMany, rows, violations } from './support/console.ts';

describe('the console: the jobs of an operator in one incident, the posture, the overview and the log', () => {
  const directory = temporaryDirectories();
  const open = tabs();
  const start = runningServices();
  const listen = listeningTargets();
  const listenAttestor = listeningAttestors();

  const startWith = (policy: string, env: Readonly<Record<string, string>> = {}): Promise<RunningService> => {
    const home = new ServiceHome(directory());
    const path = join(home.directory, 'policy.yaml');
    writeFileSync(path, policy);
    return start(home, { env: { CONTAINMENT_POLICY_PATH: path, ...env } });
  };

  it('works an incident to its end, with its recovery, by keyboard', async () => {
    const attestor = await listenAttestor([attesting()]);
    const home = new ServiceHome(directory());
    const file = (name: string, text: string): string => {
      const path = join(home.directory, name);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    };
    const service = await start(home, {
      env: {
        CONTAINMENT_POLICY_PATH: file(
          'policy.yaml',
          'version: 1\nrules:\n  attestation_failure:\n    recovery: { acknowledge: true, attest: true }\n',
        ),
        RUNTIME_ATTESTOR_URL: attestor.url,
        RUNTIME_ATTESTOR_TOKEN_PATH: file('attestor-token', ATTESTOR_TOKEN),
        ATTESTATION_HMAC_KEY_PATH: file('attestation-key', ATTESTATION_KEY),
      },
    });
    const { json } = await service.report({ class: 'attestation_failure', description: 'PCR 7 differs' });
    const tab = await open(addressOf(service));
    await keepToken(tab, 'ada');
    await tab.reload();
    await rows(tab).getByText('PCR 7 differs').waitFor();
    await tab.keyboard.press('j');
    await tab.keyboard.press('Enter');
    const article = tab.getByRole('article', { name: json.id as string });
    await article.getByText('1 of 1').waitFor();
    await article.getByText('Resolve waits for recovery, 0 of 2 done').waitFor();
    await article.getByText(/releases freeze_agent\s+\(you are the last holder\)/).waitFor();
    expect(await article.getByRole('button', { name: /^Resolve/ }).isDisabled()).to.equal(true);

    await tab.keyboard.press('a');
    await tab.keyboard.type('looking at the machine');
    await tab.keyboard.press('Control+Enter');
    await article.getByText('looking at the machine').first().waitFor();
    await article.getByRole('button', { name: 'take it' }).click();
    await article.locator('.facts .person', { hasText: 'ada' }).waitFor();
    const recovery = article.getByRole('region', { name: 'Recovery' });
    await recovery.getByRole('button', { name: 'Acknowledge recovery' }).click();
    await article.getByText('Resolve waits for recovery, 1 of 2 done').waitFor();
    await recovery.getByRole('button', { name: 'Ask the attestor' }).click();
    await article.getByText('Recovery is done').waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    await tab.keyboard.press('r');
    await tab.getByRole('dialog').getByText('You are the only holder').first().waitFor();
    await tab.keyboard.press('Control+Enter');
    await article.locator('.incident-line', { hasText: 'Resolved' }).waitFor();
    await article.getByText('Reopen makes a new incident').waitFor();
  });

  it('folds the rail and keeps it so, and shows the hidden attempts', async () => {
    const target = await listen();
    target.behaviours = [answering(500, 'down'), answering(500, 'down'), answering(200, '{"success":true}')];
    const url = `{ url: "${target.url('/f')}", action: f }`;
    const service = await startWith(`version: 1\ntargets:\n  freeze_agent: { engage: ${url}, release: ${url} }\n`);
    const { json } = await service.report({ class: 'tool_call_burst', evidence: { ip: '203.0.113.7' } });
    const tab = await open(addressOf(service, `#/incidents/${String(json.id)}`));
    const rail = tab.getByRole('complementary', { name: 'Statechart and facts' });
    await rail.getByRole('region', { name: 'Facts' }).waitFor();
    await tab.keyboard.press(']');
    await rail.getByRole('region', { name: 'Facts' }).waitFor({ state: 'detached' });
    expect((await rail.boundingBox())!.width).to.equal(40);
    await tab.reload();
    await rail.getByRole('button', { name: 'Unfold the rail' }).waitFor();
    await tab.keyboard.press(']');
    await rail.getByRole('region', { name: 'Facts' }).waitFor();
    expect((await rail.boundingBox())!.width).to.equal(368);
    const timeline = tab.getByRole('region', { name: 'Timeline' });
    const hidden = timeline.getByRole('switch');
    await hidden.waitFor();
    expect(await timeline.getByText('attempt failed, to be tried again').count()).to.equal(1);
    await tab.keyboard.press('d');
    await timeline.getByText('attempt failed, to be tried again').nth(1).waitFor();
    await timeline.getByText('freeze_agent: confirmed').waitFor();
  });

  it('releases one action early, with a reason, and says what follows', async () => {
    const service = await startWith('version: 1\n');
    const { json } = await service.report({ class: 'tool_call_burst', source: 'firewall' });
    await service.report({ class: 'tool_call_burst', source: 'gateway' });
    const tab = await open(addressOf(service));
    await keepToken(tab, 'ada');
    await tab.reload();
    await tab.getByRole('button', { name: /^ada/ }).waitFor();
    await tab.goto(addressOf(service, `#/incidents/${String(json.id)}`));
    const article = tab.getByRole('article');
    await article.getByRole('button', { name: 'Release one early…' }).click();
    const dialog = tab.getByRole('dialog', { name: 'Release one action early?' });
    await dialog.getByText('Stays in force: 1 other incident holds it.').waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    await dialog.getByLabel('Reason, for the log').fill('the backup has to leave');
    await tab.keyboard.press('Control+Enter');
    await article.locator('.truth-row.is-released').getByText('the backup has to leave').waitFor();

    // The other holder, from the posture.
    await tab.goto(addressOf(service, '#/posture'));
    const row = tab.getByRole('listitem').filter({ hasText: 'freeze_agent' });
    await row.getByText('the backup has to leave').waitFor();
    await row.getByRole('button', { name: 'Release early…' }).click();
    const second = tab.getByRole('dialog', { name: 'Release freeze_agent early?' });
    await second.getByText('Nobody else holds it.').waitFor();
    await second.getByLabel('Reason, for the log').fill('an error of ours');
    await second.getByRole('button', { name: 'Release early' }).click();
    await row.locator('.now').getByText('Release').waitFor();
    const { json: incident } = await service.get(`/api/v1/incidents/get?id=${String(json.id)}`);
    expect(incident.containment.actions[0].released_early).to.include({ by: 'ada', reason: 'the backup has to leave' });
    expect(incident.state, 'with nothing held any more').to.equal('open');
  });

  it('finds a value in the evidence, and leads to the incidents that have it too', async () => {
    const service = await startWith('version: 1\n');
    const { json } = await service.report({
      class: 'forbidden_airlock_request',
      evidence: { net: { ip: '203.0.113.7', port: 443 }, calls: [1, 2, 3], other: 'x' },
    });
    const tab = await open(addressOf(service, `#/incidents/${String(json.id)}`));
    const evidence = tab.getByRole('region', { name: 'Evidence' });
    await evidence.getByText('6 values').waitFor();
    await evidence.getByLabel('Search the evidence').fill('113');
    await evidence.getByText('1 of 6').waitFor();
    await evidence.locator('mark', { hasText: '203.0.113.7' }).waitFor();
    expect(await evidence.getByText('calls').count()).to.equal(0);
    await evidence.getByText('5 others do not match').waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    await evidence.getByRole('link', { name: /^(?:Similar|\d+ similar): incidents with this net\.ip/ }).click();
    await tab.getByRole('article').waitFor({ state: 'detached' });
    expect(decodeURIComponent(tab.url())).to.contain('q=evidence.net.ip:203.0.113.7');
  });

  it('says of a failing airlock since when it is overdue, why, who holds it, and leads to them', async () => {
    const target = await listen();
    target.behaviours = Array.from({ length: 50 }, () => answering(500, 'airlock controller is down'));
    const url = `{ url: "${target.url('/a')}", action: a }`;
    const service = await startWith(
      `version: 1\noverdue_after: 1s\ntargets:\n  disable_airlock: { engage: ${url}, release: ${url} }\n`,
    );
    await service.report({ class: 'attestation_failure', source: 'runtime-attestor' });
    await reportMany(service, 2);
    const tab = await open(addressOf(service, '#/posture'));
    const first = tab.getByRole('main').getByRole('listitem').filter({ hasText: 'disable_airlock' });
    await first.locator('.now .mark.is-overdue', { hasText: /^Overdue \d+ s/ }).waitFor();
    // What it answered is shown to those with a token.
    await first.getByText('answered 500').waitFor();
    await first.locator('.mark.is-none', { hasText: 'Not yet' }).waitFor();
    await tab
      .locator('.sum')
      .getByText(/\d overdue/)
      .waitFor();
    await first.getByRole('button', { name: 'Try now' }).waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    // On a narrow page what is so now comes first.
    await tab.setViewportSize({ width: 360, height: 800 });
    const top = async (selector: string): Promise<number> => (await first.locator(selector).first().boundingBox())!.y;
    expect(await top('.now')).to.be.lessThan(await top('.truth:not(.now)'));
    await tab.setViewportSize({ width: 1280, height: 800 });
    await first.getByRole('link', { name: /attestation_failure/ }).click();
    await rows(tab).first().waitFor();
    expect(await rows(tab).count()).to.equal(1);
    expect(tab.url()).to.contain('holds=disable_airlock');
  });

  it('leads from a bar of the overview to the incidents of its hour', async () => {
    const service = await startWith('version: 1\n');
    await reportMany(service, 3, { source: 'airlock' });
    const tab = await open(addressOf(service, '#/overview'));
    await tab.getByRole('region', { name: 'Needs attention' }).getByText('3 incidents').first().waitFor();
    await tab.getByRole('region', { name: 'Top sources' }).getByText('+3').waitFor();
    const bar = tab
      .getByRole('group', { name: 'Incidents each hour' })
      .getByRole('link', { name: /: 3 incidents, 3 / });
    await bar.waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    await bar.click();
    await tab.getByText('3 incidents', { exact: true }).waitFor();
    expect(tab.url()).to.match(/since=.*until=/);
    // And by keyboard: the arrow keys go from hour to hour.
    await tab.goto(addressOf(service, '#/overview'));
    await bar.focus();
    await tab.keyboard.press('ArrowLeft');
    expect(await tab.evaluate('document.activeElement.getAttribute("aria-label")')).to.contain(': 0 incidents');
  });

  it('shows what a person has done, without the way of deliveries, and the whole entry', async () => {
    const service = await startWith('version: 1\n');
    const { json } = await service.report({ class: 'tool_call_burst' });
    const id = json.id as string;
    await reportMany(service, 6, { source: 'burst' });
    await service.post('/api/v1/containment/confirm', { action: 'freeze_agent', directive: 'engage' });
    await service.post('/api/v1/incidents/note', { id, by: 'kim', note: 'the journal is full' });
    await service.post('/api/v1/incidents/acknowledge', { id, by: 'bo' });
    const tab = await open(addressOf(service, '#/audit'));
    const entries = tab.getByRole('region', { name: 'Entries' });
    await entries.getByText('the journal is full').waitFor();
    await entries.locator('.person-row', { hasText: 'kim' }).waitFor();
    // A burst is one row, and a delivery a thin one.
    await entries.getByText('×6').waitFor();
    await entries.getByText('1 delivery entry hidden').waitFor();
    expect(await entries.getByText('containment.confirmed', { exact: true }).count()).to.equal(0);
    expect(await violations(tab)).to.deep.equal([]);
    await tab.keyboard.press('d');
    await entries.getByText('containment.confirmed', { exact: true }).waitFor();

    await tab.getByRole('search').getByLabel('Person').fill('kim');
    await entries.getByText('incident.acknowledged').waitFor({ state: 'detached' });
    expect(await entries.locator('.entry').count()).to.equal(1);
    expect(tab.url()).to.contain('who=kim');
    await entries.locator('.seq').click();
    await entries.locator('pre', { hasText: '"incident.noted"' }).waitFor();
    await tab.getByRole('button', { name: 'Clear' }).click();
    await entries.getByText('incident.acknowledged').waitFor();
  });
});
