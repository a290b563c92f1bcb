import { expect } from 'chai';
import { TOKEN } from '../support/service-client.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { type SmallMachine, SmallFleet } from '../fleet/support/small-fleet.ts';
import { forgive, type Tab, tabs } from './support/browser.ts';
import { rows, violations } from './support/console.ts';

const POLICY = `version: 1
rules: { tool_call_burst: { auto_contain: false, actions: [freeze_agent] } }
`;

/** A fleet takes longer to start than a recorder. */
const PATIENCE = 120_000;

describe('the console of the fleet', function () {
  this.timeout(PATIENCE);
  const directory = temporaryDirectories();
  const open = tabs();
  let fleet: SmallFleet;
  let berlin: SmallMachine;
  let lisbon: SmallMachine;
  const ids: Record<string, string> = {};

  before(async () => {
    fleet = await SmallFleet.start(directory(), { env: { FLEET_READ_ACCESS: 'open' } });
    berlin = await fleet.add('berlin-1', { labels: { site: 'berlin' }, policy: POLICY });
    lisbon = await fleet.add('lisbon-1', { labels: { site: 'lisbon' } });
    for (const { name, recorder } of [berlin, lisbon]) {
      const { json } = await recorder.report({
        class: 'tool_call_burst',
        description: `too much on ${name}`,
        evidence: { ip: '10.0.0.1' },
      });
      ids[name] = json.id;
      await fleet.holds(name, json.id);
    }
  });
  after(() => fleet.stop());

  const address = (fragment = ''): string => `http://127.0.0.1:${fleet.port}/${fragment}`;
  const show = async (fragment: string, options = {}): Promise<Tab> => {
    const tab = await open(address('#/statecharts'), options);
    await tab.evaluate(
      `sessionStorage.setItem('incident-recorder.operator', '${JSON.stringify({ token: TOKEN, name: '' })}')`,
    );
    await tab.reload();
    await tab.goto(address(fragment));
    return tab;
  };

  it('lists incidents with their machines, of one machine or one label', async () => {
    const tab = await show('#/incidents?group=off');
    await tab.getByRole('gridcell', { name: 'berlin-1', exact: true }).first().waitFor();
    expect(await rows(tab).count()).to.equal(2);
    await tab.goto(address('#/incidents?machine=lisbon-1'));
    await tab.getByText('1 of 2 incidents').waitFor();
    expect(await rows(tab).innerText()).to.include('too much on lisbon-1');
    await tab.goto(address('#/incidents?site=berlin'));
    await tab.getByText('too much on berlin-1').first().waitFor();
    await tab.getByText('1 of 2 incidents').waitFor();
    expect(await rows(tab).count()).to.equal(1);
    await tab.getByText('site=berlin').first().waitFor();
  });

  it('shows a new incident of a machine without a reload', async () => {
    const tab = await show('#/incidents?group=off&machine=lisbon-1');
    await tab.getByText('too much on lisbon-1').first().waitFor();
    await lisbon.recorder.report({ class: 'prompt_injection', description: 'it came just now' });
    await berlin.recorder.report({ class: 'prompt_injection', description: 'of another machine' });
    await tab.getByText('it came just now').first().waitFor();
    expect(await tab.getByText('of another machine').count()).to.equal(0);
  });

  it('opens an incident under an address with its machine, and has the machine acknowledge it', async () => {
    const tab = await show('#/incidents?machine=berlin-1');
    await tab.getByRole('link', { name: 'too much on berlin-1' }).click();
    await tab.getByRole('article').getByRole('link', { name: 'berlin-1' }).first().waitFor();
    expect(tab.url()).to.include(`#/incidents/${ids['berlin-1']};machine=berlin-1?`);
    await tab.locator('.statechart .state').first().waitFor();
    await tab.getByRole('button', { name: /^Acknowledge/ }).click();
    await tab
      .getByRole('dialog')
      .getByRole('button', { name: /^Acknowledge/ })
      .click();
    await tab.getByText('Acknowledged INC-').first().waitFor();
    await tab.getByRole('article').getByText('Acknowledged', { exact: true }).first().waitFor();
    const own = await berlin.recorder.get(`/api/v1/incidents/get?id=${ids['berlin-1']}`);
    expect(own.json).to.include({ state: 'acknowledged', acknowledged_by: 'fleet:root' });
    await tab.goto(address('#/commands'));
    const row = tab.getByRole('listitem').filter({ hasText: 'acknowledge' });
    await row.getByText('Done').waitFor();
  });

  it('contains by label once the number of machines is typed, and shows what became of it', async () => {
    const tab = await show('#/posture');
    await tab.getByRole('button', { name: 'Contain by label' }).click();
    const dialog = tab.getByRole('dialog', { name: 'Contain by label' });
    await dialog.getByLabel('On the machines with these labels').fill('site=lisbon');
    await tab.keyboard.press('Enter');
    await dialog.getByText('1 machine', { exact: true }).waitFor();
    const contain = dialog.getByRole('button', { name: 'Contain 1 machine' });
    await dialog.getByLabel('Reason, for the logs').fill('a rehearsal');
    await dialog.getByLabel(/^Type the number/).fill('2');
    expect(await contain.isDisabled()).to.equal(true);
    await dialog.getByLabel(/^Type the number/).fill('1');
    await contain.click();
    await dialog.getByText('1 of 1 done').waitFor();
    await dialog.getByRole('link', { name: 'lisbon-1' }).waitFor();
    const { json } = await lisbon.recorder.get('/api/v1/containment');
    expect(json.freeze_agent.engaged).to.equal(true);
  });

  it('shows a machine, and where its policy differs', async () => {
    const tab = await show('#/machines');
    await tab.getByRole('link', { name: 'lisbon-1', exact: true }).click();
    await tab.getByRole('heading', { name: 'lisbon-1' }).waitFor();
    await tab.getByRole('region', { name: 'Policy' }).waitFor();
    await tab.keyboard.press('g');
    await tab.keyboard.press('m');
    await tab.getByRole('heading', { name: 'Machines' }).waitFor();
    await tab.getByRole('button', { name: /^site=berlin/ }).click();
    await tab.getByRole('link', { name: 'lisbon-1', exact: true }).waitFor({ state: 'detached' });
  });

  it('finds a machine, and moves no row while somebody points at one', async () => {
    const tab = await show('#/machines');
    const list = tab.getByRole('region', { name: 'Machines', exact: true });
    const names = () => list.getByRole('listitem').locator('.name a').allInnerTexts();
    await list.getByRole('link', { name: 'lisbon-1', exact: true }).hover();
    expect(await names()).to.deep.equal(['berlin-1', 'lisbon-1']);
    await fleet.fleet.enrolment.invite('athens-1', { site: 'athens' }, 'root');
    await berlin.recorder.report({ class: 'prompt_injection', description: 'so that the page reads again' });
    await list.getByRole('button', { name: '1 new' }).waitFor();
    expect(await names()).to.deep.equal(['berlin-1', 'lisbon-1']);
    await tab.getByLabel('Find machines by name or label').hover();
    await list.getByRole('link', { name: 'athens-1' }).waitFor();
    await tab.getByLabel('Find machines by name or label').fill('site=lis');
    await tab.getByText('1 machine found').waitFor();
    expect(await names()).to.deep.equal(['lisbon-1']);
  });

  it('says when it was heard last, and no age, while the fleet does not answer', async () => {
    const tab = await show('#/machines');
    const row = tab.getByRole('listitem').filter({ has: tab.getByRole('link', { name: 'lisbon-1', exact: true }) });
    await row.getByText('ago').or(row.getByText('just now')).first().waitFor();
    forgive(tab, 'net::ERR');
    await tab.context().setOffline(true);
    await tab.getByText(/^Nothing heard since \d/).waitFor();
    expect(await row.innerText()).not.to.match(/ ago|just now/);
    const { x, width } = (await tab.locator('.who').boundingBox())!;
    expect(x + width, 'the end of the menu of the person').to.be.most(1280);
  });

  it('says in words what an alarm has found, and keeps the focus where it was acknowledged', async () => {
    const detail = { why: 'rewritten', first_differing_seq: 3, held_through: 1200, times: 1, left: 'a', history: 'b' };
    await fleet.fleet.db
      .insertInto('fleet_incidents')
      .values({
        machine: 'lisbon-1',
        id: 'log_diverged:a',
        kind: 'log_diverged',
        opened_at: new Date(),
        detail: JSON.stringify(detail),
      })
      .onConflict((conflict) =>
        conflict.columns(['machine', 'id']).doUpdateSet({ acknowledged_at: null, acknowledged_by: null }),
      )
      .execute();
    const tab = await show('#/campaigns');
    await tab.getByText('The past of a machine was rewritten').waitFor();
    await tab.goto(address('#/machines/lisbon-1'));
    const alarm = tab.getByRole('region', { name: 'Alarms' }).getByRole('listitem');
    await alarm.getByText('sends other entries than the fleet holds, from entry 3 on').waitFor();
    expect(await alarm.innerText()).to.include('the fleet holds 1,200 entries of the other history');
    await alarm.getByRole('button', { name: 'Acknowledge' }).press('Enter');
    await alarm.getByText('seen by root').waitFor();
    expect(await tab.locator('.alarms li:focus').count()).to.equal(1);
  });

  it('says on the overview what is wrong on machines, and prints the rows of a list', async () => {
    const alarm = { machine: 'lisbon-1', id: 'log_diverged:b', kind: 'log_diverged', opened_at: new Date() };
    await fleet.fleet.db
      .insertInto('fleet_incidents')
      .values({ ...alarm, detail: '{}', acknowledged_at: new Date(), acknowledged_by: 'root' })
      .onConflict((conflict) => conflict.columns(['machine', 'id']).doNothing())
      .execute();
    const tab = await show('#/overview');
    const section = tab.getByRole('region', { name: 'Needs attention' });
    // Somebody took note of it, which does not mend it.
    await section.getByRole('listitem').filter({ hasText: 'Past rewritten' }).waitFor();
    expect(await section.innerText()).not.to.include('Nothing is overdue');
    await tab.goto(address('#/incidents?group=off'));
    await rows(tab).first().waitFor();
    await tab.emulateMedia({ media: 'print' });
    await rows(tab).first().waitFor();
    expect((await tab.getByRole('grid').boundingBox())!.height).to.be.above(60);
  });

  const views = (tab: Tab) =>
    [
      ['#/incidents?group=off', tab.getByText('too much on lisbon-1')],
      [`#/incidents/${ids['lisbon-1']};machine=lisbon-1`, tab.locator('.statechart .state')],
      ['#/machines', tab.getByText('berlin-1')],
      ['#/machines/berlin-1', tab.getByText('How it stands')],
      ['#/posture', tab.getByText('quarantine_model')],
      ['#/posture/lisbon-1', tab.getByText('quarantine_model')],
      ['#/campaigns', tab.getByText('evidence.ip')],
      ['#/commands', tab.getByRole('heading', { name: 'Commands' })],
      ['#/overview', tab.getByText('Needs attention').last()],
      ['#/audit', tab.getByRole('link', { name: 'lisbon-1' })],
    ] as const;

  for (const [colorScheme, width] of [
    ['light', 360],
    ['light', 768],
    ['light', 1280],
    ['dark', 1280],
    ['dark', 2560],
  ] as const) {
    it(`is for everybody, in ${colorScheme}, ${width} pixels wide`, async () => {
      const tab = await show('#/incidents', { colorScheme, viewport: { width, height: 900 } });
      for (const [fragment, sign] of views(tab)) {
        await tab.goto(address(fragment));
        await sign.first().waitFor();
        expect(await violations(tab), fragment).to.deep.equal([]);
        const overhang = await tab.evaluate('document.documentElement.scrollWidth - innerWidth');
        expect(overhang, `${fragment} at ${width}`).to.equal(0);
      }
    });
  }
});
