import { expect } from 'chai';
import { matchesTag } from '../../../src/api/request/if-none-match.ts';

describe('If-None-Match', () => {
  for (const header of ['"7"', 'W/"7"', '"6", "7"', '*', ' "7" ']) {
    it(`${header} names "7"`, () => {
      expect(matchesTag(header, '"7"')).to.equal(true);
    });
  }
  for (const header of ['', '"8"', '7', '"6","8"', '"7']) {
    it(`${JSON.stringify(header)} does not`, () => {
      expect(matchesTag(header, '"7"')).to.equal(false);
    });
  }
});
