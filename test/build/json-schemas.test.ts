import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'chai';
import fc from 'fast-check';
import { load } from 'js-yaml';
import { ACTIONS, CLASSES, ROLES, SEVERITIES } from '../../machines/vocabulary.ts';
import { AccessFile } from '../../src/access/access-file.ts';
import { reportSchema } from '../../src/api/incidents/requests.ts';
import { jsonSchemas } from '../../src/build/json-schemas.ts';
import { FORMATS, type Format } from '../../src/domain/notice.ts';
import { KEYS_OF_FORMATS } from '../../src/policy/notice-schema.ts';
import { PolicyFile } from '../../src/policy/schema.ts';
import { ROOT } from '../support/running-service.ts';

const POLICY = 'incident-containment.schema.json';
const REPORT = 'report.schema.json';
const ACCESS = 'incident-access.schema.json';

const textOf = (name: string): string => readFileSync(join(ROOT, 'policy', name), 'utf8');

/** Whether a value is valid according to a shipped schema. */
const validatorOf = (name: string): ((value: unknown) => boolean) =>
  new Ajv2020({ strict: false }).compile(JSON.parse(textOf(name)) as object);

/** Mostly a valid value, sometimes another. */
const mostly = <Value>(valid: fc.Arbitrary<Value>) =>
  fc.oneof({ weight: 60, arbitrary: valid }, { weight: 1, arbitrary: fc.constantFrom(null, 'yes', 7, [], {}, ' ') });

/** An object with some of these members, and sometimes an unknown one. */
const someOf = (members: Readonly<Record<string, fc.Arbitrary<unknown>>>) =>
  fc
    .record({ ...members, unknown: fc.boolean() }, { requiredKeys: [] })
    .chain(({ unknown, ...known }) =>
      fc.nat(30).map((chance) => (chance === 0 && unknown !== undefined ? { ...known, unknown } : known)),
    );

const rule = someOf({
  auto_contain: mostly(fc.boolean()),
  actions: mostly(
    fc.oneof(
      { weight: 9, arbitrary: fc.uniqueArray(fc.constantFrom(...ACTIONS), { minLength: 1 }) },
      { weight: 1, arbitrary: fc.array(fc.constantFrom(...ACTIONS), { maxLength: 3 }) },
    ),
  ),
  default_severity: mostly(fc.constantFrom(...SEVERITIES)),
});

const endpoint = someOf({
  url: fc.constant('http://127.0.0.1:8080/freeze'),
  action: mostly(fc.constant('agent.freeze')),
});
const path = mostly(fc.constant('/run/agent/token'));
const time = mostly(fc.constantFrom('500ms', '5s', '2m'));

const target = someOf({
  engage: endpoint,
  release: fc.oneof(endpoint, mostly(fc.constant('manual'))),
  broker: someOf({ requests: path, results: path, action: fc.constant('freeze') }),
  token_path: path,
  prove: mostly(fc.boolean()),
  timeout: time,
  confirm_every: mostly(fc.constantFrom('5s', '2m', '1h')),
});

/** Mostly the keys of the format, and sometimes others. */
const notices = (format: Format) => {
  const interval = mostly(fc.constantFrom('0s', '30s', '5m'));
  const keys: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
    events: mostly(fc.constant(['incident.reported'])),
    heartbeat: mostly(fc.constant('60s')),
    url_path: path,
    severity: mostly(fc.oneof(fc.constantFrom(...SEVERITIES), fc.uniqueArray(fc.constantFrom(...SEVERITIES)))),
    class: mostly(fc.oneof(fc.constantFrom(...CLASSES), fc.uniqueArray(fc.constantFrom(...CLASSES)))),
    send_resolved: mostly(fc.boolean()),
    drills: mostly(fc.boolean()),
    console_url: fc.constant('https://console.example/'),
    group_by: mostly(fc.constantFrom([], ['class', 'severity'])),
    group_wait: interval,
    group_interval: interval,
    repeat_interval: interval,
  };
  const own = Object.entries(keys).filter(([key]) => KEYS_OF_FORMATS[key]?.includes(format));
  const given = {
    url: fc.constant('http://127.0.0.1:9/hook'),
    format: fc.constant(format),
    ...(format === 'pagerduty' ? { routing_key_path: path } : {}),
  };
  return fc
    .tuple(fc.record(given), someOf(Object.fromEntries(own)), fc.nat(9), someOf(keys))
    .map(([base, some, chance, others]) => ({ ...base, ...some, ...(chance === 0 ? others : {}) }));
};

const policy = fc.record(
  {
    version: mostly(fc.constant(1)),
    rules: mostly(someOf(Object.fromEntries(CLASSES.map((name) => [name, mostly(rule)])))),
    targets: mostly(someOf({ freeze_agent: target, quarantine_model: target })),
    notify: mostly(
      fc.array(
        fc.oneof(
          someOf({ url: fc.constant('http://127.0.0.1:9/hook'), token_path: path, prove: mostly(fc.boolean()) }),
          fc.constantFrom(...FORMATS).chain(notices),
        ),
        { maxLength: 1 },
      ),
    ),
  },
  { requiredKeys: ['version'] },
);

/** Mostly bounds for just those roles that are bound. */
const grant = fc.uniqueArray(fc.constantFrom(...ROLES), { minLength: 1, maxLength: 3 }).chain((roles) => {
  const anyOr = (items: fc.Arbitrary<readonly string[]>) => mostly(fc.oneof(fc.constant('any'), items));
  const sources = anyOr(fc.uniqueArray(fc.constantFrom('attestor', 'firewall'), { minLength: 1 }));
  const classes = anyOr(fc.uniqueArray(fc.constantFrom(...CLASSES), { minLength: 1 }));
  const actions = anyOr(fc.uniqueArray(fc.constantFrom(...ACTIONS), { minLength: 1 }));
  return fc.record({
    roles: mostly(fc.constant(roles)),
    ...(roles.includes('reporter') ? { sources, classes } : {}),
    ...(roles.includes('implementer') ? { actions } : {}),
  });
});
const principal = fc.tuple(grant, fc.nat(20)).map(([given, chance]) => ({
  ...given,
  ...(chance > 10 || chance === 0 ? { token_path: '/run/token' } : {}),
  ...(chance <= 10 && chance !== 1 ? { token_sha256: 'a'.repeat(64) } : {}),
}));
const access = fc.record(
  {
    version: mostly(fc.constant(1)),
    service_token: mostly(grant),
    principals: mostly(
      fc.dictionary(fc.constantFrom('ada', 'b.c@d', 'service-token'), mostly(principal), { maxKeys: 2 }),
    ),
  },
  { requiredKeys: ['version'] },
);

const report = someOf({
  class: mostly(fc.constantFrom(...CLASSES)),
  source: mostly(fc.string()),
  description: mostly(fc.string()),
  severity: mostly(fc.constantFrom(...SEVERITIES)),
  evidence: mostly(fc.dictionary(fc.string(), fc.jsonValue())),
  dedup_key: mostly(fc.string()),
});

describe('the JSON Schemas', () => {
  it('are up to date with the validating schemas (npm run schemas)', () => {
    for (const [name, schema] of Object.entries(jsonSchemas())) {
      expect(JSON.parse(textOf(name))).to.deep.equal(JSON.parse(JSON.stringify(schema)));
    }
  });

  it('accept the shipped policy, which names its schema for editors', () => {
    const text = textOf('incident-containment.yaml');
    expect(validatorOf(POLICY)(load(text))).to.equal(true);
    expect(/^# yaml-language-server: \$schema=(.+)$/m.exec(text)?.[1]).to.equal(POLICY);
  });

  it('accept or refuse an access file like the service', () => {
    const isValid = validatorOf(ACCESS);
    const verdicts = { taken: 0, refused: 0 };
    fc.assert(
      fc.property(access, (value) => {
        const taken = AccessFile.safeParse(value).success;
        verdicts[taken ? 'taken' : 'refused'] += 1;
        expect(isValid(value), JSON.stringify(value)).to.equal(taken);
      }),
      { numRuns: 1000 },
    );
    expect(Math.min(verdicts.taken, verdicts.refused)).to.be.above(50);
  });

  it('accept or refuse a policy like the service', () => {
    const isValid = validatorOf(POLICY);
    const verdicts = { taken: 0, refused: 0 };
    fc.assert(
      fc.property(policy, (value) => {
        const taken = PolicyFile.safeParse(value).success;
        verdicts[taken ? 'taken' : 'refused'] += 1;
        expect(isValid(value)).to.equal(taken);
      }),
      { numRuns: 1000 },
    );
    expect(Math.min(verdicts.taken, verdicts.refused)).to.be.above(50);
  });

  it('accept or refuse a report like the service', () => {
    const isValid = validatorOf(REPORT);
    const verdicts = { taken: 0, refused: 0 };
    fc.assert(
      fc.property(report, (value) => {
        const taken = reportSchema.safeParse(value).success;
        verdicts[taken ? 'taken' : 'refused'] += 1;
        expect(isValid(value)).to.equal(taken);
      }),
      { numRuns: 1000 },
    );
    expect(Math.min(verdicts.taken, verdicts.refused)).to.be.above(50);
  });
});
