import { expect } from 'chai';
import fc from 'fast-check';
import { judgeBundle } from '../../src/containment/attestor-bundle.ts';
import { writeExact } from '../../src/json/canonical-form.ts';
import { jsonValue } from '../json/arbitrary-json.ts';
import { askPython } from '../json/python.ts';
import { ATTESTATION_KEY, trustedBundle } from '../support/attestor.ts';

const NONCE = '0123456789abcdef'.repeat(4);
const REQUESTED_AT = Date.parse('2026-11-30T09:00:00.500Z');

/** What a program in Python signs and sends, laid out as it likes. */
const SIGN = `
import hashlib, hmac, random
def signed(text):
    bundle = json.loads(text)
    bundle["bundle_hmac"] = ""
    form = json.dumps(bundle, sort_keys=True, separators=(",", ":"))
    bundle["bundle_hmac"] = hmac.new(bytes.fromhex("${ATTESTATION_KEY}"), form.encode(), hashlib.sha256).hexdigest()
    return json.dumps(bundle, indent=random.choice([None, 1]), ensure_ascii=random.choice([True, False]))
answers = [signed(text) for text in texts]`;

describe('a bundle that is signed in Python', () => {
  it('holds, whatever is in it', function () {
    // Without what is refused: lone surrogates, and the key that JavaScript can't keep.
    const isExact = (value: unknown): boolean => !/\\ud|__proto__/.test(JSON.stringify(value));
    const extras = fc.sample(jsonValue.filter(isExact), 500);
    const texts = extras.map((extra) => {
      const bundle = { ...trustedBundle(NONCE, '2026-11-30T09:00:01.25+00:00'), extra };
      return writeExact(bundle);
    });
    const bodies = askPython(this, SIGN, texts) as readonly string[];
    const request = { nonce: NONCE, requestedAt: REQUESTED_AT, answeredAt: REQUESTED_AT + 1000 };
    const key = Buffer.from(ATTESTATION_KEY, 'hex');
    for (const body of bodies) {
      expect(judgeBundle(Buffer.from(body), { ...request, key }), body).to.have.property('kind', 'attested');
    }
  });
});
