import { expect } from 'chai';
import { timestamp } from '../../src/clock.ts';
import { type AttestationRequest, type BundleVerdict, judgeBundle } from '../../src/containment/attestor-bundle.ts';
import { canonicalForm } from '../../src/json/canonical-form.ts';
import { ATTESTATION_KEY, type Bundle, goText, signatureOf, signed, trustedBundle } from '../support/attestor.ts';

const NONCE = '0123456789abcdef'.repeat(4);
const REQUESTED_AT = Date.parse('2026-11-30T09:00:00.500Z');
const ANSWERED_AT = REQUESTED_AT + 2000;

const REQUEST: AttestationRequest = {
  nonce: NONCE,
  requestedAt: REQUESTED_AT,
  answeredAt: ANSWERED_AT,
  key: Buffer.from(ATTESTATION_KEY, 'hex'),
};

const trusted = (changes: Bundle = {}): Bundle => ({
  ...trustedBundle(NONCE, '2026-11-30T09:00:01.123456789Z'),
  ...changes,
});

const judgeText = (text: string, request = REQUEST): BundleVerdict => judgeBundle(Buffer.from(text), request);
const judge = (bundle: Bundle, request = REQUEST): BundleVerdict => judgeText(JSON.stringify(bundle), request);
const judgeSigned = (changes: Bundle): BundleVerdict => judge(signed(trusted(changes)));

const faultsIn = (verdict: BundleVerdict): readonly string[] => (verdict.kind === 'refused' ? verdict.faults : []);

const FORGED = 'bundle_hmac does not hold: the bundle is not signed with our key';

describe('a bundle of the attestor', () => {
  it('that holds is kept as evidence', () => {
    expect(judge(signed(trusted()))).to.deep.equal({
      kind: 'attested',
      evidence: {
        requested_at: '2026-11-30T09:00:00.500Z',
        timestamp: '2026-11-30T09:00:01.123456789Z',
        state: 'attested',
        assurance_mode: 'hardware',
        evidence_verified: true,
        secure_boot_enabled: true,
        tpm_available: true,
        tpm_measurements_verified: true,
        tpm_quote_verified: true,
        deployment_verified: true,
        release_baseline_verified: true,
        deployment_digest: `sha256:${'d'.repeat(64)}`,
        policy_digest: 'b'.repeat(64),
        tpm_ak_public_key_sha256: 'e'.repeat(64),
        bundle_hmac: signatureOf(goText(trusted())),
        bundle_hmac_verified: true,
        request_nonce: NONCE,
      },
    });
  });

  it('keeps no digest that is none', () => {
    const verdict = judgeSigned({ deployment_digest: 'unavailable', policy_digest: '<script>' });
    expect(verdict).to.have.property('kind', 'attested');
    expect(verdict).to.have.property('evidence').that.does.not.have.any.keys('deployment_digest', 'policy_digest');
  });

  for (const name of [
    'evidence_verified',
    'tpm_available',
    'tpm_measurements_verified',
    'tpm_quote_verified',
    'deployment_verified',
    'release_baseline_verified',
  ]) {
    for (const [value, fault] of [
      [false, `${name} is false`],
      [undefined, `${name} is missing`],
      [null, `${name} is null, not true`],
      [1, `${name} is a number, not true`],
      ['true', `${name} is text, not true`],
      [[true], `${name} is a list, not true`],
      [{}, `${name} is an object, not true`],
    ] as const) {
      it(`is refused when ${fault}`, () => {
        expect(judgeSigned({ [name]: value })).to.deep.equal({ kind: 'refused', faults: [fault] });
      });
    }
  }

  for (const [changes, fault] of [
    [{ boot_measurements: undefined }, 'boot_measurements is missing'],
    [{ boot_measurements: null }, 'boot_measurements is null, not an object'],
    [{ boot_measurements: true }, 'boot_measurements is true, not an object'],
    [{ boot_measurements: [] }, 'boot_measurements is a list, not an object'],
    [{ boot_measurements: {} }, 'boot_measurements.secure_boot_enabled is missing'],
    [{ boot_measurements: { secure_boot_enabled: false } }, 'boot_measurements.secure_boot_enabled is false'],
    [{ boot_measurements: {}, secure_boot_enabled: true }, 'boot_measurements.secure_boot_enabled is missing'],
    [{ state: 'degraded' }, 'state is "degraded", not "attested"'],
    [{ state: 'Attested' }, 'state is "Attested", not "attested"'],
    [{ state: 'é'.repeat(50) }, `state is "${'\\u00e9'.repeat(40)}...", not "attested"`],
    [{ state: undefined }, 'state is missing'],
    [{ state: true }, 'state is true, not "attested"'],
    [{ assurance_mode: 'evaluation' }, 'assurance_mode is "evaluation", not "hardware"'],
    [{ assurance_mode: 'software' }, 'assurance_mode is "software", not "hardware"'],
    [{ assurance_mode: undefined }, 'assurance_mode is missing'],
    [{ assurance_mode: ['hardware'] }, 'assurance_mode is a list, not "hardware"'],
    [{ tpm_ak_public_key_sha256: undefined }, 'tpm_ak_public_key_sha256 is missing'],
    [{ tpm_ak_public_key_sha256: '' }, 'tpm_ak_public_key_sha256 is not 64 hexadecimal digits'],
    [{ tpm_ak_public_key_sha256: 'e'.repeat(63) }, 'tpm_ak_public_key_sha256 is not 64 hexadecimal digits'],
    [{ tpm_ak_public_key_sha256: `${'e'.repeat(64)}\n` }, 'tpm_ak_public_key_sha256 is not 64 hexadecimal digits'],
    [{ tpm_ak_public_key_sha256: 'g'.repeat(64) }, 'tpm_ak_public_key_sha256 is not 64 hexadecimal digits'],
    [{ tpm_ak_public_key_sha256: 7 }, 'tpm_ak_public_key_sha256 is a number, not 64 hexadecimal digits'],
    [{ request_nonce: 'f'.repeat(64) }, 'request_nonce is not the one of this request'],
    [{ request_nonce: NONCE.toUpperCase() }, 'request_nonce is not the one of this request'],
    [{ request_nonce: NONCE.slice(1) }, 'request_nonce is not the one of this request'],
    [{ request_nonce: '' }, 'request_nonce is not the one of this request'],
    [{ request_nonce: undefined }, 'request_nonce is missing'],
    [{ request_nonce: null }, 'request_nonce is null, not text'],
    [{ timestamp: undefined }, 'timestamp is missing'],
    [{ timestamp: REQUESTED_AT }, 'timestamp is a number, not text'],
    [{ timestamp: 'now' }, 'timestamp is no time of RFC 3339: "now"'],
    [{ timestamp: '2026-11-30 09:00:01Z' }, 'timestamp is no time of RFC 3339: "2026-11-30 09:00:01Z"'],
    [{ timestamp: '2026-11-30T09:00:01' }, 'timestamp is no time of RFC 3339: "2026-11-30T09:00:01"'],
    [{ timestamp: '2026-02-30T09:00:01Z' }, 'timestamp is no time of RFC 3339: "2026-02-30T09:00:01Z"'],
    [{ timestamp: '2026-11-30T25:00:01Z' }, 'timestamp is no time of RFC 3339: "2026-11-30T25:00:01Z"'],
  ] as readonly (readonly [Bundle, string])[]) {
    it(`is refused with ${JSON.stringify(changes).slice(0, 60)}: ${fault}`, () => {
      expect(judgeSigned(changes)).to.deep.equal({ kind: 'refused', faults: [fault] });
    });
  }

  describe('has a timestamp that', () => {
    const before = (text: string) => `timestamp "${text}" is before the request, 2026-11-30T09:00:00.500Z`;
    const ahead = (text: string) =>
      `timestamp "${text}" is more than 5 s ahead of this machine's clock, 2026-11-30T09:00:02.500Z`;
    for (const [text, fault] of [
      ['2026-11-30T09:00:00.5Z', undefined],
      ['2026-11-30T09:00:00.500000001Z', undefined],
      ['2026-11-30T09:00:01Z', undefined],
      ['2026-11-30T09:00:01.123456+00:00', undefined],
      ['2026-11-30T11:00:01+02:00', undefined],
      ['2026-11-30T09:00:07.5Z', undefined],
      ['2026-11-30T09:00:00.499Z', before],
      ['2026-11-30T09:00:00Z', before],
      ['2026-11-30T09:00:01+02:00', before],
      ['2026-11-30T09:00:07.501Z', ahead],
      ['2026-11-30T09:00:07.500000001Z', ahead],
      ['2027-11-30T09:00:01Z', ahead],
    ] as const) {
      it(`${fault === undefined ? 'may' : 'may not'} be ${text}`, () => {
        expect(faultsIn(judgeSigned({ timestamp: text }))).to.deep.equal(fault === undefined ? [] : [fault(text)]);
      });
    }
  });

  describe('is signed', () => {
    const odd = trusted({
      kernel_cmdline: 'é \u{1f600} \u007f <&> \u2028 "\\/\t\b\u0001',
      '\u{10000}': 1,
      '\uffff': { z: [{ b: 1, a: 2 }], '10': 1, '9': 2 },
    });
    const sortedWithUtf8 = goText(odd).replaceAll(
      /\\u(003c|003e|0026|2028)/g,
      (escape) => JSON.parse(`"${escape}"`) as string,
    );

    for (const [how, text] of [
      ['as Python writes it', canonicalForm({ ...(odd as Record<string, string>), bundle_hmac: '' })],
      ['in UTF-8', sortedWithUtf8],
      ['as Go writes it', goText(odd)],
    ] as const) {
      it(`over its sorted text ${how}`, () => {
        expect(judge({ ...odd, bundle_hmac: signatureOf(text) })).to.have.property('kind', 'attested');
      });
    }

    for (const number of [
      '1.0',
      '0.1',
      '1e-07',
      '1e-7',
      '-0',
      '-0.0',
      '1e+16',
      '12345678901234567890',
      '1E2',
      '1e400',
    ]) {
      it(`with ${number} as it is written`, () => {
        const text = goText(trusted({ uptime: 'N' })).replace('"N"', number);
        const body = text.replace('"bundle_hmac":""', `"bundle_hmac":"${signatureOf(text)}"`);
        expect(judgeText(body)).to.have.property('kind', 'attested');
      });
    }

    it('with floats as Python writes them, when something on the way writes them differently', () => {
      const bundle = trusted({ load: 1e-7 });
      const text = canonicalForm({ ...(bundle as Record<string, string>), bundle_hmac: '' });
      expect(text).to.include('1e-07');
      expect(judge({ ...bundle, bundle_hmac: signatureOf(text) })).to.have.property('kind', 'attested');
    });

    it('whatever the order of its members and the space between them', () => {
      const bundle = signed(trusted());
      const reversed = Object.fromEntries(Object.entries(bundle).toReversed());
      expect(judgeText(`\n${JSON.stringify(reversed, null, 3)}\n`)).to.have.property('kind', 'attested');
    });

    it('in digits of either case', () => {
      const hmac = signatureOf(goText(trusted())).toUpperCase();
      expect(judge(trusted({ bundle_hmac: hmac }))).to.have.property('kind', 'attested');
    });

    for (const [name, value] of Object.entries(trusted())) {
      it(`so that ${name} can't be changed`, () => {
        const other = typeof value === 'string' ? `${value}x` : typeof value === 'boolean' ? !value : {};
        expect(faultsIn(judge({ ...signed(trusted()), [name]: other }))[0]).to.equal(FORGED);
        expect(faultsIn(judge({ ...signed(trusted()), [name]: undefined }))[0]).to.equal(FORGED);
      });
    }

    it('so that nothing can be added', () => {
      expect(judge({ ...signed(trusted()), more: '' })).to.deep.equal({ kind: 'refused', faults: [FORGED] });
    });

    for (const [what, hmac, fault] of [
      ['nothing', undefined, 'bundle_hmac is missing'],
      ['nothing of a signature', '', 'bundle_hmac is not 64 hexadecimal digits'],
      ['what the attestor writes without a key', 'unsigned', 'bundle_hmac is not 64 hexadecimal digits'],
      ['a number', 5, 'bundle_hmac is a number, not 64 hexadecimal digits'],
      ['another key', signatureOf(goText(trusted()), 'a8'.repeat(32)), FORGED],
      ['the digits of the key', signatureOf(goText(trusted()), Buffer.from(ATTESTATION_KEY).toString('hex')), FORGED],
      ['no key', signatureOf(goText(trusted()), ''), FORGED],
      ['zeros', '0'.repeat(64), FORGED],
      ['unsorted text', signatureOf(JSON.stringify(trusted({ bundle_hmac: '' }))), FORGED],
      ['a text without bundle_hmac', signatureOf(goText(trusted()).replace('"bundle_hmac":"",', '')), FORGED],
      ['spaced text', signatureOf(goText(trusted()).replaceAll('":', '": ')), FORGED],
    ] as const) {
      it(`and not with ${what}`, () => {
        expect(judge(trusted({ bundle_hmac: hmac }))).to.deep.equal({ kind: 'refused', faults: [fault] });
      });
    }
  });

  it('is no bundle when it is no exact JSON object', () => {
    for (const [text, what] of [
      ['', 'invalid JSON'],
      ['<html>', 'invalid JSON'],
      ['[]', 'no JSON object'],
      ['null', 'no JSON object'],
      ['7', 'no JSON object'],
      ['{"state":"attested","state":"failed"}', 'duplicate key at state'],
      ['{"__proto__":{"state":"attested"}}', 'the key __proto__ is not allowed'],
      ['{"a":"\\ud800"}', 'lone surrogate in a string at a'],
      [`${'['.repeat(5000)}${']'.repeat(5000)}`, 'nested too deeply'],
      [`[${'0,'.repeat(30_000)}0]`, 'too many values'],
    ] as const) {
      expect(faultsIn(judgeText(text))[0], text.slice(0, 40)).to.match(new RegExp(`^the answer is no bundle: ${what}`));
    }
    const latin1 = judgeBundle(Buffer.from('{"a":"é"}', 'latin1'), REQUEST);
    expect(faultsIn(latin1)).to.deep.equal(['the answer is no bundle: invalid UTF-8']);
  });

  it('has all its faults named, those of the signature first', () => {
    expect(faultsIn(judgeText('{}'))).to.deep.equal([
      'bundle_hmac is missing',
      'request_nonce is missing',
      'timestamp is missing',
      'state is missing',
      'assurance_mode is missing',
      'evidence_verified is missing',
      'tpm_available is missing',
      'tpm_measurements_verified is missing',
      'tpm_quote_verified is missing',
      'deployment_verified is missing',
      'release_baseline_verified is missing',
      'boot_measurements is missing',
      'tpm_ak_public_key_sha256 is missing',
    ]);
  });

  it("passes on what the attestor itself found, when it is the attestor's word", () => {
    const changes = { state: 'degraded', failures: ['release measurement mismatch: /usr/bin/x', 7, 'é'.repeat(300)] };
    const faults = [
      'state is "degraded", not "attested"',
      'the attestor says: release measurement mismatch: /usr/bin/x',
    ];
    expect(faultsIn(judgeSigned(changes))).to.deep.equal([...faults, `the attestor says: ${'é'.repeat(200)}`]);
    expect(faultsIn(judgeSigned({ ...changes, failures: Array.from({ length: 50 }, String) }))).to.have.length(9);
    expect(faultsIn(judge(trusted({ ...changes, bundle_hmac: '0'.repeat(64) })))).to.deep.equal([FORGED, faults[0]]);
  });

  it('never brings key, signature or nonce into its faults', () => {
    const verdict = judge({ ...signed(trusted({ request_nonce: 'f'.repeat(64) })), state: 'failed' });
    const text = JSON.stringify(verdict);
    for (const secret of [ATTESTATION_KEY, NONCE, 'f'.repeat(64), signatureOf(goText(trusted()))]) {
      expect(text).not.to.include(secret);
    }
  });

  it('is dated by when its request was sent', () => {
    const verdict = judge(signed(trusted()), { ...REQUEST, requestedAt: ANSWERED_AT });
    expect(faultsIn(verdict)[0]).to.include(`is before the request, ${timestamp(ANSWERED_AT)}`);
  });
});
