import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { RecorderError } from '../../src/errors.ts';
import { parsePolicy } from '../../src/policy/parse.ts';
import type { PolicyFault } from '../../src/policy/policy.ts';
import { parseTargetUrl, staysHere } from '../../src/policy/target-url.ts';
import { channelOf } from '../../src/policy/targets.ts';
import { ROOT } from '../support/running-service.ts';

/** The faults of a policy as `line: place: message`; none when it is accepted. */
const faultsOf = (text: string, allowNonLoopback = false): readonly string[] => {
  try {
    parsePolicy(text, 'policy.yaml', allowNonLoopback);
    return [];
  } catch (error) {
    if (!(error instanceof RecorderError) || error.code !== 'invalid_policy') throw error;
    return (error.fields['faults'] as readonly PolicyFault[]).map(({ line, message }) => `${line}: ${message}`);
  }
};

const freeze = (...lines: readonly string[]): string =>
  ['version: 1', 'targets:', '  freeze_agent:', ...lines.map((line) => `    ${line}`), ''].join('\n');
const engageAt = (url: string): string => freeze(`engage: { url: ${JSON.stringify(url)}, action: freeze }`);
const notify = (...lines: readonly string[]): string =>
  ['version: 1', 'notify:', ...lines.map((line) => `  ${line}`), ''].join('\n');

const ENGAGE = 'engage: { url: "http://127.0.0.1:1/", action: freeze }';
const BROKER = 'broker: { requests: /requests, results: /results, action: relock }';

describe('the targets of a policy', () => {
  it('are none when it names none', () => {
    for (const text of ['version: 1', 'version: 1\ntargets: {}\nnotify: []\n']) {
      expect(parsePolicy(text, 'policy.yaml')).to.deep.include({ targets: {}, notify: [] });
    }
  });

  it('come out as they are written, with times in milliseconds', () => {
    const { targets } = parsePolicy(
      freeze(
        'engage:  { url: "unix:/run/agent.sock:/api/v1/freeze", action: freeze }',
        'release: { url: "http://[::1]:8490/thaw?soon=1", action: thaw }',
        'token_path: /run/agent.token',
        'timeout: 500ms',
        'confirm_every: 2m',
        'final: [404, 422]',
      ),
      'policy.yaml',
    );
    expect(targets).to.deep.equal({
      freeze_agent: {
        engage: {
          url: {
            kind: 'unix',
            text: 'unix:/run/agent.sock:/api/v1/freeze',
            socket: '/run/agent.sock',
            path: '/api/v1/freeze',
          },
          action: 'freeze',
        },
        release: {
          url: { kind: 'tcp', text: 'http://[::1]:8490/thaw?soon=1', host: '::1', port: 8490, path: '/thaw?soon=1' },
          action: 'thaw',
        },
        token_path: '/run/agent.token',
        timeout: 500,
        confirm_every: 120_000,
        final: [404, 422],
      },
    });
    expect(channelOf(targets, 'freeze_agent', 'engage')).to.equal('push');
    expect(channelOf(targets, 'disable_airlock', 'engage')).to.equal('poll');
  });

  it('may be released by hand, with a request or a broker to engage', () => {
    for (const way of [ENGAGE, BROKER]) {
      const { targets } = parsePolicy(freeze(way, 'release: manual'), 'policy.yaml');
      expect(targets.freeze_agent).to.include({ release: 'manual' });
      expect(channelOf(targets, 'freeze_agent', 'engage')).to.equal('push');
      expect(channelOf(targets, 'freeze_agent', 'release')).to.equal('manual');
    }
  });

  it('that the shipped policy shows as comments are valid without the comment signs', () => {
    const shipped = readFileSync(join(ROOT, 'policy/incident-containment.yaml'), 'utf8');
    const shown = shipped.replace(/^# ((?:targets|notify):(?:\n#(?: .*)?)*)/gm, (block) => block.replace(/^# ?/gm, ''));
    const { targets, notify: webhooks } = parsePolicy(shown, 'policy.yaml');
    expect(targets).to.have.all.keys('freeze_agent', 'disable_airlock', 'quarantine_model', 'force_vault_relock');
    expect(targets.freeze_agent?.engage).to.deep.include({ action: 'freeze' });
    expect(targets.freeze_agent?.engage?.url).to.include({ kind: 'unix', path: '/api/v1/freeze' });
    expect(targets.disable_airlock?.engage?.url).to.include({ port: 8490, path: '/api/v1/disable' });
    expect(targets.quarantine_model?.engage?.url).to.include({ port: 8470, path: '/api/v1/quarantine' });
    expect(targets.force_vault_relock?.broker).to.deep.equal({
      requests: '/run/secure-ai/vault-control/requests',
      results: '/run/secure-ai/vault-control/results',
      action: 'relock',
    });
    expect(webhooks.map(({ format }) => format)).to.deep.equal([undefined, 'alertmanager']);
  });

  for (const [what, text, fault] of [
    [
      'targets that are a list',
      'version: 1\ntargets: [freeze_agent]\n',
      /^2: targets: must be a mapping of freeze_agent/,
    ],
    [
      'an action that there is not',
      'version: 1\ntargets:\n  freeze_agnet: {}\n',
      /^3: .*unknown action with a target "freeze_agnet" \(did you mean freeze_agent\?\); allowed: freeze_agent, /,
    ],
    ['log_alert, which nobody carries out', 'version: 1\ntargets:\n  log_alert: {}\n', /^3: .*"log_alert"/],
    [
      'a target that is no mapping',
      'version: 1\ntargets:\n  freeze_agent: yes\n',
      /^3: targets\.freeze_agent: must be a/,
    ],
    ['an unknown key', freeze(ENGAGE, 'retries: 3'), /^5: .*unknown key "retries"; allowed: engage, release, /],
    [
      'an unknown key in engage',
      freeze('engage:', '  url: "http://127.0.0.1:1/"', '  action: x', '  method: GET'),
      /^7: .*"method"/,
    ],
    ['an engage without url', freeze('engage: { action: freeze }'), /^4: targets\.freeze_agent\.engage.*must be http/],
    [
      'an engage without action',
      freeze('engage: { url: "http://127.0.0.1:1/" }'),
      /^4: .*the word that the service knows/,
    ],
    [
      'an action of several words',
      freeze('engage: { url: "http://127.0.0.1:1/", action: "freeze it" }'),
      /^4: .*1 to 64 letters/,
    ],
    [
      'a release without engage',
      freeze('release: { url: "http://127.0.0.1:1/", action: x }'),
      /^4: .*release: needs engage/,
    ],
    ['a broker beside engage', freeze(ENGAGE, BROKER), /^5: .*broker.*can't be combined with engage/],
    [
      'a broker without directories',
      freeze('broker: { results: /results, action: relock }'),
      /^4: .*broker\.requests: must be an absolute path/,
    ],
    [
      'a broker in a relative directory',
      freeze('broker: { requests: requests, results: /r, action: x }'),
      /^4: .*absolute path/,
    ],
    ['a token without engage', freeze(BROKER, 'token_path: /token'), /^5: .*token_path: needs engage/],
    ['a relative token_path', freeze(ENGAGE, 'token_path: token'), /^5: .*token_path: must be an absolute path/],
    ['a timeout with nothing to send', freeze('timeout: 5s'), /^4: .*timeout: needs engage or broker/],
    ['a timeout without unit', freeze(ENGAGE, 'timeout: 5'), /^5: .*timeout: must be a time from 100ms to 120s/],
    ['a timeout that is too short', freeze(ENGAGE, 'timeout: 99ms'), /^5: .*from 100ms to 120s/],
    ['a timeout that is too long', freeze(ENGAGE, 'timeout: 121s'), /^5: .*from 100ms to 120s/],
    ['a timeout of parts', freeze(ENGAGE, 'timeout: 1.5s'), /^5: .*found the text "1\.5s"/],
    [
      'a period that is too short',
      freeze(ENGAGE, 'confirm_every: 999ms'),
      /^5: .*confirm_every: must be a time from 1s to 24h/,
    ],
    ['a proof without a token', freeze(ENGAGE, 'prove: true'), /^5: .*prove: needs token_path/],
    [
      'a proof of a webhook without a token',
      notify('- { url: "http://127.0.0.1:1/", prove: true }'),
      /^3: .*prove: needs token_path/,
    ],
    [
      'a proof that is a text',
      freeze(ENGAGE, 'token_path: /t', 'prove: "yes"'),
      /^6: .*prove: must be true or false, found /,
    ],
    [
      'a final status of success',
      freeze(ENGAGE, 'final: [400, 202]'),
      /^5: .*final\[1\]: must be a status from 300 to 599/,
    ],
    ['a final status that is none', freeze(ENGAGE, 'final: [4xx]'), /^5: .*final\[0\]: must be a status/],
    ['final that is no list', freeze(ENGAGE, 'final: 400'), /^5: .*final: must be a list of statuses/],
    ['final without engage', freeze(BROKER, 'final: [400]'), /^5: .*final: needs engage/],
    [
      'a release by another word than manual',
      freeze(ENGAGE, 'release: never'),
      /^5: targets\.freeze_agent\.release: must be \{url, action\}, or manual .*, found the text "never"/,
    ],
    ['a release by hand without a target', freeze('release: manual'), /^4: .*release: needs engage or broker/],
    [
      'a release with a faulty url',
      freeze(ENGAGE, 'release: { url: nowhere, action: thaw }'),
      /^5: targets\.freeze_agent\.release\.url: must be http/,
    ],
    ['a status of success in done_when', freeze(ENGAGE, 'done_when: [204]'), /^5: .*done_when\[0\]: must be a status/],
    ['done_when that is no list', freeze(ENGAGE, 'done_when: 404'), /^5: .*done_when: must be a list.*such as \[404\]/],
    ['done_when without engage', freeze(BROKER, 'done_when: [404]'), /^5: .*done_when: needs engage/],
    [
      'a status that is both a failure and done',
      freeze(ENGAGE, 'final: [400, 404]', 'done_when: [404]'),
      /^6: .*done_when: lists 404, which final lists as a failure/,
    ],
    ['a period that is too long', freeze(ENGAGE, 'confirm_every: 25h'), /^5: .*from 1s to 24h/],
    [
      'webhooks that are a mapping',
      'version: 1\nnotify: { url: "http://127.0.0.1:1/" }\n',
      /^2: notify: must be a list of webhooks/,
    ],
    [
      'a webhook with a query',
      notify('- url: "http://127.0.0.1:1/hook?token=secret"'),
      /^3: notify\[0\]\.url: must have no query: a secret belongs into the file that token_path names$/,
    ],
    ['a webhook without url', notify('- events: [alert.raised]'), /^3: notify\[0\].*must be http/],
    [
      'a webhook with an unknown key',
      notify('- url: "http://127.0.0.1:1/"', '  method: GET'),
      /^4: notify\[0\].*"method"/,
    ],
    [
      'an event that there is not',
      notify('- url: "http://127.0.0.1:1/"', '  events: [alert.risen]'),
      /^4: notify\[0\]\.events\[0\]: unknown event "alert\.risen"/,
    ],
    ['no events', notify('- url: "http://127.0.0.1:1/"', '  events: []'), /^4: .*must name an event/],
    [
      'events that are no list',
      notify('- url: "http://127.0.0.1:1/"', '  events: alert.raised'),
      /^4: .*must be a list of events/,
    ],
    [
      'a webhook twice',
      notify('- url: "http://127.0.0.1:1/"', '- url: "http://127.0.0.1:1/"'),
      /^4: notify\[1\]\.url: is listed before/,
    ],
    [
      'five webhooks',
      notify(...[1, 2, 3, 4, 5].map((port) => `- url: "http://127.0.0.1:${port}/"`)),
      /^\d: notify: must have at most 4 webhooks/,
    ],
  ] as const) {
    it(`are refused for ${what}, with its line`, () => {
      const faults = faultsOf(text);
      expect(faults).to.have.length(1);
      expect(faults[0]).to.match(fault);
    });
  }

  describe('in the form of the appliance', () => {
    const alerting = (...lines: readonly string[]): string =>
      ['version: 1', 'alerting:', ...lines.map((line) => `  ${line}`), ''].join('\n');

    it('may name webhooks that receive alerts', () => {
      const { notify: webhooks } = parsePolicy(
        alerting(
          'webhooks:',
          '- url: "http://127.0.0.1:9090/api/alerts"',
          '  events: ["escalation", "containment"]',
          '- { url: "http://127.0.0.1:9091/", events: [], token_path: /run/token }',
        ),
        'policy.yaml',
      );
      expect(
        webhooks.map(({ url, alerts, events, token_path }) => [url.text, alerts, events, token_path]),
      ).to.deep.equal([
        ['http://127.0.0.1:9090/api/alerts', ['containment', 'escalation'], undefined, undefined],
        ['http://127.0.0.1:9091/', ['containment', 'escalation', 'recovery'], undefined, '/run/token'],
      ]);
    });

    for (const text of ['alerting:\n  webhooks: []\n', 'alerting:\n', 'alerting: {}\n', 'alerting:\n  webhooks:\n']) {
      it(`may name none: ${JSON.stringify(text)}`, () => {
        const policy = parsePolicy(`version: 1\n${text}`, 'policy.yaml');
        expect(policy).to.deep.equal(parsePolicy('version: 1\n', 'policy.yaml'));
      });
    }

    const webhooks = (...ports: readonly number[]): readonly string[] =>
      ports.map((port) => `- url: "http://127.0.0.1:${port}/"`);
    for (const [what, text, fault] of [
      ['an unknown key', alerting('hooks: []'), /^3: alerting.*unknown key "hooks".*; allowed: webhooks/],
      [
        'an unknown event',
        alerting('webhooks: [{ url: "http://127.0.0.1:1/", events: [containmnt] }]'),
        /^3: alerting\.webhooks\[0\]\.events\[0\]: unknown event "containmnt" \(did you mean containment\?\)/,
      ],
      [
        'a host that is not this one',
        alerting('webhooks: [{ url: "http://hooks.example.com/secai", events: [] }]'),
        /^3: alerting\.webhooks\[0\]\.url: is not on this machine .*ALLOW_NON_LOOPBACK=1/,
      ],
      ['a query', alerting('webhooks: [{ url: "http://127.0.0.1:1/?a=b" }]'), /^3: .*url: must have no query/],
      [
        'a webhook that notify names',
        `${alerting('webhooks:', ...webhooks(1))}notify: [{ url: "http://127.0.0.1:1/" }]\n`,
        /^4: alerting\.webhooks\[0\]\.url: is listed before/,
      ],
      [
        'five webhooks together',
        `${alerting('webhooks:', ...webhooks(1, 2, 3))}notify: [{ url: "http://127.0.0.1:4/" }, { url: "http://127.0.0.1:5/" }]\n`,
        /^3: alerting\.webhooks: must have at most 4 webhooks together with notify/,
      ],
      [
        'a proof without a token',
        alerting('webhooks: [{ url: "http://127.0.0.1:1/", prove: true }]'),
        /^3: alerting\.webhooks\[0\]\.prove: needs token_path/,
      ],
    ] as const) {
      it(`is refused for ${what}, with its line`, () => {
        const faults = faultsOf(text);
        expect(faults).to.have.length(1);
        expect(faults[0]).to.match(fault);
      });
    }
  });

  it('are refused with all their faults at once', () => {
    const faults = faultsOf(freeze('release: { url: nowhere, action: x }', 'timeout: soon', 'confirmed: 1s'));
    expect(faults.map((fault) => fault.split(':')[0])).to.deep.equal(['4', '4', '5', '5', '6']);
  });

  for (const url of [
    'freeze',
    'https://127.0.0.1/',
    'http://',
    'http://127.0.0.1:99999/',
    'http://user@127.0.0.1/',
    'http://127.0.0.1/#part',
    'ftp://127.0.0.1/',
    'unix:agent.sock:/api',
    'unix:/run/agent.sock',
    'unix:/run/agent.sock:api',
    `unix:/${'a'.repeat(107)}:/api`,
    'unix:/run/agent.sock:/a b',
    'unix:/run/agent.sock:/a\r\nb',
    `http://127.0.0.1/${'a'.repeat(1024)}`,
  ]) {
    it(`are refused for the url ${JSON.stringify(url.slice(0, 40))}`, () => {
      const faults = faultsOf(engageAt(url));
      expect(faults).to.have.length(1);
      expect(faults[0]).to.match(/^4: targets\.freeze_agent\.engage\.url: must be http:.* or unix:/);
    });
  }

  for (const [url, here] of [
    ['http://127.0.0.1:1/', true],
    ['http://127.8.9.10/', true],
    ['http://[::1]:80/', true],
    ['http://localhost:1/', true],
    ['http://LOCALHOST/', true],
    ['unix:/run/a.sock:/', true],
    ['http://0.0.0.0:1/', false],
    ['http://10.0.0.1:1/', false],
    ['http://128.0.0.1/', false],
    ['http://[::]/', false],
    ['http://[fe80::1]/', false],
    ['http://example.org/', false],
    ['http://localhost.example.org/', false],
    ['http://127.0.0.1.example.org/', false],
  ] as const) {
    it(`${here ? 'may' : 'may not without ALLOW_NON_LOOPBACK=1'} be at ${url}`, () => {
      const release = freeze(ENGAGE, `release: { url: ${JSON.stringify(url)}, action: thaw }`);
      for (const [text, line] of [
        [engageAt(url), 4],
        [release, 5],
        [notify(`- url: ${JSON.stringify(url)}`), 3],
      ] as const) {
        const faults = faultsOf(text);
        if (here) expect(faults).to.deep.equal([]);
        else expect(faults[0]).to.match(new RegExp(`^${line}: .*url: is not on this machine .*ALLOW_NON_LOOPBACK=1`));
        expect(faultsOf(text, true)).to.deep.equal([]);
      }
    });
  }

  it('are refused only with a RecorderError, whatever they are', () => {
    const words = ['freeze_agent', 'engage', 'broker', 'url', 'action', 'events', 'timeout', 'http://127.0.0.1/', '5s'];
    const key = fc.oneof(fc.constantFrom(...words), fc.string());
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 5 },
        key,
        fc.constantFrom(null, true, 1, -0.5),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
      ),
    }));
    fc.assert(
      fc.property(fc.constantFrom('targets', 'notify'), value, (section, said) => {
        faultsOf(`version: 1\n${section}: ${JSON.stringify(said)}\n`);
      }),
      { numRuns: 1000 },
    );
  });

  it('parse any URL to the place that it names, or to nothing', () => {
    const part = fc.constantFrom(
      'http://',
      'unix:',
      '/',
      ':',
      '127.0.0.1',
      '2130706433',
      '0x7f.1',
      '@',
      '#',
      '?',
      '[::1]',
      '80',
      'a',
      '\\',
      '%00',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        const url = parseTargetUrl(parts.join(''));
        if (url === undefined) return;
        expect(url.path).to.match(/^\/[\x21-\x7e]*$/);
        if (url.kind === 'unix') expect(url.socket.startsWith('/')).to.equal(true);
        else if (staysHere(url)) expect(url.host).to.match(/^127\.|^::1$|^localhost$/);
      }),
      { numRuns: 2000 },
    );
  });
});
