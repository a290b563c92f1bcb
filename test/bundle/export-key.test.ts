import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { readExportKey } from '../../src/bundle/export-key.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const pem = { type: 'pkcs8', format: 'pem' } as const;

describe('the key that signs bundles', () => {
  const directory = temporaryDirectories();
  const fileOf = (content: string | Buffer, mode = 0o600): string => {
    const path = join(directory(), 'export-key');
    writeFileSync(path, content, { mode });
    chmodSync(path, mode);
    return path;
  };
  const ed25519 = (): string => String(generateKeyPairSync('ed25519').privateKey.export(pem));

  it('signs what its public key verifies, also as a credential of systemd', () => {
    const { publicKey, sign } = readExportKey(fileOf(ed25519(), 0o400));
    const [text, key] = [Buffer.from('a text'), createPublicKey(publicKey)];
    expect(verify(null, text, key, Buffer.from(sign(text), 'base64'))).to.equal(true);
  });

  it('is refused when it is of another kind, locked, public, or no key', () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const locked = privateKey.export({ ...pem, cipher: 'aes-256-cbc', passphrase: 'a phrase' });
    for (const [content, message] of [
      [String(generateKeyPairSync('x25519').privateKey.export(pem)), /a key of the type x25519/],
      [String(generateKeyPairSync('ed448').privateKey.export(pem)), /a key of the type ed448/],
      [String(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export(pem)), /a key of the type ec/],
      [String(locked), /no private key in PEM without a passphrase/],
      [String(createPublicKey(ed25519()).export({ type: 'spki', format: 'pem' })), /no private key in PEM/],
      [privateKey.export({ type: 'pkcs8', format: 'der' }), /no private key in PEM/],
      ['f'.repeat(64), /no private key in PEM/],
      ['', /no private key in PEM/],
    ] as const) {
      expect(() => readExportKey(fileOf(content)))
        .to.throw(message)
        .with.property('code', 'config');
    }
  });

  it('is refused where others could sign with it, or replace it', () => {
    for (const mode of [0o604, 0o602, 0o620]) {
      expect(() => readExportKey(fileOf(ed25519(), mode)), mode.toString(8)).to.throw(
        /EXPORT_KEY_PATH: .* chmod g-w,o-rw/,
      );
    }
    const link = join(directory(), 'link');
    symlinkSync(fileOf(ed25519()), link);
    expect(() => readExportKey(link)).to.throw(/symbolic link/);
    expect(() => readExportKey(join(directory(), 'none'))).to.throw(/is not there/);
  });
});
