import { expect } from 'chai';
import { RecorderError } from '../../src/errors.ts';
import { digestPolicy } from '../../src/policy/digest.ts';
import { parseFile, parsePolicy } from '../../src/policy/parse.ts';
import { partsOf, removedParts } from '../../src/policy/parts.ts';
import type { PolicyFault } from '../../src/policy/policy.ts';

const parse = (text: string) => parsePolicy(`version: 1\n${text}`, 'policy.yaml');

/** The faults as `line: message`. */
const faultsOf = (text: string): readonly string[] => {
  try {
    parse(text);
  } catch (error) {
    if (!(error instanceof RecorderError)) throw error;
    return (error.fields['faults'] as readonly PolicyFault[]).map(({ line, message }) => `${line}: ${message}`);
  }
  throw new Error(`accepted: ${text}`);
};

const ESCALATE = `escalate:
  - { class: prompt_injection, reports: 3, within: 300s, to: critical }
  - { class: tool_call_burst, reports: 5, within: 1m, to: high }
  - { class: prompt_injection, reports: 10, within: 1h, to: critical }
`;
const REPEAT = 'rules: { integrity_violation: { repeat: { same: [source, evidence.path], within: 1h } } }\n';

describe('escalate in a policy', () => {
  it('is a list of rules, several for a class', () => {
    expect(parse(ESCALATE).escalate).to.deep.equal([
      { class: 'prompt_injection', reports: 3, within: 300_000, to: 'critical' },
      { class: 'tool_call_burst', reports: 5, within: 60_000, to: 'high' },
      { class: 'prompt_injection', reports: 10, within: 3_600_000, to: 'critical' },
    ]);
  });

  const one = (text: string): string => `escalate:\n  - { ${text} }\n`;
  const REFUSED: readonly (readonly [text: string, fault: RegExp])[] = [
    [one('class: x, reports: 3, within: 1m, to: high'), /^3: escalate\[0\]\.class: unknown class "x"; allowed: attest/],
    [one('class: tool_call_burst, reports: 0, within: 1m, to: high'), /reports: must be a whole number from 1 to 500/],
    [one('class: tool_call_burst, reports: 501, within: 1m, to: high'), /must be a whole number from 1 to 500/],
    [one('class: tool_call_burst, reports: 2.5, within: 1m, to: high'), /must be a whole number from 1 to 500/],
    [one('class: tool_call_burst, reports: 3, within: 300, to: high'), /within: must be a time from 1s to 24h/],
    [one('class: tool_call_burst, reports: 3, within: 25h, to: high'), /within: must be a time from 1s to 24h/],
    [
      one('class: tool_call_burst, reports: 3, within: 1m, to: highest'),
      /to: unknown severity "highest".*allowed: crit/,
    ],
    [one('class: tool_call_burst, reports: 3, within: 1m, to: contained'), /to: unknown severity "contained"/],
    [one('class: tool_call_burst, reports: 3, within: 1m'), /^3: escalate\[0\]\.to: must be one of critical, high/],
    [one('class: tool_call_burst, reports: 3, within: 1m, to: high, by: 1'), /unknown key "by".*allowed: class, rep/],
    ['escalate: { class: tool_call_burst }', /^2: escalate: must be a list of {class, reports, within, to}/],
    [
      `${ESCALATE}  - { class: prompt_injection, reports: 3, within: 5m, to: high }\n`,
      /^6: escalate\[3\]: counts the s/,
    ],
    [`escalate: [${'{ class: tool_call_burst, reports: 3, within: 1m, to: high },'.repeat(65)}]`, /at most 64 entries/],
  ];
  for (const [text, fault] of REFUSED)
    it(`refuses ${text.slice(0, 70).replaceAll('\n', ' ')}, with line and what is allowed`, () => {
      expect(faultsOf(text).join('\n')).to.match(new RegExp(fault.source, 'm'));
    });

  it('changes the digest when it is there, and only then', () => {
    const plain = digestPolicy(parse(''));
    expect(digestPolicy(parse('escalate: []'))).to.equal(plain);
    expect(digestPolicy(parse('escalate:'))).to.equal(plain);
    expect(digestPolicy(parse(ESCALATE))).to.not.equal(plain);
    expect(digestPolicy(parse(REPEAT))).to.not.equal(plain);
  });

  it('is named when a reload takes it away', () => {
    const parts = (text: string) => {
      const { content, classes } = parseFile(`version: 1\n${text}`, 'policy.yaml');
      return partsOf(content, classes);
    };
    expect(removedParts(parts(`${REPEAT}${ESCALATE}`), parts('rules: { integrity_violation: {} }'))).to.deep.equal([
      'rules.integrity_violation.repeat',
      'escalate.prompt_injection.critical',
      'escalate.tool_call_burst.high',
    ]);
  });
});

describe('repeat in a rule', () => {
  it('names values and a time', () => {
    expect(parse(REPEAT).rules.integrity_violation.repeat).to.deep.equal({
      same: ['source', 'evidence.path'],
      within: 3_600_000,
    });
  });

  const one = (text: string): string => `rules: { tool_call_burst: { repeat: { ${text} } } }`;
  const REFUSED: readonly (readonly [text: string, fault: RegExp])[] = [
    [one('same: [source]'), /repeat\.within: must be a time from 1s to 8760h/],
    [one('within: 1h'), /repeat\.same: must be a list of source, description, severity or evidence\. and a path/],
    [one('same: [], within: 1h'), /same: must name at least one value/],
    [one('same: [source, source], within: 1h'), /same\[1\]: the text "source" is listed before/],
    [one('same: [class], within: 1h'), /same\[0\]: must be source, description, severity or evidence\. .*"class"/],
    [one('same: [evidence], within: 1h'), /same\[0\]: must be source/],
    [one('same: [evidence.], within: 1h'), /same\[0\]: must be source/],
    [one('same: [evidence..a], within: 1h'), /same\[0\]: must be source/],
    [one('same: [evidences.a], within: 1h'), /same\[0\]: must be source/],
    [one('same: [1], within: 1h'), /same\[0\]: must be source.*found 1/],
    [one(`same: [${[...'abcdefghi'].map((key) => `evidence.${key}`).join(', ')}], within: 1h`), /at most 8 values/],
    [one('same: [source], within: 0s'), /within: must be a time from 1s/],
    [one('same: [source], within: 1h, key: x'), /unknown key "key".*allowed: same, within/],
    ['rules: { tool_call_burst: { repeat: [source] } }', /repeat: must be a mapping of same, within/],
  ];
  for (const [text, fault] of REFUSED)
    it(`refuses ${text.slice(0, 80)}, with line and what is allowed`, () => {
      expect(faultsOf(text).join('\n')).to.match(new RegExp(`^2: .*${fault.source}`, 'm'));
    });
});
