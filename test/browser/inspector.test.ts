import { createInspector } from '@statelyai/inspect';
import { expect } from 'chai';
import { createActor } from 'xstate';
import { incidentMachine } from '../../machines/incident.ts';
import { InspectorRelay } from '../../src/inspect/relay.ts';
import { forgive, tabs } from './support/browser.ts';

describe('the page of the inspector', () => {
  const open = tabs();
  let relay: InspectorRelay;
  beforeEach(async () => {
    relay = await InspectorRelay.listen(0);
  });
  afterEach(() => relay.close());

  it('lists the actors live, and says what it cannot show without stately.ai', async () => {
    const inspector = createInspector({ send: (event) => relay.send(event) });
    inspector.start();
    const { inspect } = inspector;
    const actor = createActor(incidentMachine, {
      id: 'INC-20261122-4f2a9c01d3e8',
      input: { auto_contain: true, actions: ['freeze_agent'] },
      inspect,
    }).start();

    const tab = await open(`${relay.url}nothing`);
    await tab.context().route('https://stately.ai/**', (route) => route.abort());
    await tab.goto(relay.url);
    const row = tab.getByRole('row', { name: actor.id });
    await row.getByText('contained.delivering').waitFor();
    actor.send({ type: 'delivery', action: 'freeze_agent', standing: 'confirmed' });
    await row.getByText('contained.confirmed').waitFor();
    actor.send({ type: 'resolve' });
    await row.getByText('resolved').waitFor();
    await tab.getByRole('status').getByText('stately.ai does not answer').waitFor();
    expect(await tab.locator('iframe').isVisible()).to.equal(false);
    for (const reason of ['stately.ai', 'status of 404', 'net::ERR_FAILED']) forgive(tab, reason);
  });

  it('frames the inspector of stately.ai as soon as that answers', async () => {
    const tab = await open(`${relay.url}nothing`);
    const inspector = `<script>
      addEventListener('message', ({ data }) => (document.body.textContent += data.name));
      parent.postMessage({ type: '@statelyai.connected' }, '*');
    </script><body></body>`;
    await tab
      .context()
      .route('https://stately.ai/**', (route) => route.fulfill({ contentType: 'text/html', body: inspector }));
    relay.send({ type: '@xstate.actor', sessionId: 'x:0', name: 'before' } as never);
    await tab.goto(relay.url);
    await tab.frameLocator('iframe').getByText('before').waitFor();
    relay.send({ type: '@xstate.actor', sessionId: 'x:1', name: ' and after' } as never);
    await tab.frameLocator('iframe').getByText('before and after').waitFor();
    for (const reason of ['stately.ai', 'status of 404']) forgive(tab, reason);
  });
});
