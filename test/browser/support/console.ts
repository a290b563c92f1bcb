import axe from 'axe-core';
import { TOKEN, type RunningService } from '../../support/running-service.ts';
import type { Tab } from './browser.ts';

/** The address of a view of the service's console. */
export const addressOf = (service: RunningService, fragment = ''): string =>
  `http://127.0.0.1:${service.port}/${fragment}`;

/** Reports as many incidents that wait for somebody; gives their ids, oldest first. */
export const reportMany = async (
  service: RunningService,
  count: number,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<readonly string[]> => {
  const ids: string[] = [];
  for (let n = 0; n < count; n++) {
    const { json } = await service.report({
      class: 'forbidden_airlock_request',
      description: `number ${n}`,
      ...fields,
    });
    ids.push((json as { readonly id: string }).id);
  }
  return ids;
};

/** Answers the question for the token. */
export const giveToken = async (tab: Tab, name = 'ada', token: string = TOKEN): Promise<void> => {
  const dialog = tab.getByRole('dialog', { name: 'Service token' });
  await dialog.getByLabel('Token', { exact: true }).fill(token);
  await dialog.getByLabel('Your name').fill(name);
  await tab.keyboard.press('Enter');
};

/** The rows of the list that are on the page. */
export const rows = (tab: Tab) =>
  tab
    .getByRole('grid')
    .getByRole('row')
    .filter({ has: tab.getByRole('gridcell') });

/** The list of what needs attention, with a row for each incident. */
export const EACH = '#/incidents?attention=true&group=off';

/** Has the tab keep a token, from its next load on. */
export const keepToken = (tab: Tab, name = 'ada', token: string = TOKEN): Promise<unknown> =>
  tab.evaluate(`sessionStorage.setItem('incident-recorder.operator', '${JSON.stringify({ token, name })}')`);

/** Makes the page's processor six times as slow, as on a machine that is busy. */
export const slowDown = async (tab: Tab): Promise<void> => {
  const session = await tab.context().newCDPSession(tab);
  await session.send('Emulation.setCPUThrottlingRate', { rate: 6 });
};

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** What axe finds wrong with the page as it is. */
export const violations = async (tab: Tab): Promise<readonly string[]> => {
  // What fades in is paler until it is there.
  await tab.evaluate('Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => {})))');
  // Put there by the browser's debugger, which the page's policy does not bind.
  await tab.evaluate(`${axe.source}; undefined`);
  const found = await tab.evaluate<readonly Violation[]>('axe.run().then((results) => results.violations)');
  return found.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
};
