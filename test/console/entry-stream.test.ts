import { expect } from 'chai';
import * as fc from 'fast-check';
import { EventReader } from '../../src/console/entry-stream.ts';

const STREAM = [
  'retry: 2000\nid: 4\n\n',
  'id: 5\nevent: incident.reported\ndata: {"seq":5}\n\n',
  ':\nid: 5\n\n',
  'id: 6\r\nevent: alert.raised\r\ndata:{"text":"data: é\u2028"}\r\n\r\n',
  'data: one\ndata: two\n\n',
  'data: not complete\n',
].join('');

describe('the data of events', () => {
  it('is found wherever the text is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(STREAM.length), { maxLength: 8 }), (cuts) => {
        const at = [0, ...cuts.toSorted((one, other) => one - other), STREAM.length];
        const reader = new EventReader();
        const found = at.slice(1).flatMap((end, index) => reader.push(STREAM.slice(at[index], end)));
        expect(reader.place).to.equal('6');
        expect(found).to.deep.equal(['{"seq":5}', '{"text":"data: é\u2028"}', 'one\ntwo']);
      }),
    );
  });
});
