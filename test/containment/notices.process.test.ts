import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'chai';
import { runningServices, ServiceHome } from '../support/running-service.ts';
import { listeningTargets } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('notices of a service that is killed', () => {
  const directory = temporaryDirectories();
  const start = runningServices();
  const listen = listeningTargets();

  it('are sent by the next one, those that were sent before not again, and each says how the incident is then', async () => {
    const slack = await listen();
    const pagerduty = await listen();
    const home = new ServiceHome(directory());
    const at = (name: string): string => join(home.directory, name);
    writeFileSync(at('routing-key'), '0123456789abcdef0123456789abcdef', { mode: 0o600 });
    const webhooks = [
      `{ url: "${slack.url('/')}", format: slack, group_wait: 2s, group_interval: 1s }`,
      `{ url: "${pagerduty.url('/')}", format: pagerduty, routing_key_path: ${at('routing-key')}, group_wait: 2s }`,
    ];
    writeFileSync(at('policy.yaml'), `version: 1\nnotify: [${webhooks.join(', ')}]\n`);
    const env = { CONTAINMENT_POLICY_PATH: at('policy.yaml') };
    const first = await start(home, { env });
    const told = (await first.report({ source: 'told' })).json.id;
    await slack.receives(1);
    await pagerduty.receives(1);
    // Until the message is on record; then it is not sent again.
    while (!readFileSync(home.log, 'utf8').includes('"groups":')) await setTimeout(20);
    const waiting = (await first.report({ source: 'waiting' })).json.id;
    await first.end('SIGKILL');
    expect(slack.received).to.have.length(1);

    const second = await start(home, { env });
    await slack.receives(2);
    const headers = slack.received.map(({ body }) => body.blocks[0].text.text);
    expect(headers).to.deep.equal(['1 new: prompt_injection from told', '1 new: prompt_injection from waiting']);
    while (!pagerduty.received.some(({ body }) => body.dedup_key === waiting)) {
      await pagerduty.receives(pagerduty.received.length + 1);
    }
    await second.post('/api/v1/incidents/resolve', { id: told });
    while (!pagerduty.received.some(({ body }) => body.event_action === 'resolve')) {
      await pagerduty.receives(pagerduty.received.length + 1);
    }
    expect(pagerduty.received.at(-1)?.body).to.include({ event_action: 'resolve', dedup_key: told });
    await slack.receives(3);
    expect(slack.received[2]?.body.blocks[0].text.text).to.equal('1 resolved: prompt_injection from told');
    await second.end();
    await home.expectSound();
  });
});
