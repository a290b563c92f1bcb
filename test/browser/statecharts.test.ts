import { expect } from 'chai';
import { type RunningService, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { type Tab, tabs } from './support/browser.ts';
import { addressOf, violations } from './support/console.ts';

/** The texts of the drawings that stick out of their label, row, chip or state. */
const STICKING_OUT = `[...document.querySelectorAll('.statechart :is(.label, .chip, .state, .internal)')].flatMap((group) => {
  const box = group.querySelector(':scope > rect').getBoundingClientRect();
  const around = group.matches('.internal') ? group.closest('.state').querySelector('.box').getBoundingClientRect() : box;
  return [...group.querySelectorAll(':scope > text, :scope > a > text, :scope > .effect > text')].filter((text) => {
    const { left, right } = text.getBoundingClientRect();
    const within = text.matches('.ev') ? box : around;
    return left < within.left || right > within.right;
  }).map((text) => text.textContent);
})`;

describe('the console: statecharts', () => {
  const directory = temporaryDirectories();
  const open = tabs();
  const start = runningServices();

  /** A contained incident, acknowledged and resolved. */
  const resolved = async (service: RunningService): Promise<string> => {
    const { json } = await service.report({ class: 'forbidden_airlock_request', description: 'an unknown host' });
    const { id } = json as { readonly id: string };
    for (const command of ['contain', 'acknowledge', 'resolve'])
      await service.post(`/api/v1/incidents/${command}`, { id });
    return id;
  };

  const widthOf = async (tab: Tab): Promise<number> =>
    (await tab.locator('.statechart').first().boundingBox())?.width ?? 0;

  it('zooms by buttons and keys, and fits the whole chart or the current state', async () => {
    const service = await start(new ServiceHome(directory()));
    const { json } = await service.report({ class: 'tool_call_burst' });
    const tab = await open(addressOf(service, `#/incidents/${json.id}`), { viewport: { width: 360, height: 780 } });
    const current = tab.locator('.statechart .state.current');
    await current.waitFor();
    const isInView = async (): Promise<boolean> => {
      const [view, state] = await Promise.all([tab.locator('.chart-scroll').boundingBox(), current.boundingBox()]);
      return state!.x + state!.width > view!.x && state!.x < view!.x + view!.width;
    };
    // At this width it opens at the current state, in full size.
    expect(await isInView()).to.equal(true);
    const full = await widthOf(tab);
    const tools = tab.getByRole('toolbar', { name: 'Zoom' });
    await tools.getByRole('button', { name: 'Zoom in' }).click();
    await tools.getByText('125 %').waitFor();
    expect(await widthOf(tab)).to.be.closeTo(full * 1.25, 1);
    await tab.locator('.chart-scroll').focus();
    await tab.keyboard.press('0');
    await tools.getByText('100 %').waitFor();
    await tab.keyboard.press('-');
    await tools.getByText('80 %').waitFor();
    await tools.getByRole('button', { name: 'Fit', exact: true }).click();
    const view = await tab.locator('.chart-scroll').boundingBox();
    expect(await widthOf(tab)).to.be.at.most(view!.width);
    await tools.getByRole('button', { name: 'Fit current state' }).click();
    await tab.waitForFunction(
      `document.querySelector('.statechart .state.current').getBoundingClientRect().width > 100`,
    );
    expect(await isInView()).to.equal(true);
    expect(await violations(tab)).to.deep.equal([]);
    expect(await tab.evaluate('document.documentElement.scrollWidth - innerWidth'), 'overhang').to.equal(0);
  });

  it('steps through what happened and plays it, by buttons and keys', async () => {
    const service = await start(new ServiceHome(directory()));
    const id = await resolved(service);
    const tab = await open(addressOf(service, `#/incidents/${id}`));
    const replay = tab.getByRole('group', { name: 'Go through what happened' });
    const at = (count: number) => replay.getByText(`${count} of 5`).waitFor();
    await at(5);
    expect(await replay.getByRole('button', { name: 'Step on' }).isDisabled()).to.equal(true);
    await replay.getByRole('button', { name: 'Step back' }).click();
    await at(4);
    await tab.locator('.statechart .state.current', { hasText: 'acknowledged' }).waitFor();
    await tab.locator('main').focus();
    await tab.keyboard.press(',');
    await at(3);
    await tab.keyboard.press('.');
    await at(4);
    // It plays to the end, and then from the report.
    await tab.keyboard.press('p');
    await at(5);
    await replay.getByRole('button', { name: 'Play' }).waitFor();
    const began = Date.now();
    await replay.getByRole('button', { name: 'Play' }).click();
    await at(1);
    await tab.locator('.statechart .state.current', { hasText: 'open' }).waitFor();
    await replay.getByRole('button', { name: 'Pause' }).waitFor();
    await at(5);
    expect(Date.now() - began, '600 ms a step').to.be.at.least(4 * 600 - 50);
    await replay.getByRole('button', { name: 'Play' }).click();
    await at(2);
    await replay.getByRole('button', { name: 'Pause' }).click();
    await replay.getByRole('button', { name: 'Play' }).waitFor();
  });

  it('does not play by itself where the reader wants no motion', async () => {
    const service = await start(new ServiceHome(directory()));
    const id = await resolved(service);
    const tab = await open(addressOf(service, `#/incidents/${id}`), { reducedMotion: 'reduce' });
    const replay = tab.getByRole('group', { name: 'Go through what happened' });
    await replay.getByText('5 of 5').waitFor();
    expect(await replay.getByRole('button', { name: 'Play' }).isDisabled()).to.equal(true);
    await tab.keyboard.press(',');
    await replay.getByText('4 of 5').waitFor();
    await tab.keyboard.press('p');
    await tab.evaluate('new Promise((done) => setTimeout(done, 900))');
    await replay.getByText('4 of 5').waitFor();
  });

  it('marks the path, what is possible, and the actions that the rule names', async () => {
    const service = await start(new ServiceHome(directory()));
    const { json } = await service.report({ class: 'tool_call_burst' });
    const tab = await open(addressOf(service, `#/incidents/${json.id}`));
    const chart = tab.locator('.statechart');
    await chart.locator('.state.around[data-state=contained]').waitFor();
    await chart.locator('.label.taken[data-transition~="open:always"]').waitFor();
    await chart.locator('.edge.tail.taken[data-transition~="open:always"]').waitFor({ state: 'attached' });
    await chart.locator('.label.possible[data-transition~="contained:acknowledge"]').waitFor();
    await chart.locator('.internal.possible[data-transition="contained:recur"]').waitFor();
    expect(await chart.locator('.chip.aside[data-action=freeze_agent]').count()).to.equal(0);
    expect(await chart.locator('.chip.aside[data-action=force_vault_relock]').count()).to.equal(2);
    await tab.getByText('The chart in words').click();
    await tab.getByText('open to contained: [containsByItself] (taken)').waitFor();
  });

  it('traces the lines of a label, and those that leave a state', async () => {
    const service = await start(new ServiceHome(directory()));
    const tab = await open(addressOf(service, '#/statecharts'));
    const chart = tab.locator('.statechart').first();
    const traced = (kind: string): Promise<number> => chart.locator(`.${kind}.traced`).count();
    await chart.locator('.label[data-transition~="open:resolve"]').hover();
    await chart.locator('.edge.head.traced[data-transition~="open:resolve"]').waitFor({ state: 'attached' });
    expect([await traced('tail'), await traced('head'), await traced('label')]).to.deep.equal([3, 1, 1]);
    await tab.getByRole('link', { name: /^acknowledged/ }).focus();
    await chart.locator('.edge.tail.traced[data-transition="acknowledged:contain"]').waitFor({ state: 'attached' });
    expect(await chart.locator('.edge.tail.traced:not([data-from=acknowledged])').count()).to.equal(0);
  });

  it('counts what is in each state, live', async () => {
    const service = await start(new ServiceHome(directory()));
    const tab = await open(addressOf(service, '#/statecharts'));
    await tab.getByRole('link', { name: /^open\s*0$/ }).waitFor();
    const { json } = await service.report({ class: 'forbidden_airlock_request' });
    await tab.getByRole('link', { name: /^open\s*1$/ }).waitFor();
    await service.post('/api/v1/incidents/acknowledge', { id: json.id });
    await tab.getByRole('link', { name: /^acknowledged\s*1$/ }).waitFor();
    await service.report({ class: 'tool_call_burst' });
    await tab.locator('[data-state="contained.delivering"] .count', { hasText: '1' }).waitFor();
    await service.post('/api/v1/containment/confirm', { action: 'freeze_agent', directive: 'engage' });
    await tab.locator('[data-state="contained.confirmed"] .count', { hasText: '1' }).waitFor();
  });

  it('keeps its words inside their boxes in the type that the reader has', async () => {
    const service = await start(new ServiceHome(directory()));
    const tab = await open(addressOf(service, '#/statecharts'));
    await tab.locator('[data-state="superseded"]').waitFor();
    expect(await tab.evaluate(STICKING_OUT)).to.deep.equal([]);
  });
});
