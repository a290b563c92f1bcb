/** What the console of the recorder can, at the fleet: previews, many incidents at once, recoveries, the log of a machine. */
import { join } from 'node:path';
import { expect } from 'chai';
import { type SmallMachine, SmallFleet } from '../fleet/support/small-fleet.ts';
import { TOKEN } from '../support/service-client.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { type Tab, tabs } from './support/browser.ts';
import { rows, violations } from './support/console.ts';

const POLICY = `version: 1
rules:
  tool_call_burst: { auto_contain: true, actions: [freeze_agent], runbook: "Look at the last calls" }
  manifest_mismatch: { auto_contain: true, actions: [freeze_agent], recovery: { acknowledge: true, from_fleet: true } }
`;
/** A fleet takes longer to start than a recorder. */
const PATIENCE = 180_000;
const { SCREENSHOTS } = process.env;

describe('the console of the fleet, as that of one recorder', function () {
  this.timeout(PATIENCE);
  const directory = temporaryDirectories();
  const open = tabs();
  let fleet: SmallFleet;
  let one: SmallMachine;
  let two: SmallMachine;
  let recovering = '';

  before(async () => {
    fleet = await SmallFleet.start(directory(), { env: { FLEET_READ_ACCESS: 'open' } });
    one = await fleet.add('berlin-1', { labels: { site: 'berlin' }, policy: POLICY });
    two = await fleet.add('berlin-2', { labels: { site: 'berlin' }, policy: POLICY });
    for (const { name, recorder } of [one, two]) {
      for (const source of ['alpha', 'beta']) {
        const report = { class: 'tool_call_burst', source, description: `too much of ${source} on ${name}` };
        await fleet.holds(name, (await recorder.report(report)).json.id);
      }
    }
    recovering = (await two.recorder.report({ class: 'manifest_mismatch', source: 'loader' })).json.id;
    await fleet.holds('berlin-2', recovering);
  });
  after(() => fleet.stop());

  const address = (fragment = ''): string => `http://127.0.0.1:${fleet.port}/${fragment}`;
  const show = async (fragment: string): Promise<Tab> => {
    const tab = await open(address('#/statecharts'));
    await tab.evaluate(
      `sessionStorage.setItem('incident-recorder.operator', '${JSON.stringify({ token: TOKEN, name: '' })}')`,
    );
    await tab.reload();
    await tab.goto(address(fragment));
    return tab;
  };
  const picture = async (tab: Tab, name: string): Promise<void> => {
    if (SCREENSHOTS !== undefined) await tab.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
  };

  it('lists what waits for its recovery', async () => {
    const tab = await show('#/recoveries');
    await tab.getByRole('link', { name: 'manifest_mismatch' }).waitFor();
    await tab.getByText('Somebody acknowledges that the machine may be trusted again').waitFor();
    await tab.getByRole('region', { name: 'Recoveries' }).getByRole('link', { name: 'berlin-2' }).waitFor();
    await picture(tab, 'recoveries');
    expect(await violations(tab)).to.deep.equal([]);
    await tab.getByRole('link', { name: 'manifest_mismatch' }).click();
    await tab.getByRole('article').first().waitFor();
    expect(tab.url()).to.include(`#/incidents/${recovering};machine=berlin-2`);
  });

  it('shows the log of a machine, and verifies it in the browser', async () => {
    const tab = await show('#/audit');
    await tab.getByRole('region', { name: 'Logs' }).getByRole('link', { name: 'berlin-1' }).click();
    await tab.getByRole('cell', { name: 'incident.reported' }).first().waitFor();
    await tab.getByRole('button', { name: /^Verify these/ }).click();
    await tab.getByText('are linked without a gap').waitFor();
    await picture(tab, 'audit');
    expect(await violations(tab)).to.deep.equal([]);
    // What comes is shown without a reload.
    await one.recorder.report({ class: 'forbidden_airlock_request', source: 'late', description: 'it came just now' });
    await tab.getByText('it came just now').first().waitFor();
  });

  it('says before what resolving releases, resolves many at once, and shows the fate of each', async () => {
    const tab = await show('#/incidents?group=off&class=tool_call_burst');
    await tab.getByText('too much of beta on berlin-2').first().waitFor();
    expect(await rows(tab).count()).to.equal(4);
    await tab.getByRole('link', { name: 'too much of alpha on berlin-1' }).click();
    await tab.getByText('Look at the last calls').waitFor();
    await tab.getByRole('article').getByText('freeze_agent').first().waitFor();
    await picture(tab, 'incident');
    await tab.keyboard.press('Escape');
    await tab.goto(address('#/incidents?group=off&class=tool_call_burst&state=contained'));
    await tab.getByRole('checkbox', { name: 'Select all that are shown' }).check();
    await tab
      .getByRole('region', { name: 'Selection' })
      .getByRole('button', { name: /^Resolve/ })
      .click();
    const dialog = tab.getByRole('dialog');
    await dialog.getByText('What it releases').waitFor();
    await dialog.getByText('These are the last 2 holders of').waitFor();
    await dialog.getByText('on berlin-2').first().waitFor();
    await picture(tab, 'resolve-many');
    expect(await violations(tab)).to.deep.equal([]);
    await dialog.getByRole('button', { name: /^Resolve 4/ }).click();
    await tab.getByText('Resolved 4 incidents').waitFor();
    await tab.goto(address('#/commands'));
    await tab.getByRole('button', { name: 'resolve 4 incidents' }).click();
    await tab.getByRole('dialog').getByText('4 of 4 done').waitFor();
    await picture(tab, 'bulk-act');
    const { json } = await one.recorder.get('/api/v1/containment');
    expect(json.freeze_agent.engaged).to.equal(false);
  });

  it('releases by label, and silences on all machines with a label', async () => {
    for (const { name, recorder } of [one, two]) {
      const report = { class: 'tool_call_burst', source: 'gamma', description: `once more on ${name}` };
      await fleet.holds(name, (await recorder.report(report)).json.id);
    }
    const tab = await show('#/posture');
    await tab.getByRole('button', { name: 'Release by label' }).click();
    const dialog = tab.getByRole('dialog', { name: 'Release by label' });
    await dialog.getByLabel('On the machines with these labels').fill('site=berlin');
    await tab.keyboard.press('Enter');
    await dialog.getByText('2 machines', { exact: true }).waitFor();
    await dialog.getByLabel('Reason, for the logs').fill('the worm is gone');
    await dialog.getByLabel(/^Type the number/).fill('2');
    await picture(tab, 'release-by-label');
    expect(await violations(tab)).to.deep.equal([]);
    await dialog.getByRole('button', { name: 'Release on 2 machines' }).click();
    await dialog.getByText('2 of 2 done').waitFor();
    await picture(tab, 'release-act');
    for (const { recorder } of [one, two]) {
      const { json } = await recorder.get('/api/v1/containment');
      expect(json.freeze_agent.engaged).to.equal(false);
    }
    await tab.goto(address('#/incidents?group=off'));
    await tab.getByText('once more on berlin-2').first().waitFor();
    await tab.keyboard.press('Control+k');
    await tab.keyboard.type('silences');
    await tab.keyboard.press('Enter');
    await tab
      .getByRole('dialog', { name: 'Silences' })
      .getByRole('button', { name: /^Add|^New/ })
      .click();
    const silence = tab.getByRole('dialog', { name: 'Add a silence' });
    await silence.getByLabel('Source').fill('gamma');
    await silence.getByLabel('On the machine, or the machines with the label').fill('site=berlin');
    await silence.getByText('2 machines: berlin-1, berlin-2').waitFor();
    await silence.getByLabel('Reason, for the log').fill('a rehearsal');
    await picture(tab, 'silence');
    await silence.getByRole('button', { name: /^Silence on 2/ }).click();
    await tab.getByText('Silenced on 2 machines').waitFor();
    for (const { recorder } of [one, two]) expect((await recorder.get('/api/v1/silences')).json).to.have.length(1);
    const [{ act }] = (await fleet.read('/api/v1/silences/by-label/acts')) as [{ act: string }];
    const isEnded = async ({ recorder }: SmallMachine): Promise<boolean> =>
      (await recorder.get('/api/v1/silences')).json[0].state === 'ended';
    // Somebody ends one of them first: what is undone is what runs then.
    const running = async (): Promise<number> => (await fleet.read(`/api/v1/silences/by-label/end?act=${act}`)).count;
    await fleet.until(running, (count) => count === 2);
    const [{ id }] = (await fleet.read('/api/v1/silences?machine=berlin-1')) as [{ id: string }];
    await one.recorder.post('/api/v1/silences/end', { id, by: 'ada' });
    await fleet.until(running, (count) => count === 1);
    await tab.getByRole('button', { name: /^Undo/ }).click();
    await fleet.until(async () => (await isEnded(one)) && (await isEnded(two)), Boolean);
    await tab.goto(address('#/commands'));
    await tab.getByRole('button', { name: 'end of silences', exact: true }).waitFor();
    await tab.getByRole('button', { name: 'silence on site=berlin' }).click();
    const followed = tab.getByRole('dialog', { name: 'Silence by label' });
    await followed.getByText('2 of 2 done').waitFor();
    await followed.getByText(act).waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    await picture(tab, 'silence-act');
  });

  it('says what has changed on all machines since one left', async () => {
    const tab = await show('#/incidents?group=off');
    await tab.getByText('once more on berlin-1').first().waitFor();
    const { through } = (await fleet.read('/api/v1/incidents/changes?since=2020-01-01T00:00:00Z')) as {
      through: string;
    };
    await tab.evaluate(`localStorage.setItem('incident-recorder.left',
      JSON.stringify({ place: '${through}', at: new Date(Date.now() - 600000).toISOString() }))`);
    for (const { name, recorder } of [one, two]) {
      const report = { class: 'tool_call_burst', source: 'delta', description: `meanwhile on ${name}` };
      await fleet.holds(name, (await recorder.report(report)).json.id);
    }
    await tab.reload();
    await tab.keyboard.press('Control+k');
    await tab.keyboard.type('what changed');
    await tab.keyboard.press('Enter');
    const list = tab.getByRole('dialog', { name: /^What changed since you left/ });
    await list.getByText('incident.reported').first().waitFor();
    expect(await list.getByText('incident.reported').count()).to.equal(2);
    for (const name of ['berlin-1', 'berlin-2']) await list.getByText(`on ${name}`).first().waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    await picture(tab, 'changes');
    await list.getByRole('button', { name: 'Mark as seen' }).click();
    const kept = JSON.parse(String(await tab.evaluate(`localStorage.getItem('incident-recorder.seen')`))) as object;
    expect(kept)
      .to.have.property('place')
      .that.matches(/^\d{13}/);
  });
});
