import { expect } from 'chai';
import type { Principal } from '../../../src/access/principal.ts';
import { type About, requireBound } from '../../../src/api/request/bounds.ts';
import { RecorderError } from '../../../src/errors.ts';

const CANARY: Principal = {
  name: 'canary-tripwire',
  roles: ['reporter'],
  sources: ['canary-tripwire'],
  classes: ['integrity_violation', 'manifest_mismatch'],
};

const refusal = (principal: Principal, about: About): RecorderError | undefined => {
  try {
    requireBound({ principal, role: 'reporter' }, about);
  } catch (error) {
    if (error instanceof RecorderError) return error;
    throw error;
  }
  return undefined;
};

describe('the bounds of a principal', () => {
  it('allow what they name, and everything where there are none', () => {
    expect(refusal(CANARY, { source: 'canary-tripwire', class: 'integrity_violation' })).to.equal(undefined);
    expect(refusal(CANARY, { source: 'canary-tripwire' })).to.equal(undefined);
    expect(refusal(CANARY, { action: 'freeze_agent' })).to.equal(undefined);
    expect(refusal({ name: 'a', roles: [] }, { source: 'x', class: 'prompt_injection' })).to.equal(undefined);
  });

  it('refuse everything else, and say what is allowed', () => {
    const { status, message, fields } = refusal(CANARY, { source: 'x', class: 'prompt_injection' })!;
    expect(status).to.equal(403);
    expect(message).to.equal(
      'forbidden: as reporter, canary-tripwire is bound to the sources canary-tripwire, not x; ' +
        'to the classes integrity_violation, manifest_mismatch, not prompt_injection',
    );
    expect(fields).to.deep.equal({
      needs: ['reporter'],
      roles: ['reporter'],
      sources: ['canary-tripwire'],
      classes: ['integrity_violation', 'manifest_mismatch'],
    });
    const one = refusal(CANARY, { source: 'canary-tripwire', class: 'prompt_injection' })!;
    expect(one.message).to.not.include('sources');
    expect(one.fields).to.not.have.property('sources');
  });

  it('that are empty allow nothing', () => {
    expect(refusal({ ...CANARY, sources: [] }, { source: 'canary-tripwire' })?.message).to.include('sources (none)');
  });

  it('compare names exactly', () => {
    for (const source of ['Canary-tripwire', 'canary-tripwire ', 'canary', 'canary-tripwire\u200b']) {
      expect(refusal(CANARY, { source })?.status).to.equal(403);
    }
  });
});
