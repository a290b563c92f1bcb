import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'chai';
import { localServices } from '../support/local-service.ts';
import { ServiceHome } from '../support/running-service.ts';
import { listeningTargets } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('a silenced incident', () => {
  const directory = temporaryDirectories();
  const start = localServices();
  const listen = listeningTargets();

  const prepare = async () => {
    const [slack, pagerduty, alertmanager, entry] = await Promise.all([listen(), listen(), listen(), listen()]);
    const home = new ServiceHome(directory());
    const at = (name: string): string => join(home.directory, name);
    writeFileSync(at('routing-key'), '0123456789abcdef0123456789abcdef', { mode: 0o600 });
    const webhooks = [
      `{ url: "${slack.url('/')}", format: slack, group_wait: 0s, group_interval: 0s }`,
      `{ url: "${pagerduty.url('/')}", format: pagerduty, routing_key_path: ${at('routing-key')} }`,
      `{ url: "${alertmanager.url('/')}", format: alertmanager }`,
      `{ url: "${entry.url('/')}", events: [incident.reported] }`,
    ];
    writeFileSync(at('policy.yaml'), `version: 1\nnotify: [${webhooks.join(', ')}]\n`);
    const env = { CONTAINMENT_POLICY_PATH: at('policy.yaml') };
    const receivers = { slack: slack, pagerduty: pagerduty, alertmanager: alertmanager, entry: entry };
    /** Waits until a receiver has got a text. */
    const gets = async (receiver: keyof typeof receivers, text: string): Promise<void> => {
      while (!JSON.stringify(receivers[receiver].received).includes(text)) await setTimeout(20);
    };
    const got = (receiver: keyof typeof receivers, text: string): boolean =>
      JSON.stringify(receivers[receiver].received).includes(text);
    /** In how many requests a receiver has got a text. */
    const times = (receiver: keyof typeof receivers, text: string): number =>
      receivers[receiver].received.filter(({ body }) => JSON.stringify(body).includes(text)).length;
    /** Waits until it is on record that a receiver was told what was due up to a time. */
    const recordsReminders = async (receiver: keyof typeof receivers, until: string): Promise<void> => {
      const origin = receivers[receiver].url('');
      const isSo = (line: string): boolean => {
        const { event, data } = JSON.parse(line) as {
          event: string;
          data: { url?: string; notices?: { repeated_at: string } };
        };
        const isOf = event === 'notification.delivered' && data.url?.startsWith(origin) === true;
        return isOf && Date.parse(data.notices?.repeated_at ?? '') >= Date.parse(until);
      };
      while (!readFileSync(home.log, 'utf8').split('\n').slice(0, -1).some(isSo)) await setTimeout(20);
    };
    return { home, env, gets, got, times, recordsReminders };
  };
  const notifying = ['slack', 'pagerduty', 'alertmanager'] as const;

  it('goes to webhooks that get entries and to no other, and is told when somebody ends the silence', async () => {
    const { home, env, gets, got } = await prepare();
    const service = await start(home, { env });
    const until = new Date(Date.now() + 3_600_000).toISOString();
    const silence = { class: [], source: ['noisy'], severity: [], until, reason: 'planned work' };
    const { status, json } = await service.post('/api/v1/silences', silence);
    expect(status).to.equal(201);
    const noisy = (await service.report({ source: 'noisy' })).json.id;
    const over = (await service.report({ source: 'noisy' })).json.id;
    const loud = (await service.report({ source: 'loud' })).json.id;
    await service.post('/api/v1/incidents/resolve', { id: over });
    for (const receiver of notifying) await gets(receiver, loud);
    await gets('entry', noisy);
    for (const receiver of notifying) expect(got(receiver, noisy), receiver).to.equal(false);

    await service.post('/api/v1/silences/end', { id: json.id });
    await gets('slack', noisy);
    await gets('pagerduty', noisy);
    expect(got('slack', over)).to.equal(false);
  });

  it('is told when the time of the silence is over while the service does not run', async () => {
    const { home, env, gets, got, times, recordsReminders } = await prepare();
    const first = await start(home, { env });
    const until = new Date(Date.now() + 20_000).toISOString();
    const silence = { class: [], source: ['noisy'], severity: [], until, reason: 'planned work' };
    expect((await first.post('/api/v1/silences', silence)).status).to.equal(201);
    const noisy = (await first.report({ source: 'noisy', severity: 'low' })).json.id;
    await gets('entry', noisy);
    // What comes behind it is sent once it was passed over.
    const plain = (await first.report({ source: 'plain', severity: 'low' })).json.id;
    for (const receiver of notifying) await gets(receiver, plain);
    await first.stop();
    for (const receiver of notifying) expect(got(receiver, noisy), receiver).to.equal(false);
    await setTimeout(Math.max(0, Date.parse(until) - Date.now()));
    const second = await start(home, { env });
    for (const receiver of notifying) await gets(receiver, noisy);
    for (const receiver of ['slack', 'pagerduty'] as const) await recordsReminders(receiver, until);
    await second.stop();
    const third = await start(home, { env });
    const loud = (await third.report({ source: 'loud' })).json.id;
    await gets('slack', loud);
    // More than a turn of the reminders.
    await setTimeout(2500);
    for (const receiver of ['slack', 'pagerduty'] as const) expect(times(receiver, noisy), receiver).to.equal(1);
    await third.stop();
    await home.expectSound();
  });
});
