/** The jobs of an operator, each as it is done: what is pressed is counted where the job is urgent. */
import { expect } from 'chai';
import { type RunningService, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { type Tab, tabs } from './support/browser.ts';
import { addressOf, EACH, keepToken, reportMany, rows, violations } from './support/console.ts';

/** The most that the urgent job may take. */
const MOST_STEPS = 4;

describe('the console: an operator’s jobs', () => {
  const directory = temporaryDirectories();
  const open = tabs();
  const start = runningServices();

  /** Opens the page in a tab that has a token already. */
  const openAs = async (service: RunningService, name: string, fragment = ''): Promise<Tab> => {
    const tab = await open(addressOf(service, fragment));
    await keepToken(tab, name);
    await tab.reload();
    await tab.getByRole('button', { name: `${name} · shared token, name is a claim` }).waitFor();
    return tab;
  };

  const incident = async (service: RunningService, id: string) =>
    (await service.get(`/api/v1/incidents/get?id=${id}`)).json;

  it('a burst of 300 at three in the morning: taken on in four steps at most', async () => {
    const service = await start(new ServiceHome(directory()));
    const [critical] = await reportMany(service, 1, { class: 'integrity_violation', source: 'vault' });
    await reportMany(service, 300, { class: 'tool_call_burst', evidence: { caller: 'agent-17' } });
    const tab = await openAs(service, 'ada');
    await rows(tab).getByText('×300', { exact: true }).waitFor();
    const sent: string[] = [];
    tab.on('request', (request) => {
      if (request.method() === 'POST') sent.push(new URL(request.url()).pathname);
    });

    let steps = 0;
    const step = async (key: string): Promise<void> => {
      steps += 1;
      await tab.keyboard.press(key);
    };
    await step('j');
    await step('j');
    await step('a');
    const dialog = tab.getByRole('dialog', { name: 'Acknowledge 300 incidents?' });
    await dialog.getByRole('cell', { name: '300', exact: true }).waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    await step('Control+Enter');
    await tab.getByText('Acknowledged 300 incidents').waitFor();
    expect(steps).to.be.at.most(MOST_STEPS);
    // A preview that selects them, and six times fifty.
    expect(sent).to.deep.equal(Array.from({ length: 7 }, () => '/api/v1/incidents/bulk'));

    await rows(tab).getByText('×300', { exact: true }).waitFor({ state: 'detached' });
    const { json } = await service.get('/api/v1/stats');
    expect(json.by_state).to.deep.equal({ open: 0, contained: 1, acknowledged: 300, resolved: 0 });
    expect((await incident(service, critical!)).state).to.equal('contained');
    expect(await tab.title()).to.equal('(1) Incidents · Incident recorder');
  });

  for (const [name, key, count, path, free, done] of [
    // The first request selects, and each further one works fifty.
    ['Acknowledge', 'a', 120, 'bulk', 2, 50],
    ['Note', 'n', 40, 'note', 8, 8],
  ] as const) {
    it(`stopping a command on many, and going on with the rest: ${name}`, async () => {
      const service = await start(new ServiceHome(directory()));
      await reportMany(service, count);
      const tab = await openAs(service, 'ada');
      await rows(tab).getByText(`×${count}`, { exact: true }).waitFor();
      let isHeld = true;
      let passed = 0;
      const held: (() => void)[] = [];
      await tab.route(`**/api/v1/incidents/${path}`, async (route) => {
        passed += 1;
        if (isHeld && passed > free) await new Promise<void>((goOn) => held.push(goOn));
        await route.continue();
      });
      const worked = async (): Promise<number> => {
        const { json } = await service.get('/api/v1/incidents?limit=200');
        const all = json as unknown as readonly { readonly state: string; readonly notes_count?: number }[];
        return all.filter(({ state, notes_count: notes }) => state === 'acknowledged' || notes === 1).length;
      };
      await tab.keyboard.press('j');
      await tab.keyboard.press(key);
      const dialog = tab.getByRole('dialog');
      await dialog.getByRole('textbox').fill('seen');
      await dialog.getByRole('button', { name: `${name} ${count}` }).click();
      await dialog.getByText(`${done} of ${count}`).waitFor();
      await dialog.getByRole('button', { name: 'Stop' }).click();
      isHeld = false;
      for (const goOn of held.splice(0)) goOn();
      const resume = dialog.getByRole('button', { name: /^Resume, \d+ left$/ });
      await resume.waitFor();
      expect(await worked()).to.be.lessThan(count);
      await resume.click();
      await dialog.waitFor({ state: 'detached' });
      expect(await worked()).to.equal(count);
    });
  }

  it('taking over: one’s own, then somebody else’s, then nobody’s again', async () => {
    const service = await start(new ServiceHome(directory()));
    const [id] = await reportMany(service, 1);
    const tab = await openAs(service, 'ada');
    await rows(tab).first().waitFor();
    await tab.keyboard.press('j');
    await tab.keyboard.press('i');
    await tab.getByRole('dialog', { name: `Assign this incident? ${id}` }).waitFor();
    await tab.keyboard.press('Enter');
    await tab.getByText(`Assigned ${id}`).waitFor();
    await rows(tab).getByText('ada', { exact: true }).waitFor();
    expect(await incident(service, id!)).to.include({ assignee: 'ada', assigned_by: 'ada', state: 'open' });

    await tab.keyboard.press('i');
    await tab.getByRole('dialog').getByLabel('To, empty for nobody').fill('bo');
    await tab.keyboard.press('Enter');
    await rows(tab).getByText('bo', { exact: true }).waitFor();
    // The last step is taken back.
    await tab.keyboard.press('u');
    await rows(tab).getByText('ada', { exact: true }).waitFor();
    expect(await incident(service, id!)).to.include({ assignee: 'ada' });
    await tab.getByRole('link', { name: /^Mine/ }).click();
    await rows(tab).getByText('number 0').waitFor();
  });

  it('snoozing what can wait, and taking that back', async () => {
    const service = await start(new ServiceHome(directory()));
    const [id] = await reportMany(service, 1);
    const tab = await openAs(service, 'ada');
    await rows(tab).first().waitFor();
    await tab.keyboard.press('j');
    await tab.keyboard.press('z');
    const dialog = tab.getByRole('dialog', { name: `Snooze this incident? ${id}` });
    await dialog.getByText('4 hours').click();
    expect(await violations(tab)).to.deep.equal([]);
    await dialog.getByRole('button', { name: 'Snooze' }).click();
    await tab.getByText('Nothing needs attention').waitFor();
    const { snoozed_until: until, state } = await incident(service, id!);
    expect(state).to.equal('acknowledged');
    expect(Date.parse(until) - Date.now()).to.be.within(3.9 * 3_600_000, 4.1 * 3_600_000);

    await tab.keyboard.press('u');
    await rows(tab).getByText('number 0').waitFor();
    expect(await incident(service, id!))
      .to.include({ state: 'open' })
      .and.not.to.have.property('snoozed_until');
  });

  it('silencing a class and source for two hours, seeing what is silenced, and ending that', async () => {
    const service = await start(new ServiceHome(directory()));
    await reportMany(service, 3);
    await reportMany(service, 1, { source: 'airlock', description: 'another' });
    const tab = await openAs(service, 'ada');
    await rows(tab).getByText('×3', { exact: true }).waitFor();
    await tab.keyboard.press('j');
    await tab.keyboard.press('j');
    await tab.keyboard.press('Control+k');
    await tab.keyboard.type('silence this');
    await tab.keyboard.press('Enter');
    const dialog = tab.getByRole('dialog', { name: 'Silence this class and source' });
    await dialog.waitFor();
    expect(await dialog.getByLabel('Source').inputValue()).to.equal('tool-firewall');
    await dialog.getByLabel('Reason, for the log').fill('a test of the firewall');
    expect(await violations(tab)).to.deep.equal([]);
    await tab.keyboard.press('Control+Enter');
    await rows(tab).getByText('×3', { exact: true }).waitFor({ state: 'detached' });
    await rows(tab).getByText('another').waitFor();
    await tab.getByText('silenced: 3').waitFor();
    // What comes now is silenced, too.
    await reportMany(service, 1, { description: 'one more' });
    await tab.getByText('silenced: 4').waitFor();
    expect(await rows(tab).count()).to.equal(1);

    await tab.locator('.silenced').getByRole('button', { name: 'show' }).click();
    const list = tab.getByRole('dialog', { name: 'Silences' });
    await list.getByText('a test of the firewall').waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    await list.getByRole('button', { name: 'End' }).click();
    await rows(tab).getByText('×4', { exact: true }).waitFor();
  });

  it('finding every incident with one value in its evidence', async () => {
    const service = await start(new ServiceHome(directory()));
    const [found] = await reportMany(service, 1, {
      evidence: { ip: '203.0.113.7', port: 443 },
      description: 'the one',
    });
    await reportMany(service, 3, { evidence: { ip: '203.0.113.8' } });
    const tab = await openAs(service, 'ada', '#/incidents');
    await tab.getByText('4 incidents', { exact: true }).waitFor();
    await tab.keyboard.press('/');
    await tab.keyboard.type('evidence.ip:203.0.113.7');
    await tab.keyboard.press('Enter');
    await tab.getByRole('button', { name: 'evidence.ip is 203.0.113.7: take this filter away' }).waitFor();
    await tab.getByText('1 of 4 incidents', { exact: true }).waitFor();
    expect(await rows(tab).getAttribute('id')).to.equal(`row-${found}`);
  });

  it('resolving, with what that releases said before: the last holder', async () => {
    const service = await start(new ServiceHome(directory()));
    const ids = await reportMany(service, 2, { class: 'prompt_injection' });
    const tab = await openAs(service, 'ada', EACH);
    await rows(tab).nth(1).waitFor();
    await tab.keyboard.press('j');
    await tab.keyboard.press('r');
    const dialog = tab.getByRole('dialog', { name: /^Resolve this incident\?/ });
    const freeze = dialog.getByRole('listitem').filter({ hasText: 'freeze_agent' });
    await freeze.getByText('Stays in force.').waitFor();
    await dialog.getByRole('button', { name: 'Resolve', exact: true }).waitFor();
    await tab.keyboard.press('Control+Enter');
    await tab.getByText(`Resolved ${ids[1]}`).waitFor();
    await dialog.waitFor({ state: 'detached' });

    await tab.keyboard.press('j');
    await tab.keyboard.press('r');
    await freeze.getByText('You are the only holder.').waitFor();
    await dialog.getByRole('button', { name: /^Resolve, release \d/ }).waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    await dialog.getByText('False positive').click();
    await dialog.getByRole('textbox').fill('a test');
    await tab.keyboard.press('Control+Enter');
    await tab.getByText(`Resolved ${ids[0]}`).waitFor();
    expect(await incident(service, ids[0]!)).to.include({
      state: 'resolved',
      resolution: 'false_positive',
      note: 'a test',
    });
  });

  it('seeing what has changed since one left, and marking it as seen', async () => {
    const service = await start(new ServiceHome(directory()));
    await reportMany(service, 1, { source: 'airlock', description: 'before' });
    const tab = await open(addressOf(service));
    await rows(tab).getByText('before').waitFor();
    const { json } = await service.get('/health');
    await tab.evaluate(`localStorage.setItem('incident-recorder.left',
      JSON.stringify({ seq: ${json.audit.last_seq}, at: new Date().toISOString() }))`);
    await reportMany(service, 1, { description: 'after' });
    await tab.reload();
    await tab.getByText(/^Since you left, \d\d:\d\d$/).waitFor();
    await tab.getByText('1 row new or changed above').waitFor();
    const texts = await tab.getByRole('grid').getByRole('row').allTextContents();
    const order = ['after', 'Since you left', 'before'].map((text) => texts.findIndex((row) => row.includes(text)));
    expect(order).to.deep.equal([1, 2, 3]);
    expect(await violations(tab)).to.deep.equal([]);
    await tab.getByRole('button', { name: 'What changed' }).click();
    const list = tab.getByRole('dialog', { name: /^What changed since you left/ });
    await list.getByText('incident.reported').waitFor();
    expect(await list.getByRole('listitem').count()).to.equal(1);
    expect(await violations(tab)).to.deep.equal([]);
    await tab.keyboard.press('Escape');
    await tab.getByRole('button', { name: 'Mark as seen' }).click();
    await tab.getByText(/^Since you left/).waitFor({ state: 'detached' });
    await tab.reload();
    await rows(tab).getByText('after').waitFor();
    expect(await tab.getByText(/^Since you left/).count()).to.equal(0);
  });

  it('all of it by keyboard: views, palette, ranges, groups, and back', async () => {
    const service = await start(new ServiceHome(directory()));
    const [single] = await reportMany(service, 1, { source: 'airlock', description: 'a single one' });
    await reportMany(service, 3);
    const tab = await open(addressOf(service));
    await rows(tab).getByText('×3', { exact: true }).waitFor();
    for (const [keys, heading] of [
      ['gp', 'Posture'],
      ['go', 'Overview'],
      ['gs', 'Statecharts'],
      ['ga', 'Audit'],
      ['gi', 'Incidents'],
    ] as const) {
      await tab.keyboard.type(keys);
      await tab.getByRole('heading', { level: 1, name: heading }).waitFor();
    }
    await tab.keyboard.press('j');
    await tab.keyboard.press('ArrowRight');
    await rows(tab).nth(4).waitFor();
    await tab.keyboard.press('Shift+J');
    await tab.keyboard.press('Shift+J');
    await tab.getByText('3 selected').waitFor();
    await tab.keyboard.press('Escape');
    await tab.keyboard.press('ArrowLeft');
    await rows(tab).nth(2).waitFor({ state: 'detached' });
    await tab.keyboard.press('Control+k');
    await tab.getByRole('dialog', { name: 'Go to or do' }).waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    await tab.keyboard.type(single!);
    await tab.getByRole('option', { name: single! }).first().waitFor();
    await tab.keyboard.press('Enter');
    await tab.getByRole('article', { name: single! }).waitFor();
    await tab.keyboard.press('Escape');
    await tab.getByRole('article').waitFor({ state: 'detached' });
    await tab.keyboard.press('?');
    const keys = tab.getByRole('dialog', { name: 'Keys' });
    for (const does of ['unfold a group', 'snooze', 'undo the last command', 'statecharts']) {
      await keys.getByText(does, { exact: true }).waitFor();
    }
  });

  it('sorting by a column, and selecting a range and all with the mouse', async () => {
    const service = await start(new ServiceHome(directory()));
    await reportMany(service, 5, { severity: 'low' });
    await reportMany(service, 1, { severity: 'critical', description: 'the worst' });
    const tab = await open(addressOf(service, '#/incidents'));
    await rows(tab).nth(5).waitFor();
    const header = (name: string) => tab.getByRole('columnheader', { name });
    expect(await header('Severity, state').getAttribute('aria-sort')).to.equal('descending');
    await header('Age').getByRole('button').click();
    await tab.waitForURL(/sort=-created/);
    expect(await header('Age').getAttribute('aria-sort')).to.equal('descending');
    await header('Age').getByRole('button').click();
    await tab.waitForURL(/sort=created/);
    await rows(tab).first().getByText('number 0').waitFor();
    await rows(tab).last().getByText('the worst').waitFor();

    const check = (index: number) => rows(tab).nth(index).locator('.select');
    await check(1).click();
    await check(3).click({ modifiers: ['Shift'] });
    await tab.getByText('3 selected').waitFor();
    const all = tab.getByRole('checkbox', { name: 'Select all that are shown' });
    expect(await all.getAttribute('aria-checked')).to.equal('mixed');
    await all.click();
    await tab.getByText('6 selected').waitFor();
    expect(await all.getAttribute('aria-checked')).to.equal('true');
    await all.click();
    await tab.getByRole('combobox', { name: 'Filter and search' }).waitFor();
  });

  it('on a phone: a burst, the filters in a sheet, and the tabs at the bottom', async () => {
    const service = await start(new ServiceHome(directory()));
    await reportMany(service, 12);
    await reportMany(service, 1, { class: 'integrity_violation', source: 'vault', description: 'a seal' });
    const tab = await openAs(service, 'ada');
    await tab.setViewportSize({ width: 360, height: 740 });
    await rows(tab).getByText('×12', { exact: true }).waitFor();
    await tab.getByRole('button', { name: 'Filter' }).click();
    const sheet = tab.getByRole('dialog', { name: 'Filter' });
    await sheet.getByText('Critical').click();
    expect(await violations(tab)).to.deep.equal([]);
    await sheet.getByRole('button', { name: 'Show' }).click();
    await rows(tab).getByText('×12', { exact: true }).waitFor({ state: 'detached' });
    await rows(tab).getByText('a seal').waitFor();
    await tab
      .getByRole('navigation', { name: 'Tabs' })
      .getByRole('link', { name: /^Incidents/ })
      .click();
    await rows(tab).filter({ hasText: '×12' }).locator('.select').click();
    await tab.getByRole('button', { name: 'Acknowledge' }).click();
    await tab.getByRole('dialog').getByRole('button', { name: 'Acknowledge 12' }).click();
    await tab.getByText('Acknowledged 12 incidents').waitFor();
    expect(await tab.evaluate('document.documentElement.scrollWidth - innerWidth')).to.equal(0);
  });

  it('does not move what the pointer is on when something arrives', async () => {
    const service = await start(new ServiceHome(directory()));
    await reportMany(service, 1, { source: 'airlock', description: 'under the pointer' });
    const tab = await open(addressOf(service));
    const pointed = rows(tab).getByText('under the pointer');
    await pointed.hover();
    const before = await pointed.boundingBox();
    await reportMany(service, 2, { severity: 'critical' });
    await tab.getByText('2 new').waitFor();
    expect(await pointed.boundingBox()).to.deep.equal(before);
    // The count and the title say it at once.
    expect(await tab.title()).to.equal('(2) Incidents · Incident recorder');
    await tab.mouse.move(5, 5);
    await rows(tab).getByText('×2', { exact: true }).waitFor();
  });

  it('being told of what is critical: in the title, on the desktop and by a sound, once that is allowed', async () => {
    const service = await start(new ServiceHome(directory()));
    const tab = await open(addressOf(service));
    await tab.context().grantPermissions(['notifications']);
    await tab.addInitScript(`
      window.told = [];
      window.Notification = class extends EventTarget {
        static permission = 'granted';
        static requestPermission = async () => 'granted';
        constructor(title, { body }) { super(); window.told.push(title + ': ' + body); }
      };
      window.OscillatorNode = class { connect(to) { return to; } start() { window.told.push('tone'); } stop() {} };
      window.GainNode = class { connect(to) { return to; } };`);
    await tab.reload();
    const told = (): Promise<readonly string[]> => tab.evaluate('window.told');
    const critical = { class: 'integrity_violation', source: 'vault', severity: 'critical' };
    await tab.getByText('Nothing needs attention').waitFor();
    await reportMany(service, 1, critical);
    await rows(tab).getByText('number 0').waitFor();
    expect(await tab.title()).to.equal('(1) Incidents · Incident recorder');
    // Nobody has allowed it.
    await tab.evaluate('new Promise((done) => setTimeout(done, 1500))');
    expect(await told()).to.deep.equal([]);

    await tab.getByRole('button', { name: 'No token' }).click();
    await tab.getByRole('switch', { name: 'Desktop notice: off' }).click();
    await tab.getByRole('switch', { name: 'Desktop notice: on' }).waitFor();
    await tab.getByRole('switch', { name: 'Sound: off' }).click();
    await tab.getByRole('switch', { name: 'Sound: on' }).waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    // It is remembered.
    await tab.reload();
    await rows(tab).getByText('number 0').waitFor();
    await reportMany(service, 1, { severity: 'low' });
    await reportMany(service, 3, critical);
    await tab.evaluate(`new Promise((done) => {
      const look = setInterval(() => {
        if (window.told.length < 3) return;
        clearInterval(look);
        done();
      }, 50);
    })`);
    expect(await told()).to.deep.equal(['tone', 'tone', '3 critical incidents: integrity_violation from vault']);
  });

  it('knowing what does not work: an action that needs a person, with its cause and what leads to it', async () => {
    const service = await start(new ServiceHome(directory()));
    await reportMany(service, 1, { class: 'model_behavior_anomaly' });
    const tab = await open(addressOf(service));
    const banner = tab.getByRole('region', { name: 'What does not do its work' });
    await banner.getByText('Containment needs a person').waitFor();
    await banner.getByText('quarantine_model').waitFor();
    await banner.getByRole('link', { name: 'Open posture' }).click();
    await tab.getByRole('heading', { level: 1, name: 'Posture' }).waitFor();
    // The view shows it itself.
    await banner.getByText('Containment needs a person').waitFor({ state: 'detached' });
  });
});
