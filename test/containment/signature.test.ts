import { createHmac, timingSafeEqual } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { readSigningSecrets, type SignatureHeaders, signed } from '../../src/containment/signature.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

/** The secret, identifier, time and body in the tests of the reference libraries of Standard Webhooks. */
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const ID = 'msg_p5jXN8AQM9LWM0D4loKWxJek';
const SENT = 1_614_265_330_999;
const BODY = '{"test": 2432232314}';
const SIGNATURE = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';

const TOLERANCE = 5 * 60;

/** Takes a request as the reference library for JavaScript does: one of the signatures is right, and the time is near. */
function isTaken(secret: string, body: string, headers: SignatureHeaders, now: number): boolean {
  const timestamp = Number.parseInt(headers['webhook-timestamp'], 10);
  if (Math.abs(Math.floor(now / 1000) - timestamp) > TOLERANCE) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const expected = createHmac('sha256', key).update(`${headers['webhook-id']}.${timestamp}.${body}`).digest('base64');
  return headers['webhook-signature'].split(' ').some((one) => {
    const [version, signature = ''] = one.split(',');
    const isSame = signature.length === expected.length;
    return version === 'v1' && isSame && timingSafeEqual(Buffer.from(signature), Buffer.from(expected));
  });
}

describe('a signature', () => {
  const directory = temporaryDirectories();

  const secretsIn = (text: string): readonly Buffer[] => {
    const path = join(directory(), 'secret');
    writeFileSync(path, text, { mode: 0o600 });
    return readSigningSecrets(path);
  };

  it('is that of the example of Standard Webhooks, from the secret as it is given to receivers', () => {
    expect(signed(secretsIn(`${SECRET}\n`), ID, BODY, SENT)).to.deep.equal({
      'webhook-id': ID,
      'webhook-timestamp': '1614265330',
      'webhook-signature': SIGNATURE,
    });
  });

  it('is taken by a receiver that holds to the reference, and by no other', () => {
    const headers = signed(secretsIn(SECRET), ID, BODY, SENT);
    expect(isTaken(SECRET, BODY, headers, SENT + 60_000)).to.equal(true);
    expect(isTaken(SECRET, BODY, headers, SENT + 600_000)).to.equal(false);
    expect(isTaken(SECRET, `${BODY} `, headers, SENT)).to.equal(false);
    expect(isTaken(`whsec_${'QUJD'.repeat(8)}`, BODY, headers, SENT)).to.equal(false);
  });

  it('is one for each secret while a receiver gets a new one, so that both are taken', () => {
    const next = `whsec_${'QUJD'.repeat(8)}`;
    const headers = signed(secretsIn(`${SECRET}\n${next}\n`), ID, BODY, SENT);
    expect(headers['webhook-signature'])
      .to.match(/^v1,[\w+/]{43}= v1,[\w+/]{43}=$/)
      .and.to.include(SIGNATURE);
    for (const secret of [SECRET, next]) expect(isTaken(secret, BODY, headers, SENT)).to.equal(true);
  });

  it('separates identifier, time and body by full stops that no identifier has', () => {
    const secret = Buffer.alloc(24, 'k');
    expect(signed([secret], 'at 1.5 s', '{}', 0)).to.have.property('webhook-id', 'at 1_5 s');
  });

  for (const [what, text] of [
    ['without its prefix', SECRET.slice('whsec_'.length)],
    ['of 23 bytes', `whsec_${Buffer.alloc(23).toString('base64')}`],
    ['of 65 bytes', `whsec_${Buffer.alloc(65).toString('base64')}`],
    ['that is no base64', `whsec_${'*'.repeat(32)}`],
    ['and something else', `${SECRET} password`],
    ['too often', Array(4).fill(SECRET).join('\n')],
  ] as const) {
    it(`is not made with a secret ${what}`, () =>
      expect(() => secretsIn(text)).to.throw(/holds no secret of the form/));
  }

  it('is made with a secret of 24 to 64 bytes', () => {
    for (const bytes of [24, 64]) {
      expect(secretsIn(`whsec_${Buffer.alloc(bytes).toString('base64')}`)[0]).to.have.length(bytes);
    }
  });
});
