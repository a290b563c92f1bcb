import assert from 'node:assert/strict';
import fc from 'fast-check';
import { RecorderError } from '../src/errors.ts';
import {
  newSigner,
  openNote,
  readSignerKey,
  readVerifierKey,
  signerKeyOf,
  signNote,
  verifierKeyOf,
} from '../src/signed-note.ts';

// The test vectors of golang.org/x/mod/sumdb/note.
const PETER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const PETERS_SECRET = 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz';
const ENOCH = 'EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop';
const TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const BY_PETER =
  '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';
const BY_ENOCH =
  '— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n';

const refuses = (call: () => unknown, message: RegExp): void =>
  assert.throws(call, (error) => {
    assert.ok(error instanceof RecorderError);
    assert.equal(error.code, 'invalid_request');
    assert.match(error.message, message);
    return true;
  });

describe('signed notes', () => {
  it('read the keys of the Go implementation, and write them as they were', () => {
    assert.equal(verifierKeyOf(readVerifierKey(PETER)), PETER);
    assert.equal(verifierKeyOf(readVerifierKey(ENOCH)), ENOCH);
    assert.equal(signerKeyOf(readSignerKey(PETERS_SECRET)), PETERS_SECRET);
    assert.equal(verifierKeyOf(readSignerKey(PETERS_SECRET)), PETER);
  });

  it('sign to the byte as the Go implementation does', () => {
    assert.equal(signNote(TEXT, readSignerKey(PETERS_SECRET)), `${TEXT}\n${BY_PETER}`);
  });

  it('open what the Go implementation has signed, once and twice', () => {
    const [peter, enoch] = [readVerifierKey(PETER), readVerifierKey(ENOCH)];
    const note = `${TEXT}\n${BY_PETER}${BY_ENOCH}`;
    assert.deepEqual(openNote(note, [peter]), { text: TEXT, signedBy: ['PeterNeumann'] });
    assert.deepEqual(openNote(note, [enoch]), { text: TEXT, signedBy: ['EnochRoot'] });
    assert.deepEqual(openNote(note, [peter, enoch]), { text: TEXT, signedBy: ['PeterNeumann', 'EnochRoot'] });
    assert.deepEqual(openNote(`${note}${BY_PETER}`, [peter]).signedBy, ['PeterNeumann']);
  });

  it('refuse the mangled keys that the Go implementation refuses', () => {
    for (const [key, read] of [
      [PETER, readVerifierKey],
      [PETERS_SECRET, readSignerKey],
    ] as const) {
      for (let from = 0; from <= key.length; from++) {
        for (let to = from + 1; to <= key.length; to++) {
          if (from !== 0 || to !== key.length) assert.throws(() => read(key.slice(from, to)), RecorderError);
        }
        if (from === key.length) continue;
        const next = String.fromCodePoint(key.codePointAt(from)! + 1);
        assert.throws(() => read(key.slice(0, from) + next + key.slice(from + 1)), RecorderError);
      }
    }
    // A key of the wrong length and one of an unknown algorithm, with ids that fit.
    refuses(
      () => readVerifierKey('PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY=='),
      /not the public key/,
    );
    refuses(() => readVerifierKey('PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'), /not the/);
  });

  it('do not show a secret key in what they refuse', () => {
    const secret = PETERS_SECRET.replace('c74f20a3', 'c74f20a4');
    assert.throws(
      () => readSignerKey(secret),
      (error) => error instanceof RecorderError && !error.message.includes('AYEKFALV'),
    );
  });

  it('refuse the notes that the Go implementation refuses', () => {
    const peter = [readVerifierKey(PETER)];
    for (const note of [
      TEXT,
      `${TEXT}\n`,
      `${TEXT}\n${BY_PETER.slice(0, -1)}`,
      `\u0001${TEXT}\n${BY_PETER}`,
      `\ud800${TEXT}\n${BY_PETER}`,
      `${TEXT}\n— Bad Name x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=`,
      `${TEXT}\n${BY_PETER}Unexpected line.\n`,
      `${TEXT}\n${BY_PETER.repeat(101)}`,
    ]) {
      refuses(() => openNote(note, peter), /not a signed note/);
    }
    refuses(
      () => openNote(`${TEXT}\n${BY_PETER.slice(0, 60)}ABCD${BY_PETER.slice(60)}`, peter),
      /PeterNeumann.* is wrong/,
    );
    refuses(() => openNote(`${TEXT}\n${BY_ENOCH}`, peter), /no signature of PeterNeumann\+c74f20a3/);
    refuses(() => openNote(`${TEXT}\n${BY_PETER}`, []), /no signature of a known key/);
  });

  it('refuse a text that was changed by one character', () => {
    const peter = [readVerifierKey(PETER)];
    const note = `${TEXT}\n${BY_PETER}`;
    fc.assert(
      fc.property(fc.nat(note.length - 1), fc.integer({ min: 32, max: 126 }), (at, code) => {
        const other = note.slice(0, at) + String.fromCodePoint(code) + note.slice(at + 1);
        if (other !== note) assert.throws(() => openNote(other, peter), RecorderError);
      }),
    );
  });

  it('come back as they were signed', () => {
    const signer = newSigner('fleet.example/one');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (words) => {
        // oxlint-disable-next-line no-control-regex
        const text = `${words.replaceAll(/[\u0000-\u001f]/g, '')}\n`;
        assert.deepEqual(openNote(signNote(text, signer), [signer]), { text, signedBy: ['fleet.example/one'] });
      }),
    );
  });

  it('refuse a text without a line feed at its end, and names with spaces', () => {
    const signer = newSigner('fleet');
    refuses(() => signNote('abc', signer), /ends with a line feed/);
    refuses(() => signNote('a\tb\n', signer), /control characters/);
    for (const name of ['', 'a b', 'a+b', 'a\nb', 'a\u00a0b']) refuses(() => newSigner(name), /name of a key/);
  });
});
