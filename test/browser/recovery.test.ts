import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  ATTESTATION_KEY,
  ATTESTOR_TOKEN,
  attesting,
  listeningAttestors,
  type StandInAttestor,
} from '../support/attestor.ts';
import { type RunningService, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { forgive, type Tab, tabs } from './support/browser.ts';
import { addressOf, giveToken, rows, violations } from './support/console.ts';

const POLICY = `
version: 1
rules:
  attestation_failure:
    recovery: { acknowledge: true, attest: true }
  unauthorized_access:
    recovery: { acknowledge: true }
`;

/** For a look with one's own eyes: a directory for pictures. */
const PICTURES = process.env.PICTURES ?? '';

const picture = async (tab: Tab, name: string): Promise<void> => {
  if (PICTURES === '') return;
  mkdirSync(PICTURES, { recursive: true });
  await tab.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
};

/** What the list says of recoveries, as far as it is cut off. */
const cutRecoveries = (tab: Tab): Promise<readonly string[]> =>
  tab.evaluate(`(() => {
    const words = [...document.querySelectorAll('.row .recovery')];
    if (words.length === 0) return ['there is none'];
    return words.flatMap((word) => {
      const { left, right } = word.getBoundingClientRect();
      const cell = word.closest('.why').getBoundingClientRect();
      return left >= cell.left && right <= cell.right && right > left ? [] : [word.closest('.row').textContent];
    });
  })()`);

describe('the console: recovery', () => {
  const directory = temporaryDirectories();
  const open = tabs();
  const start = runningServices();
  const listen = listeningAttestors();

  const startWith = async (attestor: StandInAttestor, more = ''): Promise<RunningService> => {
    const home = new ServiceHome(directory());
    const file = (name: string, text: string): string => {
      const path = join(home.directory, name);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    };
    return start(home, {
      env: {
        CONTAINMENT_POLICY_PATH: file('policy.yaml', `${POLICY}${more}\n`),
        RUNTIME_ATTESTOR_URL: attestor.url,
        RUNTIME_ATTESTOR_TOKEN_PATH: file('attestor-token', ATTESTOR_TOKEN),
        ATTESTATION_HMAC_KEY_PATH: file('attestation-key', ATTESTATION_KEY),
      },
    });
  };

  const report = async (service: RunningService, name: string, fields: object = {}): Promise<string> => {
    const { json } = await service.report({ class: name, description: 'PCR 7 is not what it was', ...fields });
    return (json as { readonly id: string }).id;
  };

  it('is done where the incident is shown, step by step, and then it can be resolved', async () => {
    const attestor = await listen([attesting({ state: 'degraded', failures: ['PCR 7 mismatch'] }), attesting()]);
    const service = await startWith(attestor);
    const id = await report(service, 'attestation_failure');
    const tab = await open(addressOf(service, `#/incidents/${id}`));
    const article = tab.getByRole('article');
    const recovery = article.getByRole('region', { name: 'Recovery' });
    await recovery.getByText('incomplete', { exact: true }).waitFor();
    await recovery.getByText('Who may: the role recovery, but not who reported it.').waitFor();
    const resolve = article.getByRole('button', { name: /^Resolve/ });
    expect(await resolve.isDisabled()).to.equal(true);
    expect(await resolve.getAttribute('title')).to.contain('recovery is incomplete: acknowledge, attest missing');
    await article.getByText('Resolve waits for recovery, 0 of 2 done').waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    await picture(tab, 'recovery-incomplete');

    // By keyboard alone.
    await recovery.getByRole('button', { name: 'Acknowledge recovery' }).focus();
    await tab.keyboard.press('Enter');
    await giveToken(tab);
    await recovery.locator('.delivery.confirmed', { hasText: 'Acknowledge' }).getByText('ada').waitFor();
    await tab.locator('.announcement', { hasText: 'Recovery acknowledged' }).waitFor();

    forgive(tab, '409');
    await recovery.getByRole('button', { name: 'Ask the attestor' }).click();
    await recovery.getByText('state is "degraded", not "attested"').waitFor();
    await recovery.getByText('the attestor says: PCR 7 mismatch').waitFor();
    await recovery.getByRole('alert').getByText('The machine could not be attested.').waitFor();
    await picture(tab, 'recovery-refused');

    await recovery.getByRole('button', { name: 'Ask the attestor' }).click();
    await recovery.getByText('complete', { exact: true }).waitFor();
    expect(await recovery.getByRole('button').count()).to.equal(0);
    await picture(tab, 'recovery-complete');
    await article.getByRole('button', { name: 'Resolve' }).click();
    await tab.getByRole('dialog').getByRole('button', { name: 'Resolve' }).click();
    await article.locator('.incident-line', { hasText: 'Resolved' }).waitFor();
  });

  it('is waived with a reason', async () => {
    const service = await startWith(await listen());
    const id = await report(service, 'attestation_failure');
    const tab = await open(addressOf(service, `#/incidents/${id}`));
    const recovery = tab.getByRole('region', { name: 'Recovery' });
    await recovery.getByRole('button', { name: 'Waive recovery…' }).click();
    const dialog = tab.getByRole('dialog', { name: `Waive the recovery of ${id}` });
    await dialog.getByLabel('Reason, for the log').fill('the TPM is dead');
    expect(await violations(tab)).to.deep.equal([]);
    await picture(tab, 'recovery-waive');
    await dialog.getByRole('button', { name: 'Waive recovery' }).click();
    await giveToken(tab, 'eve');
    await recovery.getByText('waived', { exact: true }).waitFor();
    await recovery.getByText('the TPM is dead').waitFor();
    await picture(tab, 'recovery-waived');
    // As it was, without anything to do.
    await tab.getByRole('article').getByLabel('Replay').fill('1');
    await recovery.getByText('incomplete', { exact: true }).waitFor();
    expect(await recovery.getByRole('button').count()).to.equal(0);
  });

  it('says that the attestor is asked, and has it asked again at once', async () => {
    const service = await startWith(await listen([(response) => response.writeHead(500).end(), attesting()]));
    const id = await report(service, 'attestation_failure');
    const tab = await open(addressOf(service, `#/incidents/${id}`));
    const recovery = tab.getByRole('region', { name: 'Recovery' });
    forgive(tab, '503');
    await recovery.getByRole('button', { name: 'Ask the attestor' }).click();
    await giveToken(tab);
    await recovery.getByRole('alert').waitFor();
    await recovery.getByText('being attested', { exact: true }).waitFor();
    await recovery.getByText(/^the attestor is asked/).waitFor();
    await picture(tab, 'recovery-asked');
    await recovery.getByRole('button', { name: 'Ask again now' }).click();
    await recovery.locator('.delivery.confirmed', { hasText: 'Attest' }).waitFor();
  });

  it('is readable in the dark and on a narrow screen', async () => {
    const service = await startWith(await listen([attesting({ evidence_verified: false })]));
    const id = await report(service, 'attestation_failure');
    await service.post('/api/v1/recovery/reattest', { incident_id: id });
    const narrow = { viewport: { width: 400, height: 900 }, colorScheme: 'dark' } as const;
    const tab = await open(addressOf(service, `#/incidents/${id}`), narrow);
    const recovery = tab.getByRole('region', { name: 'Recovery' });
    await recovery.getByText('Why is shown to those with a token.').waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    expect(await tab.evaluate('document.documentElement.scrollWidth <= innerWidth')).to.equal(true);
    await recovery.scrollIntoViewIfNeeded();
    await picture(tab, 'recovery-narrow');
    await tab.goto(addressOf(service, '#/overview'));
    await tab.getByRole('region', { name: 'Waiting for recovery' }).waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    await picture(tab, 'recovery-overview-narrow');
  });

  it('that is void says so, in the incident and in its timeline', async () => {
    const service = await startWith(await listen());
    const id = await report(service, 'unauthorized_access', { dedup_key: 'same' });
    const tab = await open(addressOf(service, `#/incidents/${id}`));
    const recovery = tab.getByRole('region', { name: 'Recovery' });
    await recovery.getByRole('button', { name: 'Acknowledge recovery' }).click();
    await giveToken(tab);
    await recovery.getByText('complete', { exact: true }).waitFor();
    await report(service, 'unauthorized_access', { dedup_key: 'same' });
    await recovery.getByText('What was done before counts no more: it was reported again').waitFor();
    await recovery.getByRole('button', { name: 'Acknowledge recovery' }).waitFor();
    await tab.getByText('What was done for the recovery counts no more.').waitFor();
  });

  it('that is missing shows in the list, in the dialog of resolve and in the overview', async () => {
    const service = await startWith(await listen(), 'overdue_after: 2s');
    const id = await report(service, 'attestation_failure');
    const other = await report(service, 'unauthorized_access');
    await report(service, 'tool_call_burst');
    const tab = await open(addressOf(service));
    const list = rows(tab);
    await list.nth(2).waitFor();
    expect(await list.getByText(/^recovery 0 of \d$/).count()).to.equal(2);
    await list
      .getByText(/^Overdue/)
      .nth(1)
      .waitFor();
    await picture(tab, 'recovery-list');
    // Before the cause of what is overdue, in lists of every width.
    await service.post('/api/v1/incidents/acknowledge', { id });
    await tab.goto(addressOf(service, '#/incidents'));
    await list.getByText('Acknowledged').waitFor();
    for (const width of [1280, 1060, 768, 360]) {
      await tab.setViewportSize({ width, height: 800 });
      await list.nth(2).waitFor();
      expect(await cutRecoveries(tab), `cut off at ${width}`).to.deep.equal([]);
    }
    await tab.goto(addressOf(service, `#/incidents/${id}`));
    await tab.setViewportSize({ width: 1920, height: 800 });
    await tab.getByRole('region', { name: 'Recovery' }).waitFor();
    await list.nth(2).waitFor();
    expect(await cutRecoveries(tab), 'cut off next to an incident').to.deep.equal([]);
    await tab.goto(addressOf(service, '#/incidents'));
    await list.nth(2).waitFor();
    await tab.keyboard.press('j');
    await tab.keyboard.press('r');
    const dialog = tab.getByRole('dialog');
    await dialog.getByText('It can’t be resolved yet: recovery is incomplete.').waitFor();
    await dialog.getByText('Somebody acknowledges that the machine may be trusted again.').waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    await picture(tab, 'recovery-dialog');
    forgive(tab, '409');
    await dialog.getByRole('button', { name: 'Resolve' }).click();
    await giveToken(tab);
    await dialog.getByText(/recovery is incomplete: acknowledge(, attest)? missing/).waitFor();
    await tab.keyboard.press('Escape');

    await tab.goto(addressOf(service, '#/overview'));
    const section = tab.getByRole('region', { name: 'Waiting for recovery' });
    await section.getByText('2 incidents can’t be resolved before this is done.').waitFor();
    expect(await violations(tab)).to.deep.equal([]);
    await picture(tab, 'recovery-overview');
    await service.post('/api/v1/recovery/ack', { incident_id: other, operator: 'ada' });
    await section.getByText('1 incident can’t be resolved before this is done.').waitFor();
    await section.getByRole('link', { name: id }).click();
    await tab.getByRole('region', { name: 'Recovery' }).waitFor();
  });
});
