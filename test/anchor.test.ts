import assert from 'node:assert/strict';
import { type Anchor, anchorText, readAnchor } from '../src/anchor.ts';
import { RecorderError } from '../src/errors.ts';
import { newSigner, readSignerKey, signNote } from '../src/signed-note.ts';

const ANCHOR: Anchor = {
  fleet: 'fleet.example.org',
  machine: 'oven-3.berlin',
  log: 'a1'.repeat(32),
  seq: 4711,
  hash: 'b2'.repeat(32),
  root: 'c3'.repeat(32),
  time: '2026-11-30T15:04:05.678Z',
};

describe('anchors', () => {
  const signer = newSigner('fleet.example.org');

  it('are checkpoints of a transparency log', () => {
    assert.equal(
      anchorText(ANCHOR),
      `fleet.example.org/oven-3.berlin/${'a1'.repeat(32)}\n4711\n${Buffer.alloc(32, 0xc3).toString('base64')}\n` +
        `hash ${'b2'.repeat(32)}\ntime 2026-11-30T15:04:05.678Z\n`,
    );
  });

  it('are read as they were written', () => {
    const withPath = { ...ANCHOR, fleet: 'example.org/fleets/one' };
    assert.deepEqual(readAnchor(signNote(anchorText(ANCHOR), signer), [signer]), ANCHOR);
    const other = newSigner(withPath.fleet);
    assert.deepEqual(readAnchor(signNote(anchorText(withPath), other), [other, signer]), withPath);
  });

  it('may have further lines', () => {
    assert.deepEqual(readAnchor(signNote(`${anchorText(ANCHOR)}more 1\n`, signer), [signer]), ANCHOR);
  });

  it('are refused when another key of the known ones has signed them', () => {
    const other = newSigner('fleet.example.com');
    assert.throws(
      () => readAnchor(signNote(anchorText(ANCHOR), other), [signer, other]),
      /is one of fleet.example.org/,
    );
    const sameName = newSigner('fleet.example.org');
    assert.throws(() => readAnchor(signNote(anchorText(ANCHOR), sameName), [signer]), /no signature/);
  });

  it('are refused with values that an anchor can not have', () => {
    for (const wrong of [
      { machine: 'a/b' },
      { machine: '' },
      { seq: 0 },
      { seq: 1.5 },
      { log: 'A1'.repeat(32) },
      { hash: '' },
      { root: 'c3' },
      { time: '2026-11-30' },
      { time: '2026-13-30T15:04:05.678Z' },
      { fleet: 'a b' },
    ]) {
      assert.throws(() => anchorText({ ...ANCHOR, ...wrong }), RecorderError, JSON.stringify(wrong));
    }
    const lines = anchorText(ANCHOR).split('\n');
    for (const [at, line] of [
      [0, 'fleet.example.org/only'],
      [1, '04711'],
      [1, '-1'],
      [2, 'AAAA'],
      [3, 'hash'],
      [4, 'hash'],
    ] as const) {
      const text = lines.with(at, line).join('\n');
      assert.throws(() => readAnchor(signNote(text, signer), [signer]), RecorderError, text);
    }
    const twice = `${anchorText(ANCHOR)}hash ${ANCHOR.hash}\n`;
    assert.throws(() => readAnchor(signNote(twice, signer), [signer]), /not an anchor/);
  });

  it('of the Go implementation’s own key are read', () => {
    const peter = readSignerKey('PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz');
    const anchor = { ...ANCHOR, fleet: 'PeterNeumann' };
    assert.deepEqual(readAnchor(signNote(anchorText(anchor), peter), [peter]), anchor);
  });
});
