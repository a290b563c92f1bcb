import { expect } from 'chai';
import fc from 'fast-check';
import { ACTIONS, CLASSES, SEVERITIES } from '../../machines/vocabulary.ts';
import { RecorderError } from '../../src/errors.ts';
import { BUILT_IN_RULES } from '../../src/policy/defaults.ts';
import { parsePolicy } from '../../src/policy/parse.ts';
import type { PolicyFault } from '../../src/policy/policy.ts';

const refusalOf = (text: string): RecorderError => {
  try {
    parsePolicy(text, 'policy.yaml');
  } catch (error) {
    if (error instanceof RecorderError) return error;
    throw error;
  }
  throw new Error(`accepted: ${text}`);
};

/** The faults as `line: message`. */
const faultsOf = (text: string): readonly string[] =>
  (refusalOf(text).fields['faults'] as readonly PolicyFault[]).map(({ line, message }) => `${line}: ${message}`);

const rulesOf = (text: string) => parsePolicy(text, 'policy.yaml').rules;

describe('a policy text', () => {
  describe('that leaves things out', () => {
    it('keeps the built-in rules when it says only its version', () => {
      for (const text of ['version: 1', 'version: 1\nrules:\n', 'version: 1\nrules: {}\n', '\uFEFFversion: 1\r\n'])
        expect(rulesOf(text), text).to.deep.equal(BUILT_IN_RULES);
    });

    it('keeps the built-in rule of a class and the built-in value of a key that are left out', () => {
      const rules = rulesOf('version: 1\nrules:\n  attestation_failure:\n    auto_contain: false\n');

      expect(rules).to.deep.equal({
        ...BUILT_IN_RULES,
        attestation_failure: { ...BUILT_IN_RULES.attestation_failure, auto_contain: false },
      });
    });
  });

  it('may leave a class without actions when it has auto_contain: false', () => {
    const rules = rulesOf('version: 1\nrules: {tool_call_burst: {auto_contain: false, actions: []}}');

    expect(rules.tool_call_burst).to.deep.equal({ auto_contain: false, actions: [], default_severity: 'medium' });
  });

  const inRule = (line: string) => `version: 1\nrules:\n  prompt_injection:\n    ${line}\n`;

  const REFUSED: readonly (readonly [what: string, text: string, fault: RegExp])[] = [
    [
      'an unknown class',
      'version: 1\nrules:\n  tool_call_brust: {}\n',
      /^3: .*class "tool_call_brust" \(did you mean tool_call_burst\?\); allowed: attestation_failure, /,
    ],
    [
      'an unknown action',
      inRule('actions: [log_alert, freeze_agnet]'),
      /^4: rules\.prompt_injection\.actions\[1\]: .*"freeze_agnet" \(did you mean freeze_agent\?\); allowed: .*log_alert/,
    ],
    [
      'an unknown action in a block list',
      inRule('actions:\n      - log_alert\n      - reboot'),
      /^6: .*unknown action "reboot"; allowed: /,
    ],
    [
      'an unknown severity',
      inRule('default_severity: urgent'),
      /^4: .*unknown severity "urgent"; allowed: critical, high, medium, low$/,
    ],
    [
      'an unknown key at the top',
      'version: 1\nrulez: {}\n',
      /^2: .*unknown key "rulez" \(did you mean rules\?\); allowed: version, rules, targets, notify, attention_after, overdue_after, burst, report_bytes_per_day, alerting, escalate, expect, archive_after$/,
    ],
    [
      'an unknown key in a rule',
      inRule('severity: high'),
      /^4: .*unknown key "severity"; allowed: auto_contain, actions, default_severity, min_severity, answer_after, recovery, repeat, runbook$/,
    ],
    ['a merge key', inRule('<<: {}'), /^4: .*unknown key "<<"/],
    ['__proto__ at the top', 'version: 1\n__proto__: {}\n', /^2: unknown key "__proto__"$/],
    ['__proto__ in a rule', inRule('__proto__: {}'), /^4: unknown key "__proto__"$/],
    ['constructor as a class', 'version: 1\nrules:\n  constructor: {}\n', /^3: .*unknown class "constructor"/],
    ['a missing version', '# no version\nrules: {}\n', /^2: version: is missing; write version: 1$/],
    ['another version', 'version: 2', /^1: version: must be 1, found 2$/],
    ['a version as text', 'version: "1"', /^1: version: must be 1, found the text "1"$/],
    [
      'a duplicate key at the top',
      'version: 1\nrules: {}\nversion: 1\n',
      /^3: duplicate key "version", first on line 1$/,
    ],
    [
      'a duplicate class',
      'version: 1\nrules:\n  tool_call_burst: {}\n  tool_call_burst: {}\n',
      /^4: duplicate key "tool_call_burst", first on line 3$/,
    ],
    [
      'a duplicate key in a rule',
      inRule('auto_contain: true\n    "auto_contain": false'),
      /^5: duplicate key "auto_contain", first on line 4$/,
    ],
    ['a truth value in quotes', inRule('auto_contain: "true"'), /^4: .*must be true or false, found the text "true"/],
    [
      'yes, which YAML 1.2 takes for text',
      inRule('auto_contain: yes'),
      /^4: .*must be true or false, found the text "yes"/,
    ],
    ['a number for a truth value', inRule('auto_contain: 1'), /^4: .*must be true or false, found 1 /],
    [
      'an action that is not in a list',
      inRule('actions: log_alert'),
      /^4: .*must be a list of actions \(.*\), or \[\] for none, found the text "log_alert"$/,
    ],
    ['a mapping of webhooks', 'version: 1\nnotify: {}\n', /^2: notify: must be a list of webhooks .* found a mapping$/],
    ['a mapping of actions', inRule('actions: {}'), /^4: .*must be a list of actions .* found a mapping$/],
    ['actions that say nothing', inRule('actions:'), /^4: .*must be a list of actions .* found nothing$/],
    [
      'a list for a severity',
      inRule('default_severity: [high]'),
      /^4: .*must be one of critical, high, medium, low, found a list$/,
    ],
    [
      'an action listed twice',
      inRule('actions: [log_alert, freeze_agent, log_alert]'),
      /^4: .*actions\[2\]: .*"log_alert" is listed before/,
    ],
    [
      'containment without an action',
      inRule('actions: []'),
      /^4: .*auto_contain is true and there is no action.*set auto_contain: false$/,
    ],
    [
      'a rule that says nothing',
      'version: 1\nrules:\n  tool_call_burst:\n',
      /^3: .*must be a mapping of auto_contain, actions, default_severity, min_severity, answer_after, recovery, repeat, runbook, found nothing$/,
    ],
    ['rules in a list', 'version: 1\nrules:\n- log_alert\n', /^2: rules: must be a mapping of .* found a list$/],
    [
      'a list for a policy',
      '\n- version\n',
      /^2: the policy: must be a mapping of version, rules, targets, notify, attention_after, overdue_after, burst, report_bytes_per_day, alerting, escalate, expect, archive_after, found a list$/,
    ],
    ...['escalate: {length: {}}', 'alerting: {webhooks: {length: {}}}', 'notify: {length: {}}'].map(
      (text): readonly [string, string, RegExp] => [
        `a mapping that has a length: ${text}`,
        `version: 1\n${text}\n`,
        /^2: .*must be a list of .*, found a mapping$/,
      ],
    ),
    [
      'a mapping that has a length in repeat',
      inRule('repeat: {same: {length: {}}, within: 1h}'),
      /^4: .*must be a list of .*, found a mapping$/,
    ],
    ['an anchor', inRule('actions: &all [log_alert]'), /^4: anchors/],
    ['an alias', inRule('actions: *all'), /^4: aliases/],
    ['nothing but an alias', '*all', /^1: aliases/],
    ['a tag', inRule('auto_contain: !!bool true'), /^4: tags/],
    ['a key that is not a word', 'version: 1\n? [a, b]\n: 1\n', /^2: a key must be a word$/],
    ['a second document', 'version: 1\n---\nversion: 1\n', /^3: a second document/],
    ['no text', '', /^1: the file is empty; the least that a policy says is "version: 1"$/],
    ['comments only', '# later\n', /^1: the file is empty/],
    ['an empty document', '---\n', /^1: the file is empty/],
    ['broken YAML', 'version: 1\nrules: [\n', /^\d: not valid YAML: /],
    ['a tab for indentation', 'version: 1\nrules:\n\ttool_call_burst: {}\n', /^3: not valid YAML: tab/],
    ['nesting without end', '['.repeat(100_000), /^1: not valid YAML: nesting/],
    ['values without end', `version: 1\nrules: [${'a,'.repeat(120_000)}]`, /^1: .* at most 10000 are allowed$/],
  ];

  for (const [what, text, fault] of REFUSED)
    it(`is refused for ${what}`, () => {
      expect(
        faultsOf(text).some((found) => fault.test(found)),
        faultsOf(text).join('\n'),
      ).to.equal(true);
    });

  it('is refused with all its faults in one answer, in the order of their lines', () => {
    const faults = faultsOf(`version: 3
target: {}
rules:
  unauthorized_acess: {}
  prompt_injection:
    auto_contain: on
    actions: [freeze_agent, quarantine, freeze_agent]
    auto_contain: true
    default_severity: hihg
  tool_call_burst:
    actions: []
    note: none
`);

    expect(faults.map((fault) => fault.replace(/;.*| \(yes.*/, ''))).to.deep.equal([
      '1: version: must be 1, found 3',
      '2: target: unknown key "target" (did you mean targets?)',
      '4: rules.unauthorized_acess: unknown class "unauthorized_acess" (did you mean unauthorized_access?)',
      '6: rules.prompt_injection.auto_contain: must be true or false, found the text "on"',
      '7: rules.prompt_injection.actions[1]: unknown action "quarantine"',
      '7: rules.prompt_injection.actions[2]: the text "freeze_agent" is listed before in this rule',
      '8: duplicate key "auto_contain", first on line 6',
      '9: rules.prompt_injection.default_severity: unknown severity "hihg" (did you mean high?)',
      '11: rules.tool_call_burst.actions: auto_contain is true and there is no action to take',
      '12: rules.tool_call_burst.note: unknown key "note"',
    ]);
  });

  it('is refused with the code, the file and the lines in the message', () => {
    const refusal = refusalOf('version: 2\nnote: x\n');

    expect(refusal).to.include({ code: 'invalid_policy', status: 422 });
    expect(refusal.message).to.equal(
      'containment policy refused:\n' +
        '  policy.yaml:1: version: must be 1, found 2\n' +
        '  policy.yaml:2: note: unknown key "note" (did you mean notify?); ' +
        'allowed: version, rules, targets, notify, attention_after, overdue_after, burst, report_bytes_per_day, alerting, escalate, expect, archive_after',
    );
  });

  it('is refused with a hundred faults and a count of the others', () => {
    const refusal = refusalOf(`version: 1\n${Array.from({ length: 130 }, (_, index) => `key${index}: 1\n`).join('')}`);

    expect(refusal.fields['faults']).to.have.length(100);
    expect(refusal.message).to.match(/and 30 more$/);
  });
});

describe('any policy', () => {
  const rule = fc
    .record({
      auto_contain: fc.boolean(),
      actions: fc.subarray([...ACTIONS]).chain((some) => fc.shuffledSubarray(some, { minLength: some.length })),
      default_severity: fc.constantFrom(...SEVERITIES),
    })
    .filter(({ auto_contain, actions }) => !auto_contain || actions.length > 0);
  const rules = fc.record(Object.fromEntries(CLASSES.map((name) => [name, rule])), { requiredKeys: [] });

  it('that is valid comes back as it was written, completed from the built-in rules', () => {
    fc.assert(
      fc.property(rules, fc.constantFrom(0, 2), (some, indent) => {
        // JSON is YAML 1.2.
        const text = JSON.stringify({ version: 1, rules: some }, undefined, indent);
        expect(rulesOf(text)).to.deep.equal({ ...BUILT_IN_RULES, ...some });
      }),
    );
  });

  it('that is invalid is refused with a RecorderError whose lines are inside the text', () => {
    const syntax = [
      'version',
      ': ',
      ':\n',
      '1',
      '\n',
      '  ',
      '- ',
      '[',
      ']',
      '{',
      '}',
      ',',
      '? ',
      '|',
      '>',
      '"',
      "'",
      '#',
    ];
    const trouble = [
      '&a ',
      '*a',
      '!!str ',
      '---\n',
      '...\n',
      '%YAML 1.2\n',
      '<<',
      '\t',
      '\0',
      '\r',
      '\ud800',
      '"\\ud800"',
    ];
    const words = [
      'rules',
      'tool_call_burst',
      'auto_contain',
      'actions',
      'true',
      '~',
      '0x1',
      '.nan',
      '__proto__',
      '🔥',
    ];
    const fragment = fc.constantFrom(...syntax, ...trouble, ...words);
    const texts = fc.oneof(
      fc.array(fragment, { maxLength: 30 }).map((fragments) => fragments.join('')),
      fc
        .array(fragment, { maxLength: 20 })
        .map((fragments) => `version: 1\nrules:\n  tool_call_burst: ${fragments.join('')}`),
      fc.string({ unit: 'binary' }),
      fc.json(),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          parsePolicy(text, 'policy.yaml');
        } catch (error) {
          expect(error).to.be.instanceOf(RecorderError).with.property('code', 'invalid_policy');
          const faults = (error as RecorderError).fields['faults'] as readonly PolicyFault[];
          expect(faults).to.have.length.above(0);
          for (const { line } of faults) expect(line).to.be.within(1, text.split(/\r\n|\r|\n/).length);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
