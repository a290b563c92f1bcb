import { expect } from 'chai';
import { digestPolicy } from '../../src/policy/digest.ts';
import { policyDocument } from '../../src/policy/document.ts';
import { RecorderError } from '../../src/errors.ts';
import { parsePolicy } from '../../src/policy/parse.ts';
import { partsOf, removedParts } from '../../src/policy/parts.ts';
import type { Policy, PolicyFault } from '../../src/policy/policy.ts';

const LOCAL = 'url: "http://127.0.0.1:9/"';
const policy = (webhook: string): string => `version: 1\nnotify:\n  - { ${webhook} }\n`;

const faultsOf = (webhook: string): readonly string[] => {
  try {
    parsePolicy(policy(webhook), 'policy.yaml', true);
    return [];
  } catch (error) {
    if (!(error instanceof RecorderError) || error.code !== 'invalid_policy') throw error;
    return (error.fields['faults'] as readonly PolicyFault[]).map(({ message }) => message);
  }
};

describe('a webhook with a format', () => {
  it('has what it says, with times in milliseconds', () => {
    const { notify } = parsePolicy(
      policy(
        'url: "https://hooks.slack.com/", format: slack, url_path: /etc/slack, ca_path: /etc/ca.pem, severity: high, ' +
          'class: [prompt_injection], send_resolved: false, drills: true, console_url: "https://console.example/", ' +
          'group_by: [class], group_wait: 0s, group_interval: 1m, repeat_interval: 30m',
      ),
      'policy.yaml',
      true,
    );
    const { url, ...rest } = notify[0]!;
    expect(url.text).to.equal('https://hooks.slack.com/');
    expect(rest).to.deep.equal({
      format: 'slack',
      url_path: '/etc/slack',
      ca_path: '/etc/ca.pem',
      severity: 'high',
      class: ['prompt_injection'],
      send_resolved: false,
      drills: true,
      console_url: 'https://console.example/',
      group_by: ['class'],
      group_wait: 0,
      group_interval: 60_000,
      repeat_interval: 1_800_000,
    });
  });

  it('may name one class as a word', () => {
    const { notify } = parsePolicy(policy(`${LOCAL}, format: slack, class: prompt_injection`), 'policy.yaml');
    expect(notify[0]?.class).to.deep.equal(['prompt_injection']);
  });

  for (const webhook of [
    `${LOCAL}, format: entry, events: [incident.reported], heartbeat: 60s`,
    `${LOCAL}, format: pagerduty, routing_key_path: /k, group_wait: 30s, repeat_interval: 0s, severity: [critical, low]`,
    `${LOCAL}, format: alertmanager, send_resolved: true, token_path: /t, prove: true`,
    `url: "unix:/run/relay.sock:/slack", format: slack, url_path: /p`,
  ]) {
    it(`is taken: ${webhook}`, () => {
      expect(faultsOf(webhook)).to.deep.equal([]);
    });
  }

  for (const [webhook, fault] of [
    [`${LOCAL}, format: slak`, /unknown format "slak" \(did you mean slack\?\); allowed: entry, slack, pagerduty/],
    [`${LOCAL}, severity: high`, /severity: is for format: slack or pagerduty or alertmanager, .* has entry/],
    [`${LOCAL}, format: entry, group_wait: 5s`, /group_wait: is for format: slack or pagerduty/],
    [
      `${LOCAL}, format: slack, events: [incident.reported]`,
      /events: is for format: entry, and this webhook has slack/,
    ],
    [`${LOCAL}, format: slack, heartbeat: 60s`, /heartbeat: is for format: entry/],
    [`${LOCAL}, format: slack, routing_key_path: /k`, /routing_key_path: is for format: pagerduty/],
    [`${LOCAL}, format: pagerduty`, /routing_key_path: is missing/],
    [`${LOCAL}, format: pagerduty, routing_key_path: /k, group_by: [class]`, /group_by: is for format: slack/],
    [`${LOCAL}, format: alertmanager, repeat_interval: 1h`, /repeat_interval: is for format: slack or pagerduty/],
    [`${LOCAL}, format: slack, severity: hihg`, /severity: .*critical, high, medium, low/],
    [`${LOCAL}, format: slack, class: [prompt_injektion]`, /class\[0\]: unknown class/],
    [`${LOCAL}, format: slack, class: []`, /class: must name a class/],
    [`${LOCAL}, format: slack, group_by: [description]`, /group_by\[0\]: unknown group_by/],
    [`${LOCAL}, format: slack, group_wait: 2h`, /group_wait: must be a time from 0s to 1h/],
    [`${LOCAL}, format: slack, console_url: "javascript:alert(1)"`, /console_url: must be the http or https URL/],
    [`${LOCAL}, format: slack, console_url: "https://console.example/|x>"`, /console_url: must be/],
    ['url: "http://192.0.2.1/", format: slack, url_path: /p', /url_path: needs an https url/],
    ['url: "http://192.0.2.1/", format: pagerduty, routing_key_path: /p', /routing_key_path: needs an https url/],
  ] as const) {
    it(`is refused: ${webhook}`, () => {
      const faults = faultsOf(webhook);
      expect(faults).to.have.length(1);
      expect(faults[0]).to.match(fault);
    });
  }

  it('shows what it says, and none of the paths of its secrets', () => {
    const content = parsePolicy(
      policy(
        `${LOCAL}, format: pagerduty, routing_key_path: /the/key, url_path: /the/path, severity: high, ca_path: /ca`,
      ),
      'policy.yaml',
    );
    const loaded = { ...content, source: 'file', digest: '', parts: [], loaded_at: '', path: undefined } as Policy;
    expect(policyDocument(loaded).notify).to.deep.equal([
      { url: 'http://127.0.0.1:9/', format: 'pagerduty', severity: 'high' },
    ]);
  });

  it('leaves the digest of a policy without these keys what it was, and is named among the parts of one with them', () => {
    const plain = `${LOCAL}, events: [incident.contained], heartbeat: 60s, token_path: /t`;
    const content = parsePolicy(policy(plain.replace('9/', '9090/alerts')), 'policy.yaml');
    expect(digestPolicy(content)).to.equal('efbcddc3bf13a4d13a53e52efcaa5d1ca95d73774dac217d2d4dc17d503987cd');
    const [before, after] = ['send_resolved: true, severity: high', 'severity: low'].map((keys) =>
      parsePolicy(policy(`${LOCAL}, format: slack, ${keys}`), 'policy.yaml'),
    );
    expect(digestPolicy(before!)).to.not.equal(digestPolicy(after!));
    expect(removedParts(partsOf(before!, []), partsOf(after!, []))).to.deep.equal([
      'notify.http://127.0.0.1:9/.send_resolved',
    ]);
  });
});
