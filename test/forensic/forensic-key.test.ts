import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { fingerprintOf, readForensicKey } from '../../src/forensic/forensic-key.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const KEY = 'k'.repeat(32);
const NO_OTHERS = { auditKey: undefined, isToken: () => false };

describe('the key of forensic exports', () => {
  const directory = temporaryDirectories();

  const fileWith = (content: string | Buffer, mode = 0o600): string => {
    const path = join(directory(), 'key');
    writeFileSync(path, content);
    chmodSync(path, mode);
    return path;
  };

  it('is the text of its file without the space around it, as Python strips bytes', () => {
    for (const text of [KEY, ` \t\r\n\v\f${KEY}\n \n`]) {
      expect(readForensicKey(fileWith(text), NO_OTHERS).toString()).to.equal(KEY);
    }
    // A no-break space is no space to `bytes.strip`, and space is space also around bytes that are no text.
    const bytes = Buffer.from([0xa0, ...Buffer.from(KEY), 0x00]);
    expect(
      readForensicKey(fileWith(Buffer.concat([Buffer.from(' '), bytes, Buffer.from('\n')])), NO_OTHERS),
    ).to.deep.equal(bytes);
  });

  it('is refused, with the variable and what to do, where it proves nothing', () => {
    const link = join(directory(), 'link');
    symlinkSync(fileWith(KEY), link);
    const audit = { ...NO_OTHERS, auditKey: fingerprintOf(Buffer.from(`${KEY}\n`)) };
    const token = { ...NO_OTHERS, isToken: (text: string) => text === KEY };
    const cases = [
      [undefined, NO_OTHERS, 'is not set'],
      [fileWith('k'.repeat(31)), NO_OTHERS, 'at least 32'],
      [fileWith(' '.repeat(40)), NO_OTHERS, 'a key of 0 bytes'],
      [fileWith('k'.repeat(4097)), NO_OTHERS, 'longer than 4096'],
      [fileWith(KEY, 0o622), NO_OTHERS, 'chmod go-w'],
      [link, NO_OTHERS, 'symbolic link'],
      [join(directory(), 'none'), NO_OTHERS, 'is not there'],
      [fileWith(`${KEY}\n`), audit, 'AUDIT_HMAC_KEY_PATH'],
      [fileWith(`${KEY}\n`), token, 'holds a token'],
    ] as const;
    for (const [path, others, reason] of cases) {
      let message = '';
      try {
        readForensicKey(path, others);
      } catch (error) {
        message = (error as Error).message;
      }
      expect(message).to.include('FORENSIC_HMAC_KEY_PATH').and.to.include(reason);
      expect(message).not.to.include(KEY);
    }
  });
});
