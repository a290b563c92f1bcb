import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { addressText, bodyDigest, proofKeyIdOf, proofKeyOf, proofOf } from '../src/proof.ts';
import { ROOT } from './support/programs.ts';

describe('the bytes of a proof', () => {
  const readme = readFileSync(join(ROOT, 'src/client/README.md'), 'utf8');
  const [, token = '', body = ''] =
    /With the token `([^`]+)`, the nonce above and the body `([^`]+)`/.exec(readme) ?? [];
  const [, nonce = '', id] = /Recorder-Challenge: nonce=([\w-]+); key=(\w+)/.exec(readme) ?? [];
  const key = proofKeyOf(token);
  const base = { nonce, method: 'GET', target: '/livez', status: 200, body: bodyDigest(body) };

  it('are those of the vectors in the README', () => {
    expect(proofKeyIdOf(key)).to.equal(id);
    for (const vector of [
      key.toString('hex'),
      bodyDigest(body),
      proofOf(key, { ...base, recorder: '127.0.0.1:8515', client: '127.0.0.1:40312' }),
      proofOf(key, { ...base, recorder: '[::1]:8515', client: '[::1]:40312' }),
      proofOf(key, {
        ...base,
        target: '/api/v1/events?after=0',
        recorder: 'unix:/run/secure-ai/recorder.sock',
        client: '-',
        body: 'stream',
      }),
    ]) {
      expect(readme).to.include(`\`${vector}\``);
    }
  });

  it('differ with each thing that is covered', () => {
    const exchange = { ...base, recorder: '127.0.0.1:8515', client: '127.0.0.1:40312' };
    const others = [
      { nonce: 'another' },
      { method: 'HEAD' },
      { target: '/readyz' },
      { recorder: '127.0.0.1:8516' },
      { client: '127.0.0.1:40313' },
      { status: 201 },
      { body: bodyDigest('') },
      { body: 'stream' },
    ];
    const proofs = [exchange, ...others.map((other) => ({ ...exchange, ...other }))].map((one) => proofOf(key, one));
    expect(new Set([...proofs, proofOf(proofKeyOf('another'), exchange)]).size).to.equal(others.length + 2);
  });

  it('have one form of an address', () => {
    expect(addressText('127.0.0.1', 80)).to.equal('127.0.0.1:80');
    expect(addressText('::ffff:127.0.0.1', 80)).to.equal('127.0.0.1:80');
    expect(addressText('::1', 80)).to.equal('[::1]:80');
  });
});
