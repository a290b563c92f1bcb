import { hash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { type RunningService, runningServices, ServiceHome, TOKEN } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { forgive, type Tab, tabs } from './support/browser.ts';
import { addressOf, giveToken, violations } from './support/console.ts';

const tokenOf = (name: string): string => `token-of-${name}-0123456789`;

describe('the console: people with tokens of their own', () => {
  const directory = temporaryDirectories();
  const open = tabs();
  const start = runningServices();
  let home: ServiceHome;

  const write = (grants: Readonly<Record<string, object>>): void => {
    const principals = Object.fromEntries(
      Object.entries(grants).map(([name, grant]) => [name, { ...grant, token_sha256: hash('sha256', tokenOf(name)) }]),
    );
    writeFileSync(home.access, JSON.stringify({ version: 1, principals }), { mode: 0o600 });
  };
  const GRANTS = {
    ada: { roles: ['operator', 'recovery'] },
    eve: { roles: ['auditor'] },
    root: { roles: ['admin'] },
    canary: { roles: ['reporter'], sources: 'any', classes: ['prompt_injection'] },
  };

  beforeEach(() => {
    home = new ServiceHome(directory());
  });

  const reported = async (service: RunningService, token: string): Promise<string> => {
    const evidence = { text: 'evidence-7f3a' };
    const body = { class: 'prompt_injection', source: 'tool-firewall', description: 'a test', evidence };
    const { json } = await service.post('/api/v1/incidents/report', body, { token });
    return json.id as string;
  };
  const evidenceIn = (tab: Tab) => tab.getByRole('region', { name: 'Evidence' });
  const shot = async (tab: Tab, name: string): Promise<void> => {
    const { SCREENSHOTS } = process.env;
    if (SCREENSHOTS === undefined) return;
    for (const colorScheme of ['light', 'dark'] as const) {
      await tab.emulateMedia({ colorScheme });
      await tab.getByRole('article').getByRole('heading').first().scrollIntoViewIfNeeded();
      await tab.screenshot({ path: `${SCREENSHOTS}/${name}-${colorScheme}.png`, fullPage: true });
    }
  };

  it('shows who one is, and what that allows, also after a reload of the access file', async () => {
    write(GRANTS);
    const service = await start(home, { env: { READ_EVIDENCE: 'restricted' } });
    const id = await reported(service, tokenOf('canary'));
    const tab = await open(addressOf(service, `#/incidents/${id}`));
    forgive(tab, '403 (Forbidden)');
    await evidenceIn(tab).getByText('Evidence is restricted: give a token with the role auditor').waitFor();
    await evidenceIn(tab).getByRole('button', { name: 'Give a token' }).click();
    await tab.getByRole('dialog').getByText('A token of your own says who you are.').waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    await shot(tab, 'dialog');
    await giveToken(tab, '', 'somebody-elses-token-0123');
    await tab.getByText('does not take that token').waitFor();
    await giveToken(tab, '', tokenOf('eve'));
    await tab.getByRole('button', { name: 'eve · auditor' }).click();
    await tab.getByText('eve (auditor)', { exact: true }).waitFor();
    await tab.keyboard.press('Escape');
    await evidenceIn(tab).getByText('evidence-7f3a').waitFor();

    const article = tab.getByRole('article');
    await article.getByText('Acknowledge needs the role operator; you are eve (auditor).').waitFor();
    expect(await article.getByRole('button', { name: /^Acknowledge/ }).isDisabled()).to.equal(true);
    expect(await article.getByRole('button', { name: /^Resolve/ }).isDisabled()).to.equal(true);
    await tab.keyboard.press('a');
    const dialog = tab.getByRole('dialog', { name: `Acknowledge this incident? ${id}` });
    await dialog.getByText('Acknowledge needs the role operator; you are eve (auditor).').waitFor();
    expect(await dialog.getByRole('button', { name: 'Acknowledge' }).isDisabled()).to.equal(true);
    await dialog.getByRole('textbox').press('Control+Enter');
    expect(await dialog.getByRole('button', { name: 'Acknowledge' }).isDisabled()).to.equal(true);
    expect(await violations(tab)).to.deep.equal([]);
    await tab.keyboard.press('Escape');
    await shot(tab, 'auditor');

    write({ ...GRANTS, eve: { roles: ['auditor', 'operator'] } });
    expect((await service.post('/api/v1/reload', {}, { token: tokenOf('root') })).status).to.equal(200);
    await tab.setViewportSize({ width: 360, height: 780 });
    await tab.getByRole('button', { name: 'eve' }).click();
    await tab.getByText('eve (auditor, operator)', { exact: true }).waitFor();
    await tab.keyboard.press('Escape');
    expect(await tab.evaluate('document.documentElement.scrollWidth - innerWidth')).to.equal(0);
    await tab.setViewportSize({ width: 1280, height: 800 });
    await article.getByRole('button', { name: /^Acknowledge/ }).click();
    await tab.getByRole('dialog').getByRole('button', { name: 'Acknowledge' }).click();
    await article.getByText('by eve as operator').waitFor();
    await article.getByText('by canary as reporter').waitFor();
    await article.getByText('· by canary').waitFor();
    await shot(tab, 'operator');
  });

  it('asks for a name with a token that several share, and marks it as claimed', async () => {
    const service = await start(home);
    const id = await reported(service, TOKEN);
    const tab = await open(addressOf(service, `#/incidents/${id}`));
    const article = tab.getByRole('article');
    await article.getByRole('button', { name: 'Acknowledge' }).click();
    await tab.getByRole('dialog').getByRole('button', { name: 'Acknowledge' }).click();
    await giveToken(tab, '', TOKEN);
    await tab.getByText(`Acknowledged ${id}`).waitFor();
    await tab.getByRole('button', { name: 'shared token' }).click();
    await tab.getByRole('button', { name: 'Forget the token' }).waitFor();
    await tab.getByRole('button', { name: 'Give your name' }).click();
    await giveToken(tab, 'ada');
    await tab.getByRole('button', { name: 'ada · shared token, name is a claim' }).waitFor();
    await article.getByRole('button', { name: 'Resolve' }).click();
    await tab.getByRole('dialog').getByRole('button', { name: 'Resolve' }).click();
    await article.getByText('by ada (claimed) as operator').waitFor();
    await shot(tab, 'shared');
  });
});
