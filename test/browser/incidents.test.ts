import { expect } from 'chai';
import { runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { forgive, tabs } from './support/browser.ts';
import { addressOf, EACH, giveToken, reportMany, rows, slowDown } from './support/console.ts';

describe('the console: incidents', () => {
  const directory = temporaryDirectories();
  const open = tabs();
  const start = runningServices();

  it('shows that nothing waits, and then what is reported, without being asked', async () => {
    const service = await start(new ServiceHome(directory()));
    const tab = await open(addressOf(service));
    await tab.getByText('Nothing needs attention').waitFor();
    await tab.getByText('Live', { exact: true }).waitFor();
    await service.report({ description: 'a page told the agent what to do' });
    await rows(tab).getByText('a page told the agent what to do').waitFor();
    await tab.getByTitle('1 row, 1 incident need attention').first().waitFor();
    expect(await tab.title()).to.equal('(1) Incidents · Incident recorder');
  });

  it('gathers a burst in a row that unfolds, so that another source stays in sight', async () => {
    const service = await start(new ServiceHome(directory()));
    await reportMany(service, 1, { source: 'airlock', description: 'an unknown host' });
    await reportMany(service, 60);
    const tab = await open(addressOf(service, '#/incidents?state=open'));
    await rows(tab).nth(10).waitFor();
    await tab.getByRole('button', { name: 'Group bursts' }).click();
    await rows(tab).getByText('an unknown host').waitFor();
    expect(await rows(tab).count()).to.equal(2);
    await rows(tab).getByText('×60', { exact: true }).waitFor();
    await tab.getByText('61 incidents in 2 rows').waitFor();

    await reportMany(service, 1, { description: 'the newest' });
    await rows(tab).getByText('the newest').waitFor();
    await rows(tab).getByText('×61', { exact: true }).waitFor();
    expect(await rows(tab).count()).to.equal(2);
    if (process.env.SCREENSHOT !== undefined) await tab.screenshot({ path: process.env.SCREENSHOT });

    // Its link leads to a list of its own, and its chevron unfolds it here.
    await tab.getByRole('button', { name: 'Unfold' }).click();
    expect(await rows(tab).count()).to.equal(2 + 7 + 1);
    await tab.getByRole('button', { name: 'Show 54 more of 61' }).click();
    await tab.getByRole('button', { name: 'Show 54 more of 61' }).waitFor({ state: 'detached' });
    await tab.getByRole('button', { name: 'Fold', exact: true }).click();
    expect(await rows(tab).count()).to.equal(2);
    const [other] = await Promise.all([
      tab.context().waitForEvent('page'),
      rows(tab).getByRole('link', { name: 'the newest' }).click({ button: 'middle' }),
    ]);
    await other.getByText('61 of 62 incidents', { exact: true }).waitFor();
    expect(await rows(tab).count()).to.equal(2);
  });

  it('is worked by keyboard alone', async () => {
    const service = await start(new ServiceHome(directory()));
    const [first, second] = await reportMany(service, 2);
    const tab = await open(addressOf(service, EACH));
    await slowDown(tab);
    await rows(tab).nth(1).waitFor();

    await tab.keyboard.press('j');
    await tab.keyboard.press('j');
    await tab.keyboard.press('Enter');
    await tab.getByRole('article', { name: first! }).waitFor();
    await tab.keyboard.press('a');
    await tab.getByRole('dialog', { name: `Acknowledge this incident? ${first}` }).waitFor();
    await tab.keyboard.type('looking at the host');
    await tab.keyboard.press('Control+Enter');
    await tab.getByRole('dialog', { name: 'Service token' }).waitFor();
    await tab.keyboard.type('a-wrong-token-0123456789');
    await tab.keyboard.press('Enter');
    await tab.getByText('does not take that token').waitFor();
    await giveToken(tab);
    await tab.getByText(`Acknowledged ${first}`).waitFor();
    await tab.getByRole('article').getByText('looking at the host').first().waitFor();

    await tab.getByRole('dialog').waitFor({ state: 'detached' });
    await tab.keyboard.press('r');
    await tab.getByRole('dialog', { name: `Resolve this incident? ${first}` }).waitFor();
    await tab.keyboard.press('Control+Enter');
    await tab.getByText(`Resolved ${first}`).waitFor();
    await tab.getByRole('dialog').waitFor({ state: 'detached' });
    await tab.keyboard.press('Escape');
    await tab.keyboard.press('?');
    await tab.getByRole('dialog', { name: 'Keys' }).waitFor();
    await tab.keyboard.press('Escape');
    await tab.getByRole('dialog').waitFor({ state: 'detached' });
    await tab.keyboard.press('/');
    await tab.keyboard.type('elsewhere');
    await tab.waitForURL(/q=elsewhere/);

    forgive(tab, 'status of 403');
    const { json } = await service.get(`/api/v1/incidents/get?id=${first}`);
    expect(json).to.include({
      state: 'resolved',
      acknowledged_by: 'ada',
      resolved_by: 'ada',
      note: 'looking at the host',
    });
    expect((await service.get(`/api/v1/incidents/get?id=${second}`)).json.state).to.equal('open');
  });

  it('takes every letter after / for the search, on a narrow and slow page too', async () => {
    const service = await start(new ServiceHome(directory()));
    const [id] = await reportMany(service, 2);
    const tab = await open(addressOf(service, `#/incidents/${id}`), { viewport: { width: 600, height: 800 } });
    await tab.getByRole('article', { name: id! }).waitFor();
    await slowDown(tab);
    await tab.keyboard.press('/');
    await tab.keyboard.type('car', { delay: 350 });
    await tab.keyboard.type('carrack');
    await tab.waitForURL(/q=carcarrack/);
    // There is no room for the line: the filters are a sheet.
    expect(await tab.getByRole('searchbox').inputValue()).to.equal('carcarrack');
    expect(await tab.getByRole('dialog').getByRole('heading').allTextContents()).to.deep.equal(['Filter']);
  });

  it('resolves fifty at once, and says how it went with each', async () => {
    const service = await start(new ServiceHome(directory()));
    const ids = await reportMany(service, 51);
    const tab = await open(addressOf(service, EACH));
    await tab.getByText('51 incidents', { exact: true }).waitFor();
    await tab.keyboard.press('j');
    await tab.keyboard.press('x');
    await tab.getByRole('button', { name: 'Select all 51' }).click();
    // One is not to be resolved, and one has been resolved by somebody else meanwhile.
    await tab.keyboard.press('x');
    await tab.getByText('50 selected').waitFor();
    await tab.keyboard.press('r');
    const dialog = tab.getByRole('dialog', { name: 'Resolve 50 incidents' });
    await dialog.waitFor();
    // Before the dialog it would leave the list, and with it what is selected.
    await service.post('/api/v1/incidents/resolve', { id: ids[0] });
    await dialog.getByRole('textbox').fill('an exercise');
    await dialog.getByRole('button', { name: 'Resolve' }).click();
    await giveToken(tab);
    await tab.getByText('Resolved 50 incidents').waitFor();
    await dialog.waitFor({ state: 'detached' });
    await tab.getByText('1 of 51 incidents', { exact: true }).waitFor();
    const { json } = await service.get('/api/v1/stats');
    expect(json.by_state).to.deep.equal({ open: 1, contained: 0, acknowledged: 0, resolved: 50 });
  });

  it('says why a command is refused', async () => {
    const service = await start(new ServiceHome(directory()));
    const [id] = await reportMany(service, 1);
    const tab = await open(addressOf(service, `#/incidents/${id}`));
    await tab.getByRole('article').getByRole('button', { name: 'Acknowledge' }).click();
    await service.post('/api/v1/incidents/resolve', { id });
    await tab.getByRole('dialog').getByRole('button', { name: 'Acknowledge' }).click();
    await giveToken(tab);
    await tab.getByRole('dialog').getByText('the incident is resolved').waitFor();
    await tab.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
    await tab.getByRole('article').getByRole('button', { name: 'Acknowledge' }).waitFor({ state: 'detached' });
    await tab.getByRole('article').getByRole('button', { name: 'Reopen' }).waitFor();
    forgive(tab, 'status of 409');
  });

  it('keeps its filters in the address, and goes back', async () => {
    const service = await start(new ServiceHome(directory()));
    await service.report({ class: 'prompt_injection', source: 'tool-firewall', description: 'an instruction' });
    await service.report({ class: 'integrity_violation', source: 'vault', description: 'a seal' });
    const tab = await open(addressOf(service, '#/incidents?severity=critical'));
    await rows(tab).getByText('a seal').waitFor();
    expect(await rows(tab).count()).to.equal(1);
    await tab.getByText('1 of 2 incidents', { exact: true }).waitFor();
    await tab.getByRole('button', { name: 'severity is critical: take this filter away' }).click();
    await tab.getByText('2 incidents', { exact: true }).waitFor();
    await tab.keyboard.press('/');
    await tab.keyboard.type('class:prom');
    await tab.getByRole('option', { name: 'prompt_injection' }).waitFor();
    await tab.keyboard.press('Enter');
    await tab.getByText('1 of 2 incidents', { exact: true }).waitFor();
    expect(tab.url()).to.match(/#\/incidents\?class=prompt_injection$/);
    await tab.getByRole('button', { name: 'class is prompt_injection: take this filter away' }).waitFor();
    await rows(tab).first().click();
    await tab.getByRole('article').getByText('an instruction').first().waitFor();
    await tab.goBack();
    await tab.getByRole('article').waitFor({ state: 'detached' });
  });

  it('asks for the token again after a reload, unless it was to be kept', async () => {
    const service = await start(new ServiceHome(directory()));
    const [id] = await reportMany(service, 1);
    const tab = await open(addressOf(service, `#/incidents/${id}`));
    const stored = (): Promise<unknown> =>
      tab.evaluate(
        // Where the person left off is written all the time.
        `sessionStorage.length + Object.entries(localStorage).filter(([name]) => !name.endsWith('.seen')).join()`,
      );
    const before = await stored();
    await tab.getByRole('article').getByRole('button', { name: 'Contain' }).click();
    await tab.getByRole('dialog').getByRole('button', { name: 'Contain' }).click();
    await giveToken(tab);
    await tab.getByText(`Contained ${id}`).waitFor();
    expect(await stored()).to.equal(before);
    await tab.reload();
    await tab.getByRole('article').getByRole('button', { name: 'Acknowledge' }).click();
    await tab.getByRole('dialog').getByRole('button', { name: 'Acknowledge' }).click();
    await tab.getByLabel('Keep both').check();
    await giveToken(tab);
    await tab.getByText(`Acknowledged ${id}`).waitFor();
    await tab.reload();
    await tab.getByRole('button', { name: 'ada · shared token, name is a claim' }).click();
    await tab.getByRole('button', { name: 'Forget the token' }).click();
    expect(await tab.evaluate('sessionStorage.length')).to.equal(0);
  });
});
