import { join } from 'node:path';
import { expect } from 'chai';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { readKey } from '../../src/audit/key.ts';
import { generateLog } from '../bench/generate-log.ts';
import { ROOT, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { tabs } from './support/browser.ts';
import { addressOf, rows } from './support/console.ts';

/** `BROWSER=long` scrolls through as many as the console is made for; plain `npm test` has time for a few of them, which show the same. */
const INCIDENTS = process.env.BROWSER === 'long' ? 100_000 : 4000;

describe(`the console: ${INCIDENTS} incidents`, () => {
  const directory = temporaryDirectories();
  const open = tabs();
  const start = runningServices();

  it('reads the list as it is scrolled, and has only what is in sight on the page', async () => {
    const home = new ServiceHome(directory());
    const evidence = { least: 20, most: 60 };
    await generateLog({ incidents: INCIDENTS, path: home.log, hash: chainHash(readKey(home.key)), evidence });
    const service = await start(home, { command: [join(ROOT, 'dist/service.cjs')] });
    const tab = await open(addressOf(service, '#/incidents'));
    await tab.getByText(new RegExp(`^\\d+ of ${INCIDENTS.toLocaleString('en-GB')} incidents, more below$`)).waitFor();
    await rows(tab).nth(10).waitFor();

    // One page after the other, to the end.
    const grid = tab.getByRole('grid');
    const foot = tab.locator('.list-foot');
    const count = async (): Promise<number> => Number(await grid.getAttribute('aria-rowcount'));
    while ((await count()) === -1) {
      const shown = (await foot.textContent()) ?? '';
      await grid.evaluate((element) => element.scrollTo(0, element.scrollHeight));
      await foot.filter({ hasNotText: shown }).filter({ hasText: 'incidents' }).waitFor();
    }
    expect(await count()).to.equal(INCIDENTS + 1);
    expect(await rows(tab).count()).to.be.lessThan(60);

    // What is reported now still comes first, and the keys still move.
    await service.report({ severity: 'critical', description: 'one more' });
    await grid.evaluate((element) => element.scrollTo(0, 0));
    await rows(tab).first().getByText('one more').waitFor();
    await tab.keyboard.press('j');
    await tab.keyboard.press('Enter');
    await tab.getByRole('article').getByText('one more').waitFor();
  });
});
