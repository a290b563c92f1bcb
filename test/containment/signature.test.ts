import { expect } from 'chai';
import { signed } from '../../src/containment/signature.ts';

describe('a signature', () => {
  it('is that of the example of Standard Webhooks', () => {
    const secret = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64');
    const id = 'msg_p5jXN8AQM9LWM0D4loKWxJek';
    expect(signed(secret, id, '{"test": 2432232314}', 1_614_265_330_999)).to.deep.equal({
      'webhook-id': id,
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  it('separates identifier, time and body by full stops that no identifier has', () => {
    const secret = Buffer.alloc(24, 'k');
    expect(signed(secret, 'at 1.5 s', '{}', 0)).to.have.property('webhook-id', 'at 1_5 s');
  });
});
