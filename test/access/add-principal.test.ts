import { expect } from 'chai';
import { withPrincipal } from '../../src/access/add-principal.ts';

const HASH = 'b'.repeat(64);
const ADA = { roles: ['operator', 'recovery'], token_sha256: HASH } as const;
const ATTESTOR = {
  roles: ['reporter'],
  token_sha256: HASH,
  sources: ['runtime-attestor', 'the "other" one'],
  classes: ['attestation_failure'],
} as const;

describe('adding a principal to an access file', () => {
  it('given no file, then one in which the service token keeps every role', () => {
    const { text, content } = withPrincipal(undefined, 'f', 'ada', ADA);
    expect(content.service_token?.roles).to.have.length(8);
    expect(content.principals).to.deep.equal({ ada: ADA });
    expect(text).to.match(/^# yaml-language-server: \$schema=incident-access\.schema\.json\n/);
  });

  it('leaves everything else as it is written', () => {
    const before = `version: 1 # of the form
principals:   # people
    # the first one
    bob:
        roles: [admin]
        token_sha256: ${'a'.repeat(64)}
service_token: { roles: [reader] }
`;
    const { text, content } = withPrincipal(before, 'f', 'attestor', ATTESTOR);
    expect(content.principals.attestor).to.deep.equal(ATTESTOR);
    const lines = before.split('\n');
    expect(text.split('\n').filter((line) => lines.includes(line))).to.deep.equal(lines);
    expect(text).to.include('    "attestor":\n        roles: [reporter]\n');
  });

  it('given a file without principals, then they are added', () => {
    const { content } = withPrincipal('version: 1\nservice_token: { roles: [reader] }', 'f', 'ada', ADA);
    expect(content.principals).to.deep.equal({ ada: ADA });
    expect(content.service_token).to.deep.equal({ roles: ['reader'] });
  });

  for (const [what, text, name, message] of [
    [
      'a name that is taken',
      `version: 1\nprincipals:\n  ada: { roles: [admin], token_sha256: ${'a'.repeat(64)} }\n`,
      'ada',
      'f:3: principals.ada: is there already',
    ],
    ['principals in one line', 'version: 1\nprincipals: {}\n', 'ada', 'must be written line by line'],
    ['a faulty file', 'version: 2\n', 'ada', 'f:1: version: must be 1, found 2'],
    ['a name that is none', 'version: 1\n', 'a b', 'must be named by 1 to 64 letters'],
  ] as const) {
    it(`refuses ${what}`, () => {
      expect(() => withPrincipal(text, 'f', name, ADA)).to.throw(message);
    });
  }

  it('refuses a reporter that is bound to nothing', () => {
    const unbound = { roles: ['reporter'], token_sha256: HASH } as const;
    expect(() => withPrincipal('version: 1\n', 'f', 'x', unbound)).to.throw('sources is missing');
  });
});
