import { expect } from 'chai';
import { runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { forgive, tabs } from './support/browser.ts';
import { addressOf, EACH, giveToken, reportMany, rows, slowDown } from './support/console.ts';

/** Long enough for a key to have its effect, where it must have none. */
const settle = 'new Promise((done) => setTimeout(done, 300))';

describe('the console: keys', () => {
  const directory = temporaryDirectories();
  const open = tabs();
  const start = runningServices();

  it('put every letter after / into the field, also right after an incident was opened or closed', async () => {
    const service = await start(new ServiceHome(directory()));
    const [first] = await reportMany(service, 2);
    const tab = await open(addressOf(service, EACH), { viewport: { width: 600, height: 800 } });
    await rows(tab).nth(1).waitFor();
    await slowDown(tab);
    // No pause: the page has not yet shown what the key before has done.
    await tab.keyboard.press('j');
    await tab.keyboard.press('Enter');
    await tab.keyboard.press('/');
    await tab.keyboard.type('carrack');
    await tab.waitForURL(/q=carrack/);
    // There is no room for the line: the filters are a sheet.
    expect(await tab.getByRole('searchbox').inputValue()).to.equal('carrack');
    const dialogs = (): Promise<readonly string[]> => tab.getByRole('dialog').getByRole('heading').allTextContents();
    expect(await dialogs()).to.deep.equal(['Filter']);
    await tab.keyboard.press('Escape');
    await tab.getByRole('dialog').waitFor({ state: 'detached' });

    await tab.goto(addressOf(service, `#/incidents/${first}`));
    await tab.getByRole('article', { name: first! }).waitFor();
    await tab.keyboard.press('Escape');
    await tab.keyboard.press('/');
    await tab.keyboard.type('jar');
    await tab.waitForURL(/q=jar/);
    expect(await dialogs()).to.deep.equal(['Filter']);
  });

  it('have given the field the focus before the event of / is over', async () => {
    const service = await start(new ServiceHome(directory()));
    const [id] = await reportMany(service, 1);
    for (const width of [600, 1280]) {
      const tab = await open(addressOf(service, `#/incidents/${id}`), { viewport: { width, height: 800 } });
      await tab.getByRole('article', { name: id! }).waitFor();
      const focused = await tab.evaluate(`
        document.body.dispatchEvent(new KeyboardEvent('keydown', { key: '/', bubbles: true, cancelable: true }));
        document.activeElement.id`);
      expect(focused, `${width} pixels wide`).to.equal(width === 600 ? 'sheet-search' : 'search');
    }
  });

  it('do not reach the list behind a dialog, and Escape closes it', async () => {
    const service = await start(new ServiceHome(directory()));
    const [first] = await reportMany(service, 3);
    const tab = await open(addressOf(service, EACH));
    await rows(tab).nth(2).waitFor();
    // Not all that there are: those would be worked with one request.
    await tab.keyboard.press('j');
    for (const key of ['j', 'x', 'j', 'x']) await tab.keyboard.press(key);
    await tab.getByText('2 selected').waitFor();
    await tab.keyboard.press('a');
    const dialog = tab.getByRole('dialog');
    // One of them can't be: the dialog stays, and says so.
    await tab.route('**/api/v1/incidents/acknowledge', async (route) => {
      if (route.request().postDataJSON().id === first) await route.fulfill({ status: 409, json: { error: 'not now' } });
      else await route.continue();
    });
    await dialog.getByRole('button', { name: 'Acknowledge' }).click();
    await giveToken(tab);
    await dialog.getByText('Acknowledged 1 of 2, 1 refused').waitFor();
    forgive(tab, 'status of 409');

    // The focus is nowhere, as after a click beside what takes it.
    await tab.evaluate('document.activeElement?.blur()');
    for (const key of ['r', 'c', 'j', 'x', '?', '/']) await tab.keyboard.press(key);
    await tab.evaluate(settle);
    expect(await tab.getByRole('dialog').count()).to.equal(1);
    expect(await dialog.getByText('Acknowledged 1 of 2, 1 refused').count()).to.equal(1);
    expect(await tab.getByText('Resolved').count()).to.equal(0);
    await tab.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    const { json } = await service.get('/api/v1/stats');
    expect(json.by_state).to.deep.equal({ open: 2, contained: 0, acknowledged: 1, resolved: 0 });
  });

  it('close each dialog with Escape wherever the focus is, and give the focus back', async () => {
    const service = await start(new ServiceHome(directory()));
    await reportMany(service, 2);
    const tab = await open(addressOf(service, EACH));
    await rows(tab).nth(1).waitFor();
    await tab.keyboard.press('j');
    for (const key of ['?', 'a', 'r']) {
      await tab.keyboard.press(key);
      await tab.getByRole('dialog').waitFor();
      await tab.evaluate('document.activeElement?.blur()');
      await tab.keyboard.press('Escape');
      await tab.getByRole('dialog').waitFor({ state: 'detached' });
      expect(await tab.evaluate('document.activeElement?.id'), key).to.equal('incidents');
    }
    await tab.keyboard.press('?');
    await tab.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
    await tab.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await tab.evaluate('document.activeElement?.id')).to.equal('incidents');
  });

  it('act on what is shown only: not on a selection in another list, nor on one under the open incident', async () => {
    const service = await start(new ServiceHome(directory()));
    const [first, second, third] = await reportMany(service, 3);
    await service.post('/api/v1/incidents/acknowledge', { id: third });
    const tab = await open(addressOf(service, '#/incidents?state=open'), { viewport: { width: 1000, height: 800 } });
    await tab.getByText('2 of 3 incidents', { exact: true }).waitFor();
    await tab.keyboard.press('j');
    await tab.keyboard.press('x');
    await tab.getByText('1 selected').waitFor();
    const chosen = await rows(tab).and(tab.locator('[aria-selected=true]')).getAttribute('id');
    expect(chosen).to.equal(`row-${second}`);

    // Another list: neither the selection nor the current row is in it.
    await tab.goto(addressOf(service, '#/incidents?state=acknowledged'));
    await tab.getByText('1 of 3 incidents', { exact: true }).waitFor();
    for (const key of ['r', 'a', 'Enter', 'x']) await tab.keyboard.press(key);
    await tab.evaluate(settle);
    expect(await tab.getByRole('dialog').count()).to.equal(0);
    expect(await tab.getByRole('article').count()).to.equal(0);
    await tab.getByText('1 selected that is not in this list').waitFor();
    // What is in it is resolved, and nothing else.
    await tab.keyboard.press('j');
    await tab.keyboard.press('r');
    await tab.getByRole('dialog', { name: `Resolve this incident? ${third}` }).waitFor();
    await tab.keyboard.press('Escape');
    await tab.getByRole('dialog').waitFor({ state: 'detached' });

    // Under an incident that covers the list: the incident is meant.
    await tab.goto(addressOf(service, `#/incidents/${first}?state=open`));
    await tab.getByRole('article', { name: first! }).waitFor();
    await tab.keyboard.press('r');
    await tab.getByRole('dialog', { name: `Resolve this incident? ${first}` }).waitFor();
  });

  it('take a current row that was scrolled away into sight before they act on it', async () => {
    const service = await start(new ServiceHome(directory()));
    await reportMany(service, 60);
    const tab = await open(addressOf(service, EACH));
    await tab.getByText('60 incidents', { exact: true }).waitFor();
    await tab.keyboard.press('j');
    await tab.getByRole('grid').evaluate((grid) => grid.scrollTo(0, grid.scrollHeight));
    await rows(tab).getByText('number 0', { exact: true }).waitFor();
    await tab.keyboard.press('r');
    await rows(tab).getByText('number 59', { exact: true }).waitFor();
    expect(await tab.getByRole('dialog').count()).to.equal(0);
    await tab.keyboard.press('r');
    await tab.getByRole('dialog').waitFor();
  });

  it('empty search and filter together with Escape', async () => {
    const service = await start(new ServiceHome(directory()));
    await reportMany(service, 1, { description: 'a carrack' });
    await reportMany(service, 1, { description: 'a sloop' });
    const tab = await open(addressOf(service, EACH));
    await tab.getByText('2 incidents', { exact: true }).waitFor();
    await tab.keyboard.press('/');
    await tab.keyboard.type('carrack');
    await tab.getByText('1 of 2 incidents', { exact: true }).waitFor();
    await tab.keyboard.press('Escape');
    await tab.getByText('2 incidents', { exact: true }).waitFor();
    expect(await tab.getByRole('combobox', { name: 'Filter and search' }).inputValue()).to.equal('');
    expect(tab.url()).not.to.match(/q=/);

    // What was typed but not yet searched goes, too.
    await tab.keyboard.press('/');
    await tab.keyboard.type('slo');
    await tab.keyboard.press('Escape');
    await tab.evaluate('new Promise((done) => setTimeout(done, 600))');
    expect(tab.url()).not.to.match(/q=/);
  });

  it('keep each filter when several change at once, and take a bound off with its token', async () => {
    const service = await start(new ServiceHome(directory()));
    await reportMany(service, 2);
    const tab = await open(addressOf(service, '#/incidents'));
    await tab.getByText('2 incidents', { exact: true }).waitFor();
    await tab.keyboard.press('/');
    await tab.keyboard.type('number');
    await tab.getByRole('button', { name: 'Group bursts' }).click();
    await tab.waitForURL(/q=number/);
    await tab.waitForURL(/group=on/);

    await tab.goto(addressOf(service, '#/incidents?until=2020-01-01T00%3A00%3A00.000Z'));
    await tab.getByText('No incident matches').waitFor();
    await tab.getByRole('button', { name: /^reported before .*: take this filter away$/ }).click();
    await tab.getByText('2 incidents', { exact: true }).waitFor();
    expect(tab.url()).not.to.match(/until/);
  });

  it('count nothing as refused when nobody enters the token', async () => {
    const service = await start(new ServiceHome(directory()));
    const [id] = await reportMany(service, 2);
    const tab = await open(addressOf(service, EACH));
    await rows(tab).nth(1).waitFor();
    await tab.keyboard.press('j');
    await tab.keyboard.press('x');
    await tab.getByRole('button', { name: 'Select all 2' }).click();
    await tab.keyboard.press('a');
    const dialog = tab.getByRole('dialog', { name: 'Acknowledge 2 incidents' });
    await dialog.getByRole('textbox').fill('a note');
    await dialog.getByRole('button', { name: 'Acknowledge' }).click();
    await tab.getByRole('dialog', { name: 'Service token' }).getByRole('button', { name: 'Cancel' }).click();
    await dialog.getByText('Nothing was sent').waitFor();
    expect(await tab.getByText(/refused/).count()).to.equal(0);
    // The note is still there, and the command can be given after all.
    expect(await dialog.getByRole('textbox').inputValue()).to.equal('a note');
    await dialog.getByRole('button', { name: 'Acknowledge' }).click();
    await giveToken(tab);
    await tab.getByText('Acknowledged 2 incidents').waitFor();
    expect((await service.get(`/api/v1/incidents/get?id=${id}`)).json.note).to.equal('a note');
  });

  it('do not call a command refused that got no answer', async () => {
    const service = await start(new ServiceHome(directory()));
    const [id] = await reportMany(service, 1);
    const tab = await open(addressOf(service, `#/incidents/${id}`));
    await tab.getByRole('article').getByRole('button', { name: 'Acknowledge' }).click();
    await tab.getByRole('dialog').getByRole('button', { name: 'Acknowledge' }).click();
    await tab.getByRole('dialog', { name: 'Service token' }).waitFor();
    await service.end('SIGKILL');
    await giveToken(tab);
    await tab.getByRole('dialog').getByText('1 without an answer').waitFor();
    expect(await tab.getByText(/refused/).count()).to.equal(0);
    forgive(tab, 'net::ERR_');
  });
});
