import { expect } from 'chai';
import { isWithin, parseFleetAccess } from '../../src/fleet/access.ts';

const HASH = 'a'.repeat(64);
const file = (machines: string): string =>
  `version: 1\nprincipals:\n  ada:\n    roles: [reader]\n    token_sha256: ${HASH}\n${machines}`;

describe("the fleet's access file", () => {
  it('binds each principal to machines: all, or those with labels', () => {
    expect(parseFleetAccess(file('    machines: any\n'), 'a.yaml').machines).to.deep.equal({ ada: 'any' });
    expect(parseFleetAccess(file('    machines: { site: berlin }\n'), 'a.yaml').machines).to.deep.equal({
      ada: { site: 'berlin' },
    });
    expect(isWithin({ site: 'berlin', stage: 'test' }, { site: 'berlin' })).to.equal(true);
    expect(isWithin({ site: 'lisbon' }, { site: 'berlin' })).to.equal(false);
    expect(isWithin({}, 'any')).to.equal(true);
  });

  it('gives nothing by leaving the machines out', () => {
    for (const machines of ['', '    machines: {}\n', '    machines: [x]\n', '    machines: all\n'])
      expect(() => parseFleetAccess(file(machines), 'a.yaml')).to.throw('machines is');
  });

  it('refuses what the recorder would refuse', () => {
    expect(() => parseFleetAccess(file('    machines: any\n    nonsense: 1\n'), 'a.yaml')).to.throw('nonsense');
  });
});
