import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { ROOT, type RunningService, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { type Tab, tabs } from './support/browser.ts';
import { addressOf, reportMany, violations } from './support/console.ts';

/** What the script of the first page may take, compressed, in bytes. */
const MOST_SCRIPT = 80 * 1024;

describe('the console: every view', () => {
  const directory = temporaryDirectories();
  const open = tabs();
  const start = runningServices();

  const busy = async (): Promise<{ readonly service: RunningService; readonly id: string }> => {
    const service = await start(new ServiceHome(directory()));
    await service.report({
      class: 'prompt_injection',
      severity: 'low',
      evidence: { host: '203.0.113.7', calls: [1, 2] },
    });
    await service.report({ class: 'integrity_violation', description: 'the seal is broken' });
    const [id = ''] = await reportMany(service, 3, { evidence: { a: { b: ['c'] } } });
    await service.post('/api/v1/incidents/acknowledge', { id, by: 'ada', note: 'seen' });
    await service.post('/api/v1/incidents/resolve', { id, by: 'ada' });
    return { service, id };
  };

  /** Each view with what is on it last, when it is complete: a text, or the states of a drawing. */
  const views = (tab: Tab, id: string) =>
    [
      ['#/incidents', tab.getByText('5 incidents')],
      ['#/incidents?attention=true', tab.getByText('4 of 5 incidents in 3 rows')],
      [`#/incidents/${id}`, tab.locator('.statechart .state')],
      ['#/posture', tab.getByText('quarantine_model')],
      ['#/overview', tab.getByText('still waiting').last()],
      ['#/statecharts', tab.locator('[data-state="superseded"]')],
      ['#/audit', tab.getByText('HMAC-SHA256 under the audit key')],
    ] as const;

  for (const [colorScheme, width] of [
    ['light', 360],
    ['light', 1280],
    ['dark', 1280],
    ['dark', 2560],
  ] as const) {
    it(`is for everybody, in ${colorScheme}, ${width} pixels wide`, async () => {
      const { service, id } = await busy();
      const tab = await open(addressOf(service), { colorScheme, viewport: { width, height: 900 } });
      for (const [fragment, sign] of views(tab, id)) {
        await tab.goto(addressOf(service, fragment));
        await sign.first().waitFor();
        expect(await violations(tab), fragment).to.deep.equal([]);
        const overhang = await tab.evaluate('document.documentElement.scrollWidth - innerWidth');
        expect(overhang, `${fragment} at ${width}`).to.equal(0);
      }
    });
  }

  it('begins with a script that is small', () => {
    const built = join(ROOT, 'dist/console');
    const [script = ''] = readdirSync(built).filter((name) => /^main-.*\.js\.gz$/.test(name));
    expect(statSync(join(built, script)).size).to.be.below(MOST_SCRIPT);
  });

  it('is for everybody while it asks', async () => {
    const { service } = await busy();
    const tab = await open(addressOf(service));
    await tab.getByText('4 of 5 incidents in 3 rows', { exact: true }).waitFor();
    await tab.keyboard.press('?');
    await tab.getByRole('dialog', { name: 'Keys' }).waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    await tab.keyboard.press('Escape');
    await tab.keyboard.press('j');
    await tab.keyboard.press('a');
    await tab.getByRole('dialog').waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    await tab.keyboard.press('Control+Enter');
    await tab.getByRole('dialog', { name: 'Service token' }).waitFor();
    expect(await violations(tab)).to.deep.equal([]);
  });

  it('counts the incidents in the states of the chart, and leads to them', async () => {
    const { service } = await busy();
    const tab = await open(addressOf(service, '#/statecharts'));
    await tab.getByRole('link', { name: /^open\s*2$/ }).click();
    await tab.getByText('2 of 5 incidents', { exact: true }).waitFor();
    expect(tab.url()).to.match(/#\/incidents\?state=open$/);
  });

  it('verifies the log in the browser: the linkage of a keyed chain, the hashes of a plain one', async () => {
    const { service } = await busy();
    const keyed = await open(addressOf(service, '#/audit'));
    await keyed.getByRole('button', { name: /^Verify these \d+ entries here$/ }).click();
    await keyed.getByText(/are linked without a gap/).waitFor();
    await keyed.getByText(/Only the audit key/).waitFor();

    const home = new ServiceHome(directory());
    const plain = await start(home, { env: { AUDIT_HMAC_KEY_PATH: '' } });
    await reportMany(plain, 3, { evidence: { half: 0.5, negative: -0, text: 'ä\u2028😀' } });
    const tab = await open(addressOf(plain, '#/audit'));
    await tab.getByRole('button', { name: 'Verify these 4 entries here' }).click();
    await tab.getByText('Entries 1 to 4 are valid.').waitFor();
  });
});
