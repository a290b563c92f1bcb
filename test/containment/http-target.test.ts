import { expect } from 'chai';
import { judge } from '../../src/containment/http-target.ts';

const answer = (status: number, body = '', headers = {}) => judge({ status, body, headers });

describe('an answer of a service', () => {
  for (const status of [200, 201, 202, 204, 299]) {
    it(`of ${status} confirms`, () => {
      expect(answer(status, 'done')).to.deep.equal({ kind: 'done', receipt: { by: 'answer', status, body: 'done' } });
    });
  }

  for (const status of [408, 425, 429, 500, 502, 503, 504, 599]) {
    it(`of ${status} may be another the next time`, () => {
      expect(answer(status, 'busy')).to.deep.equal({ kind: 'missed', error: `answered ${status}: busy` });
    });
  }

  for (const status of [301, 304, 400, 401, 403, 404, 409, 410, 422]) {
    it(`of ${status} is one for good`, () => {
      expect(answer(status)).to.deep.equal({ kind: 'refused', error: `answered ${status}` });
    });
  }

  for (const [header, pause] of [
    ['3', 3000],
    ['0', 0],
    ['999999', 3_600_000],
    ['soon', undefined],
    ['-1', undefined],
  ] as const) {
    it(`with Retry-After: ${header} asks for ${pause === undefined ? 'no pause' : `${pause} ms`}`, () => {
      const found = answer(503, '', { 'retry-after': header });
      expect(found).to.deep.equal({
        kind: 'missed',
        error: 'answered 503',
        ...(pause === undefined ? {} : { retryAfter: pause }),
      });
    });
  }

  it('with a Retry-After that names a time asks for the pause until then', () => {
    const later = new Date(Date.now() + 20_000).toUTCString();
    expect(answer(429, '', { 'retry-after': later }))
      .to.have.property('retryAfter')
      .within(15_000, 20_000);
  });
});
