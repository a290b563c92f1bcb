import { expect } from 'chai';
import { CLASSES } from '../../machines/vocabulary.ts';
import { stretchOf } from '../../src/fleet/campaign-growth.ts';
import { DEFAULT_CAMPAIGNS, parseFleetPolicy, readFleetPolicy } from '../../src/fleet/fleet-policy.ts';
import { policyChanges, unifiedDiff } from '../../src/fleet/policy-diff.ts';

describe('the policy of the fleet', () => {
  const faults = (text: string): string => {
    try {
      parseFleetPolicy(text, 'fleet.yaml');
    } catch (error) {
      return (error as Error).message;
    }
    return '';
  };

  it('says what a campaign is', () => {
    const { campaigns } = parseFleetPolicy(
      'version: 1\ncampaigns:\n  - { name: model, same: [evidence.model_hash], machines: 3, within: 24h }\n' +
        '  - { name: all, classes: [prompt_injection], same: [evidence, source], machines: 2, within: 10m }\n',
      'fleet.yaml',
    );
    expect(campaigns).to.deep.equal([
      { name: 'model', classes: CLASSES, same: ['evidence.model_hash'], machines: 3, within: 86_400_000 },
      { name: 'all', classes: ['prompt_injection'], same: ['evidence', 'source'], machines: 2, within: 600_000 },
    ]);
    expect(parseFleetPolicy('version: 1\ncampaigns: []\n', 'fleet.yaml').campaigns).to.deep.equal([]);
    expect(readFleetPolicy(undefined).campaigns).to.equal(DEFAULT_CAMPAIGNS);
    expect(new Set(DEFAULT_CAMPAIGNS.map(({ name }) => name)).size).to.equal(DEFAULT_CAMPAIGNS.length);
  });

  it('is refused as a whole, with every fault and its line', () => {
    const text = faults(
      'version: 2\ncampaigns:\n  - name: a b\n    same: [evidence..x]\n    machines: 1\n    within: soon\n    more: 1\n' +
        '  - { name: m, classes: [none], same: [], machines: 2, within: 1h }\n  - { name: m, same: [source], machines: 2, within: 1h }\n',
    );
    for (const part of [
      'fleet.yaml:1',
      ':3:',
      ':4:',
      ':5:',
      ':6:',
      ':7:',
      'unknown key "more"',
      'fleet.yaml:8',
      'fleet.yaml:9',
    ])
      expect(text).to.include(part);
    expect(faults('')).to.include('empty');
    expect(faults('[]')).to.include('mapping');
    expect(faults('version: 1')).to.include('campaigns');
    expect(() => readFleetPolicy('/nowhere/fleet.yaml')).to.throw('FLEET_POLICY_PATH');
  });
});

describe('a campaign', () => {
  const at = (machine: string, minute: number) => ({ machine, at: new Date(minute * 60_000) });
  const rule = { machines: 3, within: 10 * 60_000 };
  const stretch = (...members: ReturnType<typeof at>[]) => {
    const found = stretchOf(members, rule);
    return found && [found.first.getTime() / 60_000, found.last.getTime() / 60_000, found.machines];
  };

  it('is enough machines within the time, and what follows on it', () => {
    expect(stretch(at('a', 0), at('a', 1), at('b', 2), at('b', 3))).to.equal(undefined);
    expect(stretch(at('a', 0), at('b', 5), at('c', 10))).to.deep.equal([0, 10, 3]);
    expect(stretch(at('a', 0), at('b', 5), at('c', 11))).to.equal(undefined);
    expect(stretch(at('a', 0), at('b', 5), at('c', 11), at('a', 12), at('d', 20), at('e', 31))).to.deep.equal([
      5, 20, 4,
    ]);
  });
});

describe('how a policy differs', () => {
  it('is said by values and by lines', () => {
    const usual = JSON.stringify({ a: 1, b: { c: [1, 2], d: true }, e: 'x' }, null, 2);
    const here = JSON.stringify({ a: 1, b: { c: [1, 3], f: 0 }, e: 'x' }, null, 2);
    expect(policyChanges(usual, here)).to.deep.equal([
      { path: 'b.c', usual: [1, 2], here: [1, 3] },
      { path: 'b.d', usual: true },
      { path: 'b.f', here: 0 },
    ]);
    expect(policyChanges(usual, '{')).to.equal(undefined);
    expect(unifiedDiff(usual, usual)).to.equal('');
    expect(unifiedDiff('1\n2\n3\n4\n5\n6\n', '1\n2\n3\nfour\n5\n6\nseven\n')).to.equal(
      '--- usual\n+++ here\n@@ -1,6 +1,7 @@\n 1\n 2\n 3\n-4\n+four\n 5\n 6\n+seven\n',
    );
    const long = Array.from({ length: 40 }, (_, place) => String(place));
    const changed = long.with(5, 'x').with(30, 'y');
    expect(unifiedDiff(long.join('\n'), changed.join('\n'))).to.equal(
      '--- usual\n+++ here\n@@ -3,7 +3,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n@@ -28,7 +28,7 @@\n 27\n 28\n 29\n-30\n+y\n 31\n 32\n 33\n',
    );
  });
});
